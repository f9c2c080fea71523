"""Marking: an apply puts its mark on a job, so that nobody else applies it meanwhile; and gives the job up again.

One compare-and-set each: of several who mark a job at the same time one does, the others are told.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from sparkles import guards, mark, takeover
from sparkles.errors import BackendError
from sparkles.model import Applying, Job, JobState, Key, Records, TaskState, Writes
from sparkles.plan import Verb
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared

#: What is done with tasks that have to be written for it.
_WRITTEN = tuple(verb for verb in Verb if verb not in (Verb.KEEP, Verb.HOLD))


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Who applies, and what their shell exports."""

    owner: str
    environment: Mapping[str, str]


def put_mark(prepared: Prepared, backend: Backend, submitter: Submitter | None, *, force: bool = False) -> Applying:
    """Mark the job as being applied. Tasks may run from now on, so it has its environment from now on.

    Raises BackendError if the job is not what it was when this was planned, or another apply of it is under way.
    """
    key, now = Key.job(prepared.name), time.time()
    environment = _environment(prepared, backend, submitter)
    most = guards.max_failures(prepared.pinned.spec.max_failures, tasks=len(prepared.desired))
    # Until what is to run again has been made to, all that has failed is of before.
    failed = _count_failed(prepared, backend) if prepared.job and most is not None else 0
    failed_before = guards.failed_before(prepared.job, kept=failed)
    applying = _new_mark(prepared, begins=submitter is None and _makes_what_waited(prepared), now=now)

    def move(records: Records) -> Writes:
        job = records.get(key)
        assert job is None or isinstance(job, Job)
        if not takeover.is_as_planned(job, prepared.job) or (job and job.whole != prepared.whole):
            raise BackendError(f"job {prepared.name}: changed by someone else since this was planned; run it again")
        if job is None:
            assert submitter is not None
            job = Job(
                name=prepared.name, state=JobState.ACTIVE, generation=0, cluster=prepared.cluster.name,
                owner=submitter.owner, submitted=now, whole=prepared.whole,
            )  # fmt: skip
        if not takeover.may_take_over(job, applying, force=force, now=now):
            raise BackendError(
                f"job {job.name}: another apply of it is under way; wait for it, or take over with --force"
            )
        job = replace(job, applying=applying, max_failures=most, failed_before=failed_before)
        if submitter:
            job = replace(job, environment=environment, submitted=now)
        # Noted before any task is added: an index is not used again even if this apply is cut off.
        return Writes(put=[replace(job, last_index=max(job.last_index, prepared.plan.last_index))])

    backend.state.change([key], move)
    if is_fenced(prepared, backend):
        mark.raise_fences(prepared.name, applying, backend)
    elif prepared.job and prepared.job.applying:
        mark.drop_fences(prepared.name, backend)
    return applying


def _environment(prepared: Prepared, backend: Backend, submitter: Submitter | None) -> str | None:
    """Store what the submitting shell exports, for a job without an image; return its hash."""
    if submitter and backend.environments and prepared.pinned.spec.image is None:
        return backend.environments.write(submitter.environment)
    return None


def _new_mark(prepared: Prepared, *, begins: bool, now: float) -> Applying:
    return Applying(
        token=os.urandom(8).hex(),
        digest=prepared.digest,
        generation=takeover.next_generation(prepared.job, digest=prepared.digest),
        last_index=prepared.last_index,
        begins=begins,
        progress=now,
    )


def _makes_what_waited(prepared: Prepared) -> bool:
    """Say whether tasks of a job are made that had to wait until now: others may do that as well."""
    job = prepared.job
    return job is not None and (job.state is JobState.WAITING or (job.holds_back and not prepared.plan.held))


def _count_failed(prepared: Prepared, backend: Backend) -> int:
    return backend.state.counts(prepared.name, states=[TaskState.FAILED]).get(TaskState.FAILED, 0)


def is_fenced(prepared: Prepared, backend: Backend) -> bool:
    """Say whether so many tasks are written that it is worth it to write them in several streams."""
    return backend.state.streams > 1 and prepared.plan.count(*_WRITTEN) > backend.state.commit_limit


def withdraw(prepared: Prepared, backend: Backend, applying: Applying) -> None:
    """Leave the job as it was before an apply that touched no task, so that nobody has to wait for it."""
    key, before = Key.job(prepared.name), prepared.job

    def move(records: Records) -> Writes:
        job = mark.bearer(records.get(key), applying)
        if before is None:
            return Writes(remove=[key])
        # Only what `put_mark` wrote: the job may have been scaled, or have ended, meanwhile.
        restored = replace(
            job,
            applying=before.applying,
            environment=before.environment,
            submitted=before.submitted,
            last_index=before.last_index,
            max_failures=before.max_failures,
            failed_before=before.failed_before,
        )
        return Writes(put=[restored])

    with suppress(BackendError):  # taken over, or out of reach: others do not wait for ever
        backend.state.change([key], move)
        mark.drop_fences(prepared.name, backend)


def give_way(name: str, applying: Applying, backend: Backend) -> None:
    """Let another apply take over at once from this one, which goes no further."""
    key = Key.job(name)

    def move(records: Records) -> Writes:
        return Writes(put=[replace(mark.bearer(records.get(key), applying), applying=replace(applying, progress=0.0))])

    with suppress(BackendError):
        backend.state.change([key], move)
