"""Apply: make the stores hold what a manifest wants. Safe to cut off anywhere, and to run again.

1. compare-and-set the job: this apply has begun (`marking`);  2. blobs, manifest;
3. tasks in chunks, each commit guarded by the job's mark;  4. compare-and-set the job: done;  5. nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sparkles import guards, lifecycle, mark, marking, results
from sparkles import manifest as manifests
from sparkles.checkout import Look, with_git
from sparkles.errors import BackendError
from sparkles.indices import to_runs
from sparkles.mark import Marked
from sparkles.marking import Submitter
from sparkles.model import Applying, Canary, Cluster, Job, JobState, Key, Records, Waiting, Writes
from sparkles.nodes import clusters_of, look, start_nodes
from sparkles.plan import Plan, Rerun, Verb
from sparkles.ports.backend import Backend
from sparkles.ports.objects import Moved
from sparkles.prepare import Prepared, observe
from sparkles.task_writes import task_commits


def execute(
    prepared: Prepared,
    backend: Backend,
    submitter: Submitter | None,
    *,
    force: bool = False,
    begun: Applying | None = None,
    may_lose: bool = False,
    before_nodes: Callable[[], None] = lambda: None,
    uploaded: Callable[[Moved], None] = lambda _: None,
    spared: Callable[[int], None] = lambda _: None,
) -> Job:
    """Carry out what `prepare` decided; return the job as it is then.

    Without a `submitter` the job stays its owner's, in the environment that it has. It may have `begun` already. Calls
    `uploaded` as blobs are stored, `before_nodes` when the tasks are queued, and `spared` with the index of each task
    that stays as it is, because it has begun or ended since it was planned to change or go.

    What the plan loses has been agreed to; `may_lose` agrees to the rest: what comes to light later, at the latest
    when a job that waits begins. Raises BackendError if another apply of the job is under way.
    """
    fenced = marking.is_fenced(prepared, backend)
    applying = begun or marking.put_mark(prepared, backend, submitter, force=force)
    marked = Marked(prepared.name, applying, backend)
    try:
        holders = clusters_of(prepared.job, backend) if prepared.job else set()
        if prepared.job and prepared.job.applying:
            prepared = _planned_again(prepared, backend, may_lose=may_lose)
        # Whoever only goes on with a job is somewhere else.
        with Look(prepared.pinned.base if submitter else None) as folder:
            _store_content(prepared, backend, marked, uploaded)
            _store_manifest(prepared, backend, applying, folder)
    except BaseException:
        marking.withdraw(prepared, backend, applying)
        raise
    try:
        marked.commit_all(task_commits(prepared, backend, applying, spared), fenced=fenced)
        _remove_stale_results(prepared, backend)
        job = _complete(prepared, backend, applying, may_lose=may_lose)
        if fenced:
            mark.drop_fences(prepared.name, backend)
    except BaseException:
        marking.give_way(prepared.name, applying, backend)
        raise
    look(holders - {job.cluster}, backend)
    before_nodes()
    try:
        start_nodes(job, backend, anew=True, made=prepared.plan.count(Verb.ADD))
    except BackendError as error:  # its tasks are queued: they wait for nodes
        watch = f"sparkles watch {job.name}"
        raise BackendError(f"job {job.name} is submitted, but has no nodes yet: {error}; then run '{watch}'") from None
    return job


def _planned_again(prepared: Prepared, backend: Backend, *, may_lose: bool) -> Prepared:
    """Plan once more after taking over: the other apply may have gone on until its mark was replaced."""
    _, observed = observe(prepared.name, backend, cluster=prepared.cluster.name)
    again = replace(prepared, plan=prepared.planned(replace(observed, last_index=prepared.last_index)))
    agreed = {index for action in prepared.plan.asks for index in action.indices}
    if not may_lose and any(not agreed.issuperset(action.indices) for action in again.plan.asks):
        raise BackendError(f"job {prepared.name}: tasks have begun or ended since this was planned; run it again")
    return again


def _store_content(prepared: Prepared, backend: Backend, marked: Marked, uploaded: Callable[[Moved], None]) -> None:
    """Store blobs. Whoever sees that bytes move also renews this apply's mark."""
    backend.hashes.keep()
    for moved in _stored(prepared, backend):
        uploaded(moved)
        marked.renew()


