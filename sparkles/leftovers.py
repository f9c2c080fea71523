"""Leftovers: results of jobs that are deleted. Looks; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sparkles import names, results
from sparkles.model import Job
from sparkles.ports.backend import Backend


def of(name: str, there: Sequence[Job], backend: Backend) -> list[str]:
    """Return the deleted jobs whose results a name stands for: of a whole those of all its parts.

    Nothing is on record of them any more, but each of their results tells what it is a part of.
    """
    if name == names.LAST:
        return []
    known = {job.name for job in there}
    parts = [job for job in backend.objects.jobs_with_results(f"{name}-") if job not in known]
    are_its_own = results.each(lambda job: _is_part(job, name, backend), parts, backend)
    own = [name] if name not in known and backend.objects.results(name) else []
    return own + [job for job, is_its_own in zip(parts, are_its_own, strict=True) if is_its_own]


def _is_part(job: str, whole: str, backend: Backend) -> bool:
    index = next(iter(backend.objects.results(job)), None)
    found = backend.objects.read_result(job, index) if index else None
    return found is not None and found[1].get("whole") == whole
