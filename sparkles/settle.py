"""Settle: end jobs whose tasks have all ended, and begin jobs that waited for them.

Level-based: every step may be cut off, repeated, or done by several at once. Workers settle, so that no client has
to be there; so do clients, in case no worker is.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

from sparkles import lifecycle, needs, plan_text, results
from sparkles.apply import execute
from sparkles.errors import BackendError, RequestError
from sparkles.lifecycle import Need
from sparkles.model import Job, JobState, Key, Records, Writes
from sparkles.plan import Loss, Rerun
from sparkles.ports import Backend
from sparkles.prepare import Prepared, find_job, prepare_stored


def settle(name: str, backend: Backend) -> None:
    """Do what is due for a job, end it or begin it; and for those that waited for it, and so on."""
    due = [name]
    while due:
        job = find_job(backend, due.pop(0))
        if job and job.state is JobState.WAITING:
            due += [job.name] if _begin(job, backend) else []  # perhaps nothing of it had to run again
        elif job and _finish(job, backend):
            due += [other.name for other in _waiting(backend) if other.waiting and job.name in other.waiting.needs]


def begin_waiting(backend: Backend) -> None:
    """Begin the waiting jobs whose needs are met."""
    for job in _waiting(backend):
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


def _begin(job: Job, backend: Backend) -> bool:
    """Give a waiting job its tasks if what it needs is done; say whether it has. Many may try, one carries it out."""
    assert job.waiting is not None
    now = needs.fingerprint(job.waiting.needs, backend)
    standing = needs.standing(job.waiting.needs, backend).values()
    if set(standing) != {Need.MET} or job.waiting.tried == now or _is_being_applied(job):
        return False
    prepared = _prepared(job, backend, tried=now)
    if prepared is None:
        return False
    # Somebody else was quicker, or the stores are out of reach or full: it is tried again.
    with suppress(BackendError, OSError):
        execute(prepared, backend, None, force=job.applying is not None, may_lose=job.waiting.may_lose)
        return True
    return False


def _is_being_applied(job: Job) -> bool:
    """Say whether somebody applies the job: a begin that makes no progress may be completed, a client's apply not."""
    if job.applying is None:
        return False
    return not (job.applying.begins and lifecycle.quiet(job, now=time.time()) >= lifecycle.BEGIN_PATIENCE)


def _prepared(job: Job, backend: Backend, *, tried: str) -> Prepared | None:
    """Prepare a waiting job; if that cannot be done, say why where `watch` looks for it."""
    assert job.waiting is not None
    try:
        for need in job.waiting.needs:
            results.tidy(need, backend)
        prepared = prepare_stored(job, backend, rerun=Rerun(job.waiting.rerun))
    except Exception as error:  # noqa: BLE001 - one job that cannot be read must not keep others from beginning
        # What is wrong with the request stays wrong until what it needs runs again; other trouble may pass.
        _note(job, str(error) or repr(error), tried if isinstance(error, RequestError) else "", backend)
        return None
    if prepared.plan.waits:
        return None
    if prepared.plan.asks and not job.waiting.may_lose:
        loss = plan_text.question(prepared.plan.asks)
        # A task that runs will end, and then there is nothing to ask any more.
        runs = any(action.loss is Loss.RUN for action in prepared.plan.asks)
        _note(job, f"{loss}; to go ahead apply it again with --yes", "" if runs else tried, backend)
        return None
    return prepared


def _note(job: Job, problem: str, tried: str, backend: Backend) -> None:
    def move(records: Records) -> Writes:
        current = records.get(Key.job(job.name))
        if not isinstance(current, Job) or current.version != job.version:
            return Writes()
        blocked = lifecycle.blocked(current, problem=problem, tried=tried)
        return Writes(put=[blocked] if blocked != current else [])

    with suppress(BackendError):
        backend.state.change([job.key], move)