def _store_manifest(prepared: Prepared, backend: Backend, applying: Applying, folder: Look) -> None:
    status: dict[str, Any] = {"generation": applying.generation}
    if prepared.plan.waits:
        status["order"] = prepared.plan.order
    else:
        status["indices"] = to_runs(prepared.plan.assigned)
    if prepared.pinned.image:
        status["image"] = prepared.pinned.image
    document = with_git({**prepared.pinned.document, "status": status}, folder.seen())
    backend.objects.write_manifest(prepared.name, applying.generation, manifests.store(document))


def _stored(prepared: Prepared, backend: Backend) -> Iterator[Moved]:
    """Store the blobs that are missing; yield as they come."""
    if prepared.local:
        yield from backend.objects.put_blobs([(prepared.source(digest), digest) for digest in prepared.local])
    kept = sorted(prepared.missing.difference(prepared.local))
    for _ in results.each(lambda digest: _keep_output(digest, prepared, backend), kept, backend):
        yield Moved(0, 0)


def _keep_output(digest: str, prepared: Prepared, backend: Backend) -> None:
    backend.objects.keep_output(*prepared.pinned.outputs[digest], digest)


def _remove_stale_results(prepared: Prepared, backend: Backend) -> None:
    """Remove results that would look current: of rows that are gone, now or in an apply that was cut off."""
    before = prepared.job
    # The kill of a job cuts off an apply of it, too, and takes its mark away.
    may_be_cut_off = before is not None and (before.applying is not None or before.state is JobState.KILLED)
    if prepared.plan.count(Verb.REMOVE) or may_be_cut_off:
        stale = set(backend.objects.results(prepared.name)).difference(backend.state.columns(prepared.name).indices)
        backend.objects.remove_results(prepared.name, sorted(stale))


def _complete(prepared: Prepared, backend: Backend, applying: Applying, *, may_lose: bool) -> Job:
    """Make the new generation the job's."""
    key, cluster_key = Key.job(prepared.name), prepared.cluster.key

    def move(records: Records) -> Writes:
        job = mark.bearer(records.get(key), applying)
        waiting = None
        if prepared.plan.waits:
            waiting = Waiting(needs=prepared.needs, rerun=_rerun_later(job, prepared), may_lose=may_lose)
        job = lifecycle.activate(
            job,
            generation=applying.generation,
            cluster=prepared.cluster.name,
            last_index=prepared.plan.last_index,
            max_nodes=prepared.pinned.spec.max_nodes,
            scaled=None if prepared.plan.unscales else job.scaled,
            waiting=waiting,
            canary=_canary(prepared.plan, may_lose=may_lose),
            failed_before=guards.failed_before(prepared.job, kept=prepared.plan.failed),
        )
        known = records.get(cluster_key)
        epoch = known.epoch if isinstance(known, Cluster) else 0
        cluster = lifecycle.bump(replace(prepared.cluster, epoch=epoch))
        return Writes(put=[job, cluster])

    job = backend.state.change([key, cluster_key], move)[key]
    assert isinstance(job, Job)
    return job


def _rerun_later(job: Job, prepared: Prepared) -> str:
    """Return what runs again when a job begins that waits: what was asked for before holds until then."""
    earlier = job.waiting or job.canary
    return earlier.rerun if earlier and prepared.rerun is Rerun.NONE else prepared.rerun.value


def _canary(plan: Plan, *, may_lose: bool) -> Canary | None:
    """Return what is held back from now on."""
    if not plan.held:
        return None
    return Canary(
        first=to_runs(plan.first),
        held=plan.held,
        rerun=plan.rerun_held.value,
        done=to_runs(plan.done),
        may_lose=may_lose,
    )
