"""Settle: end jobs whose tasks have all ended or too many failed, and begin what waited for them.

Level-based: every step may be cut off, repeated, or done by several at once. Workers settle, so that no client has
to be there; so do clients, in case no worker is.
"""

from __future__ import annotations

import time
from dataclasses import replace

from sparkles import guards, lifecycle
from sparkles.begin import begin_after_needs, go_on
from sparkles.ending import kill_if_same, kill_open
from sparkles.guards import Trial
from sparkles.indices import from_runs
from sparkles.model import Job, JobState, Key, Records, Task, TaskState, Writes
from sparkles.ports.backend import Backend
from sparkles.prepare import find_job


def settle(name: str, backend: Backend) -> None:
    """Do what is due for a job, end it or begin it; and for those that waited for it, and so on."""
    due = [name]
    while due:
        job = _stopped(find_job(backend, due.pop(0)), backend)
        if job and job.state is JobState.WAITING:
            due += [job.name] if begin_after_needs(job, backend) else []  # perhaps nothing of it had to run again
        elif job and job.holds_back and (come := _trial(job, backend)) is not Trial.FAILED:
            due += [job.name] if come is Trial.PASSED and go_on(job, backend) else []
        elif job and _finish(job, backend):
            due += [other.name for other in _waiting(backend) if other.waiting and job.name in other.waiting.needs]


def settle_waiting(backend: Backend) -> None:
    """Begin the waiting jobs whose needs are met, and go on with those whose first tasks have succeeded."""
    for job in backend.state.open_jobs():
        if job.has_more:
            settle(job.name, backend)


def _waiting(backend: Backend) -> list[Job]:
    return [job for job in backend.state.open_jobs() if job.state is JobState.WAITING]


def agree(job: Job, backend: Backend) -> None:
    """Agree beforehand to what the begin of a waiting job loses."""

    def move(records: Records) -> Writes:
        current = records.get(job.key)
        if not isinstance(current, Job) or current.waiting is None:
            return Writes()
        return Writes(put=[replace(current, waiting=replace(current.waiting, may_lose=True, tried=""))])

    backend.state.change([job.key], move)
    settle(job.name, backend)


def _stopped(job: Job | None, backend: Backend) -> Job | None:
    """Stop a job of which too many tasks have failed, and complete a kill that was cut off; return it as it is then."""
    if job is None:
        return None
    why = _excess(job, backend)
    if not why and not lifecycle.is_being_killed(job):
        return job
    if why:
        kill_if_same(job, backend, by=why)
    else:
        kill_open(job, backend)
    return find_job(backend, job.name)


def _excess(job: Job, backend: Backend) -> str | None:
    """Return why a job with open tasks is to be stopped; None if it is not."""
    if job.max_failures is None or not guards.may_be_stopped(job):
        return None
    most = job.failed_before + job.max_failures + 1
    failed = backend.state.counts(job.name, states=[TaskState.FAILED], most=most).get(TaskState.FAILED, 0)
    why = guards.excess(job, failed=failed)
    return why if why and (job.applying or backend.state.is_open(job.name)) else None


def _trial(job: Job, backend: Backend) -> Trial:
    """Return what has come of the first tasks of a job."""
    assert job.canary is not None
    keys = [Key.task(job.name, index) for index in from_runs(job.canary.first)]
    records = backend.state.read(keys)
    return guards.trial([record.state for record in records.values() if isinstance(record, Task)])


def _finish(job: Job, backend: Backend) -> bool:
    """End a job that has no open task. Nothing happens if there is one, or if an apply adds some meanwhile."""
    if not lifecycle.may_finish(job) or backend.state.is_open(job.name):
        return False

    def move(records: Records) -> Writes:
        current = records.get(job.key)
        if not isinstance(current, Job) or current.version != job.version:
            return Writes()
        return Writes(put=[lifecycle.finish_job(current, now=time.time())])

    return job.key in backend.state.change([job.key], move)
