"""Names: which jobs and tasks a user means."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from datetime import datetime

from sparkles.errors import RequestError, nearest
from sparkles.model import Job

LAST = "LAST"

_GENERATED = re.compile("[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")

_TASK = re.compile(r"(?P<job>.+)\.(?P<index>[1-9][0-9]*)")


class UnknownJobError(RequestError):
    """No job has this name."""

    def __init__(self, pattern: str, hint: str) -> None:
        self.pattern = pattern
        super().__init__(f"no job {pattern!r} here{hint}")


def generated(now: datetime, token: str) -> str:
    """Return the name of a job that was given none.

    >>> generated(datetime(2019, 2, 12, 21, 28, 15), "bf0a")
    '20190212-212815-bf0a'
    """
    return f"{now:%Y%m%d-%H%M%S}-{token}"


def is_generated(name: str) -> bool:
    """Say whether a name is one that `generated` makes.

    >>> is_generated("20190212-212815-bf0a"), is_generated("fit-2019")
    (True, False)
    """
    return _GENERATED.fullmatch(name) is not None


def split_task(text: str) -> tuple[str, int | None]:
    """Return (job, index) of `JOB.N`, or (job, None) of `JOB`. Names of jobs hold no dot.

    >>> split_task("sweep.3"), split_task("sweep")
    (('sweep', 3), ('sweep', None))
    """
    match = _TASK.fullmatch(text)
    return (match["job"], int(match["index"])) if match else (text, None)


def matching(pattern: str, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that a name, LAST or a glob stands for; `jobs` are oldest first. Never empty.

    The name of a whole stands for all of its parts, and so does LAST if the newest job is one of them.
    """
    if pattern == LAST and jobs:
        pattern = jobs[-1].whole or jobs[-1].name
    found = [job for job in jobs if job.whole == pattern] or [job for job in jobs if job.name == pattern]
    if not found and any(sign in pattern for sign in "*?["):
        found = [job for job in jobs if fnmatch.fnmatchcase(job.name, pattern)]
    if not found:
        names = list(dict.fromkeys(name for job in jobs for name in (job.whole, job.name) if name))
        hint = nearest(pattern, names) or ("; 'sparkles status' lists the jobs" if names else "; there are no jobs")
        raise UnknownJobError(pattern, hint)
    return found


def one(pattern: str, jobs: Sequence[Job]) -> Job:
    """Return the one job that `pattern` stands for: of the parts of a whole the one that has its name."""
    found = matching(pattern, jobs)
    if len(found) > 1:
        if (namesake := next((job for job in found if job.name == job.whole), None)) and whole_of(found):
            return namesake
        raise RequestError(
            f"{pattern!r} stands for {len(found)} jobs; name one: {', '.join(j.name for j in found[:5])}"
        )
    return found[0]


def whole_of(jobs: Sequence[Job]) -> str | None:
    """Return the name of the whole that some jobs are parts of; None if they are not all of the same one."""
    wholes = {job.whole for job in jobs}
    return wholes.pop() if len(wholes) == 1 else None
