"""Execute: what was prepared is carried out, of several jobs only if all can be begun, and people see how far it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sparkles import apply, needs, nodes, recover
from sparkles.cli.context import hint
from sparkles.cli.submission import ask, owner, require_owner
from sparkles.cli.transfer import Transfer
from sparkles.marking import Submitter
from sparkles.model import Applying, Job, TaskState
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared, find_job
from sparkles.quantities import human_bytes
from sparkles.settle import agree, settle
from sparkles.together import Together, together
from sparkles.watch import Watcher

#: Tasks that are named which an apply left as they were.
_SPARED = 3


@dataclass(frozen=True, kw_only=True)
class _How:
    """How jobs are applied."""

    #: None: as whoever submitted them, in the environment that they have.
    submitter: Submitter | None
    may_lose: bool
    turns: Together


def carry_out(
    prepared: Sequence[Prepared],
    backend: Backend,
    *,
    force: bool = False,
    yes: bool = False,
    as_it_was: bool = False,
    ending: Sequence[Job] = (),
    watcher: Watcher | None = None,
) -> list[Job]:
    """Apply what was prepared, in this shell's environment or in the one that the jobs had, `as_it_was`.

    Where there is nothing to do, it sees to it that what runs has nodes. The waits of jobs that are `ending` end before
    anything else changes. A watcher prints how the first job stands when its tasks are queued. Returns the jobs.
    """
    for waiting in ending:
        _confirm_end(waiting, backend, yes=yes)
    changed = [one for one in prepared if not one.plan.is_empty]
    submitter = None if as_it_was else Submitter(owner=owner(), environment=dict(os.environ))
    stored: frozenset[str] = frozenset()
    with together(changed, backend, submitter, force=force) as turns:
        how = _How(submitter=submitter, may_lose=yes, turns=turns)
        for waiting in ending:
            recover.leave_out(waiting, backend)
        for one in prepared:
            if one.plan.is_empty:
                _heal(one, backend, yes=yes)
                continue
            _apply(replace(one, missing=one.missing - stored), backend, how, watcher if one is prepared[0] else None)
            stored |= one.missing
    return [job for one in prepared if (job := find_job(backend, one.name))]


def _confirm_end(job: Job, backend: Backend, *, yes: bool) -> None:
    """Ask before a job is killed that waits, if it has tasks from before that have not ended."""
    require_owner(job, yes=yes)
    if not yes and backend.state.is_open(job.name):
        ask(f"job {job.name}, no part of {job.whole} any more: tasks have not ended; they would be stopped")


def hint_at_waits(prepared: Sequence[Prepared], backend: Backend) -> None:
    """Say what jobs that were applied wait for if that will not come by itself."""
    for one in prepared:
        job = None if one.plan.is_empty else find_job(backend, one.name)
        if job and (why := needs.stuck(job, backend)):
            hint(f"hint: {why}")


def _heal(prepared: Prepared, backend: Backend, *, yes: bool) -> None:
    if prepared.job:
        if yes and prepared.plan.waits:
            agree(prepared.job, backend)
        recover.heal(prepared.job, backend)


def _apply(prepared: Prepared, backend: Backend, how: _How, watcher: Watcher | None) -> None:
    cluster = prepared.cluster
    recover.sweep({cluster.name}, backend)  # a dead node must not be counted on
    backend.compute.require(cluster, backend.state.nodes(cluster.name))
    if prepared.libraries:
        size = human_bytes(prepared.source(prepared.libraries).stat().st_size)
        hint(f"hint: the libraries of the worker program ({size}) are uploaded, too, once for all jobs")
    # At home nothing is kept to start nodes, and nobody need ask who holds what.
    earlier = nodes.clusters_of(prepared.job, backend) if prepared.job and cluster.machine else set()
    _execute(prepared, backend, how, how.turns.turn(prepared), watcher)
    nodes.clean_up(earlier - {cluster.name}, backend)
    if not prepared.plan.runs:  # an apply that changed only settings leaves nothing to wait for
        settle(prepared.name, backend)


def _execute(prepared: Prepared, backend: Backend, how: _How, begun: Applying, watcher: Watcher | None) -> None:
    upload = Transfer("uploading", files=prepared.upload["missing"], size=prepared.upload["upload_bytes"])
    spared: set[int] = set()

    def before_nodes() -> None:
        upload.close()
        if watcher:
            watcher.status(_counts(prepared, backend), backend.state.nodes(prepared.cluster.name))

    with upload:
        apply.execute(
            prepared, backend, how.submitter, begun=begun, may_lose=how.may_lose, before_nodes=before_nodes,
            uploaded=upload.add, spared=spared.add,
        )  # fmt: skip
    for index in sorted(spared)[:_SPARED]:
        task = f"{prepared.name}.{index}"
        hint(f"hint: {task} has begun or ended meanwhile, and is left as it is; 'sparkles diff' shows it")


def _counts(prepared: Prepared, backend: Backend) -> Mapping[TaskState, int]:
    """Return how many tasks are in each state, now that they are queued; of a new job that needs no counting."""
    if prepared.job is None and not prepared.plan.waits:
        return {TaskState.PENDING: prepared.plan.runs}
    return backend.state.counts(prepared.name)
