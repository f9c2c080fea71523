"""Begin: make the tasks of a job that had to wait until now: for other jobs, or for its own first tasks.

Many may try, one carries it out; whoever is cut off leaves it to others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from sparkles import guards, lifecycle, needs, plan_text, results, takeover
from sparkles.apply import execute
from sparkles.errors import BackendError, RequestError
from sparkles.lifecycle import Need
from sparkles.model import Job, Records, Writes
from sparkles.plan import Action, Loss, Rerun
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared, prepare_stored


def begin_after_needs(job: Job, backend: Backend) -> bool:
    """Give a waiting job its tasks if what it needs is done; say whether it has. Many may try, one carries it out."""
    assert job.waiting is not None
    now = needs.fingerprint(job.waiting.needs, backend)
    standing = needs.standing(job.waiting.needs, backend).values()
    if set(standing) != {Need.MET} or job.waiting.tried == now or takeover.is_taken(job, now=time.time()):
        return False
    prepared = _prepared(job, backend, tried=now)
    if prepared is None:
        return False
    return _carried_out(prepared, backend, may_lose=job.waiting.may_lose)


def go_on(job: Job, backend: Backend) -> bool:
    """Make the tasks that were held back for the first ones; say whether that is done."""
    assert job.canary is not None
    if job.canary.is_stuck or takeover.is_taken(job, now=time.time()):
        return False
    try:
        prepared = prepare_stored(job, backend)
    except Exception as error:  # noqa: BLE001 - one job that cannot be read must not keep others from going on
        _note_stuck(job, str(error) or repr(error), backend, for_good=isinstance(error, RequestError))
        return False
    if prepared.plan.held:
        return False  # somebody has begun it anew
    asks = () if job.canary.may_lose else prepared.plan.asks
    if asks:
        for_good = all(action.loss is not Loss.RUN for action in asks)
        _note_stuck(job, _question(asks), backend, for_good=for_good)
        return False
    return _carried_out(prepared, backend, may_lose=job.canary.may_lose)


def _carried_out(prepared: Prepared, backend: Backend, *, may_lose: bool) -> bool:
    """Carry out what was prepared; say whether that is done."""
    assert prepared.job is not None
    # Somebody else was quicker, or the stores are out of reach or full: it is tried again.
    with suppress(BackendError, OSError):
        execute(prepared, backend, None, force=prepared.job.applying is not None, may_lose=may_lose)
        return True
    return False


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
        # A task that runs will end, and then there is nothing to ask any more.
        runs = any(action.loss is Loss.RUN for action in prepared.plan.asks)
        _note(job, _question(prepared.plan.asks), "" if runs else tried, backend)
        return None
    return prepared


def _question(asks: Sequence[Action]) -> str:
    return f"{plan_text.question(asks)}; to go ahead apply it again with --yes"


def _note(job: Job, problem: str, tried: str, backend: Backend) -> None:
    _change(job, lambda current: lifecycle.blocked(current, problem=problem, tried=tried), backend)


def _note_stuck(job: Job, problem: str, backend: Backend, *, for_good: bool) -> None:
    _change(job, lambda current: guards.stuck(current, problem=problem, for_good=for_good), backend)


def _change(job: Job, change: Callable[[Job], Job], backend: Backend) -> None:
    """Change a job that is still as it was when it was read."""

    def move(records: Records) -> Writes:
        current = records.get(job.key)
        if not isinstance(current, Job) or current.version != job.version:
            return Writes()
        changed = change(current)
        return Writes(put=[changed] if changed != current else [])

    with suppress(BackendError):
        backend.state.change([job.key], move)
