"""Wholes: a Foreach or a Workflow becomes the manifests of its parts, which are jobs like others. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sparkles import foreach, workflow
from sparkles.errors import ProblemsError, RequestError
from sparkles.manifest import Manifest
from sparkles.model import Job
from sparkles.parts import FOREACH, PHASES, WORKFLOW, job_name, part_names


def expand(manifest: Manifest, *, others: Collection[str] = ()) -> list[Manifest]:
    """Return the manifests of the jobs that a document stands for; a job stands for itself.

    `others` are the names of all jobs that steps may need beside the steps. Raises ProblemsError for a need that is
    neither.
    """
    match manifest.document["kind"]:
        case "Foreach":
            places = foreach.places(manifest.document)
            return [replace(manifest, document=job, places=places) for job in foreach.jobs(manifest.document)]
        case "Workflow":
            return _steps(manifest, others)
    return [manifest]


def _steps(manifest: Manifest, others: Collection[str]) -> list[Manifest]:
    try:
        jobs = workflow.jobs(manifest.document, others=others)
    except ProblemsError as error:
        raise ProblemsError(f"{manifest.source}: {problem}" for problem in error.problems) from None
    return [
        replace(manifest, document=job, places={"spec": f"spec.steps[{number}]"}) for number, job in enumerate(jobs)
    ]


def require_names(manifests: Sequence[Manifest], there: Sequence[Job]) -> None:
    """Raise RequestError for a job whose name is, among the jobs that are `there`, that of something else."""
    by_name = {job.name: job for job in there}
    for manifest in manifests:
        if problem := _taken(manifest, by_name):
            raise RequestError(f"{manifest.source}: {problem}")


def _taken(manifest: Manifest, there: dict[str, Job]) -> str | None:
    """Return why a job cannot have its name, or None."""
    name, whole = manifest.name, manifest.whole
    same, namesake = there.get(name), there.get(whole) if whole else None
    if same and same.whole != whole:
        if same.whole:
            what = FOREACH if name == same.whole else f"part of {same.whole}"
            return f"{name} is a {what}: change and apply that, or choose another name"
        return f"there is a job {name} already, which is no part of {whole}; delete it, or choose another name"
    if namesake and namesake.whole != whole:
        return f"there is a job {whole} already; delete it, or choose another name"
    parts = [job for job in there.values() if job.whole == name]
    if parts and whole != name:
        return f"{name} is a whole of {len(parts)} jobs, such as {parts[0].name}; delete it, or choose another name"
    return _of_other_kind(manifest, there)


def _of_other_kind(manifest: Manifest, there: dict[str, Job]) -> str | None:
    """Return why a job cannot be a part of a whole of its kind. One that was cut off may have any of its parts."""
    whole = manifest.whole
    if whole is None:
        return None
    names = {job.name for job in there.values() if job.whole == whole}
    phases = {job_name(FOREACH, whole, part) for part in PHASES}
    is_foreach = manifest.document["metadata"]["partOf"]["kind"] == FOREACH
    if whole in names and not is_foreach:
        return f"{whole} is a {FOREACH} already; delete it, or choose another name"
    if names - phases and is_foreach:
        return f"{whole} is a {WORKFLOW} already; delete it, or choose another name"
    return None


def left_out(document: Manifest, there: Sequence[Job]) -> list[Job]:
    """Return the jobs that were parts of what a document describes, and are not any more."""
    if document.document["kind"] not in (FOREACH, WORKFLOW):
        return []
    named = part_names(document.document)
    return [job for job in there if job.whole == document.name and job.name not in named]
