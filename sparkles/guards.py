"""Guards: what keeps a job that fails from failing a thousand times. Pure.

One lets its first tasks run before all others (`canary`), the other stops it when too many of its tasks have failed
(`failFast`). Who looks, and acts on it, is in `settle`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from enum import Enum

from sparkles.model import FAIL_FAST, OPEN, Job, JobState, TaskState
from sparkles.quantities import counted


class Trial(str, Enum):
    """How the first tasks of a job stand, which others are held back for."""

    OPEN = "open"
    PASSED = "passed"
    FAILED = "failed"


def trial(states: Collection[TaskState]) -> Trial:
    """Return what has come of the first tasks of a job, given the state of each."""
    if OPEN.intersection(states):
        return Trial.OPEN
    return Trial.PASSED if set(states) == {TaskState.SUCCEEDED} else Trial.FAILED


def max_failures(text: str | None, *, tasks: int) -> int | None:
    """Return how many of a job's tasks may fail, of so many; None for any number.

    >>> max_failures("5", tasks=1000), max_failures("2.5%", tasks=1000), max_failures("10%", tasks=9)
    (5, 25, 0)
    """
    if text is None or not text.endswith("%"):
        return None if text is None else int(text)
    whole, _, part = text[:-1].partition(".")  # in whole numbers: exact, and fractions take long to load
    return int(whole + part) * tasks // int("100" + "0" * len(part))


def failed_before(job: Job | None, *, kept: int) -> int:
    """Return how many failed tasks are not counted, given how many an apply leaves as they are.

    A job that has ended begins anew; in one that goes on, what has failed has failed.
    """
    if job is None:
        return 0
    return min(job.failed_before, kept) if job.state is JobState.ACTIVE and job.ended is None else kept


def may_be_stopped(job: Job) -> bool:
    """Say whether a job is one to be stopped when too many of its tasks have failed."""
    goes_on = job.applying is not None or (job.state is JobState.ACTIVE and job.ended is None)
    return job.max_failures is not None and goes_on


def excess(job: Job, *, failed: int) -> str | None:
    """Return why a job of which so many tasks have failed is to be stopped; None if it is not."""
    since = failed - job.failed_before
    if job.max_failures is None or since <= job.max_failures:
        return None
    return f"{FAIL_FAST}: {counted(since, 'task')} failed, more than {job.max_failures}"


def stuck(job: Job, *, problem: str, for_good: bool) -> Job:
    """Note why the tasks that are held back cannot go on although the first ones have succeeded."""
    assert job.canary is not None
    return replace(job, canary=replace(job.canary, problem=problem, is_stuck=for_good))
