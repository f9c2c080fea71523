"""Foreach: a document of three functions becomes the documents of the jobs that call them. Pure.

What is ours in the work directory of a task is in the folder `.foreach`; the runners in `templates/` know it, too.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from sparkles import parts
from sparkles.parts import FOREACH, GATHER, GETARGS, MIDDLE
from sparkles.placeholders import escaped
from sparkles.references import shipped

#: The folder of what is ours, and patterns of what the phases leave for each other.
_OURS = ".foreach"

#: The programs that call the functions, as a task finds them.
RUNNERS = frozenset({f"{_OURS}/run.py", f"{_OURS}/run.R"})

#: Fields that mean for each phase what they mean for a job.
_SHARED = ("image", "resources", "nodes", "retries", "timeout")

#: Fields that mean something for the phase that has many tasks.
_OF_MANY = ("failFast", "canary")

_FUNCTIONS = {GETARGS: "get_foreach_args", MIDDLE: "foreach", GATHER: "gather"}

Document = Mapping[str, Any]


def jobs(document: Document) -> list[dict[str, Any]]:
    """Return the Job documents that a valid Foreach document stands for, in the order of its phases."""
    return [_job(document, part) for part in parts.phases(document)]


def places(document: Document) -> dict[str, str]:
    """Return what fields of the jobs are called in the document, where that is something else."""
    return {f"spec.uploads[{len(document['spec'].get('uploads', [])) + 1}]": "spec.script"}


def _job(document: Document, part: str) -> dict[str, Any]:
    spec, whole = document["spec"], document["metadata"]["name"]
    needs = [parts.job_name(FOREACH, whole, other) for other in _needed(part)]
    own: dict[str, Any] = {
        "command": _command(spec, part),
        "uploads": [*spec.get("uploads", []), *_program(spec), *_inputs(whole, part, _kind(spec))],
        "outputs": {**spec.get("outputs", {}), "always": [f"{_OURS}/"]},
        "needs": [*needs, *spec.get("needs", [])],
    }
    if part == MIDDLE:
        own |= {name: spec[name] for name in _OF_MANY if name in spec}
        own["parameters"] = {"csv": f"{_left_by(whole, GETARGS)}/1/{_OURS}/batches.csv"}
    shared = {name: spec[name] for name in _SHARED if name in spec}
    return parts.job(document, part, {**shared, **own, **_environment(spec)})


def _needed(part: str) -> Sequence[str]:
    """Return the phases whose results a phase takes."""
    return {GETARGS: (), MIDDLE: (GETARGS,), GATHER: (GETARGS, MIDDLE)}[part]


def _command(spec: Document, part: str) -> list[str]:
    function = spec.get("functions", {}).get(part, _FUNCTIONS[part])
    words = [*_interpreter(spec), f"{_OURS}/run.{_kind(spec)}", part, place(spec["script"]), function]
    if part == GETARGS:
        words += [str(spec.get("batchSize", 1)), *spec.get("args", [])]
    return [*_as_they_are(words), *(["{key}"] if part == MIDDLE else [])]


def _environment(spec: Document) -> dict[str, Any]:
    """Return the variables of all phases: in Python, sets that are equal are to be in the same order in all of them."""
    env = {**({"PYTHONHASHSEED": "0"} if _kind(spec) == "py" else {}), **spec.get("env", {})}
    return {"env": env} if env else {}


def _interpreter(spec: Document) -> Sequence[str]:
    usual = "Rscript" if _kind(spec) == "R" else "python" if "image" in spec else "python3"
    found: Sequence[str] = spec.get("interpreter", [usual])
    return found


def _kind(spec: Document) -> str:
    """Return the language of the script, as its runner is called: `py` or `R`."""
    return "py" if spec["script"].endswith(".py") else "R"


def place(script: str) -> str:
    """Return where the script lands in the work directory: where it is here, or by its name if that is elsewhere.

    >>> place("./scripts/fit.py"), place("../fit.py"), place("/home/me/fit.py")
    ('scripts/fit.py', 'fit.py', 'fit.py')
    """
    path = posixpath.normpath(script)
    return PurePosixPath(path).name if path.startswith(("/", "../")) else path


def _as_they_are(words: Iterable[str]) -> Iterable[str]:
    return (escaped(word, ()) for word in words)


def _program(spec: Document) -> list[dict[str, str]]:
    """Return the uploads that all phases have: the runner and the script."""
    kind = _kind(spec)
    src, dest = _as_they_are((spec["script"], place(spec["script"])))
    return [{"src": shipped(f"foreach.{kind}"), "dest": f"{_OURS}/run.{kind}"}, {"src": src, "dest": dest}]


def _inputs(whole: str, part: str, kind: str) -> list[dict[str, str]]:
    """Return what a phase takes of the results of those before it."""
    suffix = "pkl" if kind == "py" else "rds"
    made, extra, results = _left_by(whole, GETARGS) + f"/1/{_OURS}", f"extra.{suffix}", f"result.{suffix}"
    taken = {
        GETARGS: {},
        MIDDLE: {f"{made}/elements/{{batch}}": "elements", f"{made}/{extra}": extra},
        GATHER: {
            f"{made}/batches.csv": "batches.csv",
            f"{made}/{extra}": extra,
            f"{_left_by(whole, MIDDLE)}/*/{_OURS}/{results}": "results",
        },
    }[part]
    return [{"src": src, "dest": f"{_OURS}/{dest}"} for src, dest in taken.items()]


def _left_by(whole: str, part: str) -> str:
    return f"{{results.{parts.job_name(FOREACH, whole, part)}}}"
