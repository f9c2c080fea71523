"""Leftovers: results of jobs that are deleted. Looks; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sparkles import names, parts
from sparkles.foreach import phase_of
from sparkles.model import Job
from sparkles.parts import FOREACH, PHASES
from sparkles.ports import Backend


def of(name: str, there: Sequence[Job], backend: Backend) -> list[str]:
    """Return the deleted jobs whose results a name stands for: of a Foreach those of all its phases.

    Nothing is on record of them any more, but a result tells which phase it is of.
    """
    if name == names.LAST:
        return []
    known = {job.name for job in there}
    jobs = [name, *(parts.job_name(FOREACH, name, part) for part in PHASES if part != parts.MIDDLE)]
    return [job for job in jobs if job not in known and _is_left(job, name, backend)]


def _is_left(job: str, name: str, backend: Backend) -> bool:
    indices = backend.objects.results(job)
    if job == name or not indices:
        return bool(indices)
    result = backend.objects.read_result(job, indices[0])
    return result is not None and phase_of(result[1].get("command", ())) == parts.part_of(job, name)
