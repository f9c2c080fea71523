"""Nodes: see to it that a job's tasks have nodes, and that these know what there is to do or to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from sparkles import lifecycle, presence, staffing
from sparkles.errors import BackendError
from sparkles.model import Cluster, Job, JobState, Key, Node, Records, TaskState, Writes
from sparkles.ports.backend import Backend
from sparkles.ports.compute import Staffing
from sparkles.staffing import Load

#: Seconds that the nodes of a job that nobody can submit again are waited for when it has ended.
_FAREWELL = 15.0


def clusters_of(job: Job, backend: Backend) -> set[str]:
    """Return the clusters whose nodes hold tasks of a job, or may: after a change of resources there are several."""
    holders = {task.node for task in backend.state.tasks(job.name, states=[TaskState.CLAIMED]) if task.node}
    nodes = backend.state.read([Key.node(name) for name in holders]).values()
    return {job.cluster, *(node.cluster for node in nodes if isinstance(node, Node))}


def look(clusters: set[str], backend: Backend) -> None:
    """Make the nodes of clusters look at their tasks now."""
    for name in clusters:
        key = Key.cluster(name)
        backend.state.change([key], _bump)
        backend.compute.wake(backend.state.nodes(name))


def _bump(records: Records) -> Writes:
    return Writes(put=[lifecycle.bump(cluster) for cluster in records.values() if isinstance(cluster, Cluster)])


def start_nodes(job: Job, backend: Backend, *, anew: bool = False, made: int = 0) -> None:
    """See to it that the job's open tasks have nodes, and that these know of them.

    `anew`: somebody asks for that now, and may have seen to what kept nodes from coming up before. So many tasks have
    just been `made`: where that is enough for all its nodes, nobody has to count them.
    """
    cluster = find_cluster(job.cluster, backend)
    if cluster is None:
        return
    if cluster.machine is None:
        _start_nodes([job], cluster, backend, made={job.name: made})
        return
    if anew:
        nodes = backend.state.nodes(cluster.name)
        cluster = change_cluster(cluster, lambda current: staffing.begin_anew(current, nodes=nodes), backend)
    _start_nodes(jobs_of(cluster, backend), cluster, backend, made={job.name: made})


def _start_nodes(jobs: Sequence[Job], cluster: Cluster, backend: Backend, *, made: Mapping[str, int]) -> None:
    loads = [_load(job, cluster, backend, made=made.get(job.name, 0)) for job in jobs]
    if not (wanted := staffing.wanted(loads, slots=cluster.slots)):
        return
    backend.compute.raise_nodes(cluster, backend.state, wanted=wanted)
    nodes = backend.state.nodes(cluster.name)
    if cluster.machine:
        standing, most = presence.standing(nodes), staffing.most_nodes(loads)
        change_cluster(cluster, lambda current: staffing.drain(current, present=standing, most=most), backend)
    backend.compute.wake(nodes)


def jobs_of(cluster: Cluster, backend: Backend) -> Sequence[Job]:
    """Return the active jobs that the nodes of a cluster serve."""
    return [job for job in backend.state.open_jobs(cluster.name) if job.state is JobState.ACTIVE]


def staff(name: str, backend: Backend) -> None:
    """See to it that a cluster of machines has the nodes that its jobs want. One at home is staffed for each job."""
    cluster = find_cluster(name, backend)
    if cluster and cluster.machine:
        _start_nodes(jobs_of(cluster, backend), cluster, backend, made={})


def wanted_nodes(cluster: Cluster, backend: Backend) -> int:
    """Return how many nodes the jobs of a cluster want."""
    return staffing.wanted([_load(job, cluster, backend) for job in jobs_of(cluster, backend)], slots=cluster.slots)


def _load(job: Job, cluster: Cluster, backend: Backend, *, made: int = 0) -> Load:
    most = lifecycle.nodes_wanted_by(job)
    room = most * cluster.slots
    return Load(open_tasks=made if made >= room else backend.state.count_open(job.name, most=room), most=most)


def change_cluster(cluster: Cluster, change: Callable[[Cluster], Cluster | None], backend: Backend) -> Cluster:
    """Change the record of a cluster if there is anything to change; return it as it is then."""

    def move(records: Records) -> Writes:
        current = records.get(cluster.key)
        changed = change(current) if isinstance(current, Cluster) else None
        return Writes(put=[changed] if changed and changed != current else [])

    after = backend.state.change([cluster.key], move).get(cluster.key)
    return after if isinstance(after, Cluster) else cluster


def staffing_of(cluster: str, nodes: Sequence[Node], backend: Backend) -> Staffing:
    """Return what is known of a cluster's nodes beside their records `nodes`, which were read before.

    That it cannot be found out is a trouble like others: who looks at a job need not have the right to see machines.
    """
    found = find_cluster(cluster, backend)
    if found is None or backend.compute.elsewhere(found):
        return Staffing()
    try:
        return replace(backend.compute.staffing(found, nodes), asked=found.asked)
    except BackendError as error:
        return Staffing(troubles=(f"whether nodes come cannot be found out: {error}",))


def clear_away(job: Job, backend: Backend) -> None:
    """Remove what was kept to start nodes of a job that has ended, unless other jobs, or lingering nodes, use it.

    That it cannot be done is no matter: it costs nothing, and it is tried again whenever there is a reason to.
    """
    cluster = find_cluster(job.cluster, backend)
    if cluster is None or cluster.machine is None or _is_used(cluster, backend):
        return
    with suppress(BackendError):
        backend.compute.shed(cluster, backend.state.nodes(cluster.name))
        deadline = time.monotonic() + (_FAREWELL if cluster.keep == 0 else 0.0)
        while backend.state.nodes(cluster.name) and time.monotonic() < deadline:
            time.sleep(backend.timing.poll)
        clean_up({cluster.name}, backend)


def shed(clusters: set[str], backend: Backend) -> None:
    """Take back what was asked for of nodes of clusters that have no more jobs: it might come much later."""
    for cluster in filter(None, (find_cluster(name, backend) for name in clusters)):
        if cluster.machine and not _is_used(cluster, backend):
            with suppress(BackendError):  # those nodes find nothing to do when they come, and go again
                backend.compute.shed(cluster, backend.state.nodes(cluster.name))


def clean_up(clusters: set[str], backend: Backend) -> None:
    """Remove what was kept to start nodes of clusters that have none, and no jobs."""
    for cluster in filter(None, (find_cluster(name, backend) for name in clusters)):
        if cluster.machine and not _is_used(cluster, backend) and not backend.state.nodes(cluster.name):
            backend.compute.clean_up(cluster, backend.state)


def _is_used(cluster: Cluster, backend: Backend) -> bool:
    return any(job.state is not JobState.KILLED for job in backend.state.open_jobs(cluster.name))


def find_cluster(name: str, backend: Backend) -> Cluster | None:
    """Return the cluster of this name, or None."""
    found = backend.state.read([Key.cluster(name)]).get(Key.cluster(name))
    return found if isinstance(found, Cluster) else None


def given_up(job: Job, backend: Backend) -> bool:
    """Say whether no more nodes are started for a job, because those before came to nothing, and none is left."""
    cluster = find_cluster(job.cluster, backend)
    if cluster is None or cluster.machine is None or not cluster.boots:
        return False
    nodes = backend.state.nodes(cluster.name)
    wanted = wanted_nodes(cluster, backend)
    if nodes or not wanted or staffing.boots_left(cluster, wanted=wanted):
        return False
    coming = backend.compute.staffing(cluster, nodes)
    return not (coming.staging or coming.submitted)
