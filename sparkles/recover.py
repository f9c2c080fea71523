"""Recover: bring back the tasks of nodes that are gone; heal, stop, scale and delete jobs.

Level-based: every step may be cut off, repeated, or done by several at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sparkles import lifecycle, mark, presence, staffing
from sparkles.ending import kill_open
from sparkles.errors import BackendError
from sparkles.model import OPEN, Cluster, Job, Key, Node, NodeState, Records, Task, TaskState, Writes
from sparkles.nodes import clusters_of, look, shed, staff, start_nodes
from sparkles.ports.backend import Backend
from sparkles.ports.state import Move
from sparkles.prepare import find_job
from sparkles.results import tidy
from sparkles.settle import settle
from sparkles.streams import in_streams
from sparkles.task_writes import chunks

#: Tasks given back in one commit.
_BATCH = 100


def heal(job: Job, backend: Backend) -> None:
    """Do for a job whatever its nodes cannot do: sweep, settle, start nodes."""
    sweep(clusters_of(job, backend), backend)
    settle(job.name, backend)
    start_nodes(job, backend)


def sweep(clusters: set[str], backend: Backend, *, quiet: float = 0.0) -> list[Node]:
    """Take the tasks from the nodes of clusters that have lapsed. Returns those nodes.

    With `quiet`, only nodes that have not been heard of for so many seconds are looked at.
    """
    nodes = [node for name in clusters for node in backend.state.nodes(name, quiet=quiet)]
    found = backend.compute.lapsed(nodes)
    # Marked before anything of it is killed: where nobody can write, a worker that cannot report is not to blame.
    lapsed = [node for node in found if _give_up(node, backend)]
    for node in lapsed:
        started = backend.compute.fence(node)
        jobs = _give_back(node, started, backend)
        if not staffing.is_succeeded(node, backend.state.nodes(node.cluster)):
            backend.compute.forget(node, needed=bool(backend.state.pending(node.cluster, limit=1)))
        backend.state.change([node.key, Key.cluster(node.cluster)], _gone)
        for job in jobs:
            tidy(job, backend)
            settle(job, backend)
    for name in {node.cluster for node in lapsed}:
        look({name}, backend)  # other nodes may take what this one held
        staff(name, backend)
    return lapsed


def _give_up(node: Node, backend: Backend) -> bool:
    """Mark a node as lost; False if it has reported since it was looked at, or is gone."""

    def move(records: Records) -> Writes:
        current = records.get(node.key)
        if not isinstance(current, Node) or current.state is NodeState.GONE or current.beat != node.beat:
            return Writes()
        return Writes(put=[presence.lose(current)])

    return node.key in backend.state.change([node.key], move)


def _gone(records: Records) -> Writes:
    """End a lost node, once. A spot node that ends without a word was taken away: nobody can tell that from a crash."""
    lost = [node for node in records.values() if isinstance(node, Node) and node.state is NodeState.LOST]
    clusters = [cluster for cluster in records.values() if isinstance(cluster, Cluster)]
    taken = [staffing.preempted(cluster) for cluster in clusters if any(node.spot for node in lost)]
    return Writes(put=[*(presence.go(node) for node in lost), *taken])


def _give_back(node: Node, started: frozenset[str] | None, backend: Backend) -> set[str]:
    """Return the jobs whose tasks the node held, after taking them away."""
    jobs: set[str] = set()

    def move(records: Records) -> Writes:
        now, limit = time.time(), lifecycle.loss_limit(node)
        return Writes(
            put=[
                lifecycle.give_back(task, now=now, lost=started is None or task.claim in started, limit=limit)
                for task in records.values()
                if isinstance(task, Task) and task.state is TaskState.CLAIMED and task.node == node.name
            ]
        )

    while held := backend.state.held(node.name)[:_BATCH]:
        written = backend.state.change([task.key for task in held], move)
        jobs.update(task.job for task in held)
        for task in held:
            if task.key in written:
                backend.objects.discard(task.job, task.index, task.claim or "")
    return jobs


def stop(job: Job, backend: Backend, *, by: str | None = None, index: int | None = None) -> int:
    """Kill the open tasks of a job, all or one; return how many. What has ended stays as it is. `by`: who asks."""
    settle(job.name, backend)
    job = find_job(backend, job.name) or job
    stopped = _stop_one(job, index, backend, by=by) if index else _stop_all(job, backend, by=by)
    clusters = clusters_of(job, backend)
    sweep(clusters, backend)
    settle(job.name, backend)
    shed(clusters, backend)
    return stopped


def _stop_all(job: Job, backend: Backend, *, by: str | None) -> int:
    # Marked before its tasks are listed: from then on nobody adds any.
    if job.applying or job.has_more or backend.state.is_open(job.name):
        _change(job, backend, lambda current: lifecycle.kill_job(current, by=by))
    number = len(backend.state.open_indices(job.name))
    kill_open(job, backend)
    return number


def _stop_one(job: Job, index: int, backend: Backend, *, by: str | None) -> int:
    def move(records: Records) -> Writes:
        tasks = [task for task in records.values() if isinstance(task, Task) and task.state in OPEN]
        return Writes(put=[lifecycle.kill(task, now=time.time(), by=by) for task in tasks])

    stopped = len(backend.state.change([Key.task(job.name, index)], move))
    look(clusters_of(job, backend), backend)
    return stopped


def leave_out(job: Job, backend: Backend) -> None:
    """End the wait of a job that is no part of its whole any more."""
    _change(job, backend, lifecycle.leave_out)
    settle(job.name, backend)


def rescale(job: Job, nodes: int, backend: Backend) -> None:
    """Let at most this many nodes serve a job, until its manifest says something else; start what is missing."""
    _change(job, backend, lambda current: lifecycle.scale(current, nodes))
    if current := find_job(backend, job.name):
        start_nodes(current, backend, anew=True)


def delete(job: Job, backend: Backend, *, results: bool) -> None:
    """Remove a job: its tasks, its results if asked to, what was kept for it, and at last its record.

    As long as there is a record, a removal that was cut off can be completed by doing it again.
    """
    clusters = clusters_of(job, backend)
    _change(job, backend, lifecycle.kill_job)
    indices = backend.state.columns(job.name).indices
    _change_tasks(job, indices, lambda records: Writes(remove=list(records)), backend)
    if results:
        backend.objects.remove_results(job.name)
    backend.objects.remove_records(job.name)
    _change(job, backend, lambda _: None)
    look(clusters, backend)
    shed(clusters, backend)


def _change_tasks(job: Job, indices: Sequence[int], move: Move, backend: Backend) -> None:
    """Change tasks, as many in a commit as the store takes."""
    keys = chunks((Key.task(job.name, index) for index in indices), backend.state.commit_limit)
    in_streams(lambda some: backend.state.change(some, move), keys, streams=backend.state.streams)


def _change(job: Job, backend: Backend, change: Callable[[Job], Job | None]) -> None:
    """Change, or remove, the record of this very job: not of one that has taken its name meanwhile."""

    def move(records: Records) -> Writes:
        current = records.get(job.key)
        if not isinstance(current, Job) or current.submitted != job.submitted:
            raise BackendError(f"job {job.name}: changed by someone else meanwhile; look at it and run this again")
        changed = change(current)
        return Writes(put=[changed]) if changed else Writes(remove=[job.key])

    after = backend.state.change([job.key], move).get(job.key)
    if not (isinstance(after, Job) and after.applying):
        mark.drop_fences(job.name, backend)
