"""Parts: how the jobs are called that a Foreach or a Workflow, a whole, is made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The kinds of wholes.
FOREACH, WORKFLOW = "Foreach", "Workflow"

#: The jobs of a Foreach, in their order.
GETARGS, MIDDLE, GATHER = "getargs", "foreach", "gather"
PHASES = (GETARGS, MIDDLE, GATHER)

#: What a function is called that is not there: such a Foreach gathers nothing.
NO_FUNCTION = frozenset({"none", "null"})

#: The most characters of a job's name.
LONGEST = 63


def job_name(kind: str, whole: str, part: str) -> str:
    """Return what the job of a part is called.

    >>> job_name("Workflow", "assembly", "split"), job_name("Foreach", "sample", "foreach")
    ('assembly-split', 'sample')
    """
    return whole if kind == FOREACH and part == MIDDLE else f"{whole}-{part}"


def part_of(job: str, whole: str) -> str:
    """Return what a part is called in its whole, given the names of its job and of the whole.

    >>> part_of("assembly-split", "assembly"), part_of("sample", "sample")
    ('split', 'foreach')
    """
    return MIDDLE if job == whole else job.removeprefix(f"{whole}-")


def job(document: Mapping[str, Any], part: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Job document of a part of what a document describes."""
    kind, metadata = document["kind"], document["metadata"]
    whole = metadata["name"]
    return {
        "apiVersion": document["apiVersion"],
        "kind": "Job",
        "metadata": {
            **metadata,
            "name": job_name(kind, whole, part),
            "partOf": {"kind": kind, "name": whole, "part": part},
        },
        "spec": spec,
    }


def whole_of(document: Mapping[str, Any]) -> str | None:
    """Return the name of the whole that a Job document is a part of; None if it is one by itself."""
    part_of = document["metadata"].get("partOf")
    return part_of["name"] if part_of else None


def phases(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the jobs that a Foreach document has, in their order."""
    gather = document["spec"].get("functions", {}).get("gather")
    return PHASES[:2] if gather in NO_FUNCTION else PHASES


def part_names(document: Mapping[str, Any]) -> list[str]:
    """Return the names of all jobs that a document describes; of a Job its own."""
    kind, name = document["kind"], document["metadata"]["name"]
    match kind:
        case "Foreach":
            return [job_name(kind, name, part) for part in phases(document)]
        case "Workflow":
            return [job_name(kind, name, step["name"]) for step in document["spec"]["steps"]]
    return [name]
