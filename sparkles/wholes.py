"""Wholes: a Foreach or a Workflow becomes the manifests of its parts, which are jobs like others. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sparkles import foreach, workflow
from sparkles.errors import ProblemsError
from sparkles.manifest import Manifest
from sparkles.parts import FOREACH, WORKFLOW


def expand(manifest: Manifest, *, others: Collection[str] = ()) -> list[Manifest]:
    """Return the manifests of the jobs that a document stands for; a job stands for itself.

    `others` are the names of all jobs that steps may need beside the steps. Raises ProblemsError for a need that is
    neither.
    """
    match manifest.document["kind"]:
        case "Foreach":
            return [replace(manifest, document=job) for job in foreach.jobs(manifest.document)]
        case "Workflow":
            return _steps(manifest, others)
    return [manifest]


def _steps(manifest: Manifest, others: Collection[str]) -> list[Manifest]:
    try:
        jobs = workflow.jobs(manifest.document, others=others)
    except ProblemsError as error:
        raise ProblemsError(f"{manifest.source}: {problem}" for problem in error.problems) from None
    return [replace(manifest, document=job, field=f"spec.steps[{number}]") for number, job in enumerate(jobs)]


def is_whole(manifest: Manifest) -> bool:
    """Say whether a document describes several jobs."""
    return manifest.document["kind"] in (FOREACH, WORKFLOW)
