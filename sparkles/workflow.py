"""Workflow: a document of steps becomes the documents of their jobs. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sparkles import parts
from sparkles.compile import default_dest
from sparkles.errors import ProblemsError, nearest
from sparkles.parts import WORKFLOW, job_name
from sparkles.references import Reference, reference
from sparkles.spec import upload_of

#: Fields of a workflow that hold for each step which does not have them itself.
_DEFAULTS = ("image", "env", "resources", "nodes", "retries", "failFast", "canary", "timeout", "outputs")

Document = Mapping[str, Any]


def jobs(document: Document, *, others: Collection[str]) -> list[dict[str, Any]]:
    """Return the Job documents that a valid Workflow document stands for, in the order of its steps.

    `others` are the names of all jobs that steps may need beside the steps. Raises ProblemsError for a need that is
    neither.
    """
    names = {step["name"]: job_name(WORKFLOW, document["metadata"]["name"], step["name"]) for step in _steps(document)}
    if unknown := list(_unknown_needs(document, names, others)):
        raise ProblemsError(unknown)
    return [_job(document, step, names) for step in _steps(document)]


def _steps(document: Document) -> list[Document]:
    found: list[Document] = document["spec"]["steps"]
    return found


def _unknown_needs(document: Document, names: Mapping[str, str], others: Collection[str]) -> Iterator[str]:
    known = {*names, *names.values(), *others}
    for number, step in enumerate(_steps(document)):
        for place, need in enumerate(step.get("needs", [])):
            if need not in known:
                hint = nearest(need, names) or nearest(need, others) or f"; the steps are {', '.join(names)}"
                yield f"spec.steps[{number}].needs[{place}]: no step {need!r}, and no job of this name{hint}"


def _job(document: Document, step: Document, names: Mapping[str, str]) -> dict[str, Any]:
    spec = {name: document["spec"][name] for name in _DEFAULTS if name in document["spec"]}
    spec |= {name: value for name, value in step.items() if name != "name"}
    if "needs" in step:
        spec["needs"] = [names.get(need, need) for need in step["needs"]]
    if "uploads" in step:
        spec["uploads"] = [_upload(entry, names) for entry in step["uploads"]]
    if "csv" in step.get("parameters", {}):
        spec["parameters"] = {**step["parameters"], "csv": _source(step["parameters"]["csv"], names)}
    return parts.job(document, step["name"], spec)


def _upload(entry: str | Document, names: Mapping[str, str]) -> str | dict[str, Any]:
    """Return an entry of `uploads` of the job: what a step left lands below the step's name, as the author knows it."""
    written: Document = {} if isinstance(entry, str) else entry
    upload = upload_of(entry)
    if _of_step(upload.src, names) is None:
        return entry if isinstance(entry, str) else dict(entry)
    dest = upload.dest if upload.dest is not None else default_dest(upload.src)
    return {**written, "src": _source(upload.src, names), "dest": dest}


def _source(src: str, names: Mapping[str, str]) -> str:
    """Return a src in which the name of a step has become that of its job."""
    refers = _of_step(src, names)
    return src.replace(f"{{results.{refers.job}}}", f"{{results.{names[refers.job]}}}", 1) if refers else src


def _of_step(src: str, names: Mapping[str, str]) -> Reference | None:
    refers = reference(src)
    return refers if refers and refers.job in names else None
