"""Takeover: who may apply a job whose apply is under way or was cut off, and how one finds out that somebody has. Pure.

An apply leaves its mark on the job (`mark`), and says that it goes on as long as it does: who has been quiet for too
long is taken for dead. Time is an argument.
"""

from __future__ import annotations

import math

from sparkles.model import Applying, Job, JobState

#: Seconds without progress after which another apply may take over.
APPLY_PATIENCE = 60.0

#: Seconds without progress after which the begin of a job that waited is taken for cut off, and done again.
BEGIN_PATIENCE = 10.0


def next_generation(job: Job | None, *, digest: str) -> int:
    """Return the generation that an apply of the manifest with this digest leads to.

    An unfinished apply of the same manifest is resumed under its number; that of another keeps its number,
    because tasks may already point to its manifest.
    """
    if job is None:
        return 1
    if job.applying is None:
        return job.generation + 1
    return job.applying.generation + (job.applying.digest != digest)


def may_take_over(job: Job, mine: Applying, *, force: bool, now: float) -> bool:
    """Say whether an apply may begin while another has not ended: if it is the same, stuck, or forced."""
    is_free = job.applying is None or job.applying.digest == mine.digest
    return is_free or force or quiet(job, now=now) > APPLY_PATIENCE


def is_taken(job: Job, *, now: float) -> bool:
    """Say whether a job that begins or goes on by itself is left to the apply that is under way.

    A begin that makes no progress may be completed by anybody, a client's apply not.
    """
    if job.applying is None:
        return False
    return not (job.applying.begins and quiet(job, now=now) >= BEGIN_PATIENCE)


def is_cut_off(job: Job, *, now: float) -> bool:
    """Say whether an apply of the job has stopped half-way, and only its submitter can complete it."""
    return job.applying is not None and not job.applying.begins and quiet(job, now=now) > APPLY_PATIENCE


def quiet(job: Job, *, now: float) -> float:
    """Return for how many seconds nothing has been heard of the apply of a job.

    By the clock of the store, where it has one: applies are made on machines whose clocks differ. One that said that
    it goes no further has been quiet for ever.
    """
    assert job.applying is not None
    if not job.applying.progress:
        return math.inf
    return now - job.applying.progress if job.silence is None else job.silence


def is_same_run(job: object, other: Job) -> bool:
    """Say whether a job is still what it was when it was read as `other`: nobody has begun it anew, or killed it."""
    return isinstance(job, Job) and _run(job) == _run(other)


def _run(job: Job) -> object:
    return job.submitted, job.generation, job.state, job.applying and job.applying.token


def is_as_planned(job: Job | None, planned: Job | None) -> bool:
    """Say whether a job is still what an apply of it was planned for, and may have ended meanwhile.

    Not if another apply has begun, nor if it was killed while more tasks of it were to come.
    """
    return _planned_for(job) == _planned_for(planned)


def _planned_for(job: Job | None) -> object:
    if job is None:
        return None
    # Not `has_more`: a job that ends since its first tasks have failed is what it was, only a kill takes that away.
    had_more = job.waiting is not None or (job.canary is not None and job.state is not JobState.KILLED)
    return job.submitted, job.generation, had_more, job.applying and job.applying.token
