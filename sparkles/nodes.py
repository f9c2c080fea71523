"""Nodes: see to it that a job's tasks have nodes, and that these know what there is to do or to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparkles import lifecycle, staffing
from sparkles.model import OPEN, Cluster, Job, JobState, Key, Node, Records, TaskState, Writes
from sparkles.ports import Backend
from sparkles.staffing import Load


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


def start_nodes(job: Job, backend: Backend, *, anew: bool = False) -> None:
    """See to it that the job's open tasks have nodes, and that these know of them.

    `anew`: somebody asks for that now, and may have seen to what kept nodes from coming up before.
    """
    cluster = backend.state.read([Key.cluster(job.cluster)]).get(Key.cluster(job.cluster))
    if not isinstance(cluster, Cluster):
        return
    if cluster.machine is None:
        loads = [_load(job, cluster, backend)]
    else:
        if anew:
            nodes = backend.state.nodes(cluster.name)
            cluster = change_cluster(cluster, lambda current: staffing.begin_anew(current, nodes=nodes), backend)
        loads = [_load(each, cluster, backend) for each in jobs_of(cluster, backend)]
    if not (wanted := staffing.wanted(loads, slots=cluster.slots)):
        return
    backend.compute.raise_nodes(cluster, backend.state, wanted=wanted)
    nodes = backend.state.nodes(cluster.name)
    if cluster.machine:
        alive = sum(node.state in staffing.PRESENT for node in nodes)
        most = staffing.most_nodes(loads)
        change_cluster(cluster, lambda current: staffing.drain(current, present=alive, most=most), backend)
    backend.compute.wake(nodes)


def jobs_of(cluster: Cluster, backend: Backend) -> Sequence[Job]:
    """Return the active jobs that the nodes of a cluster serve."""
    return [job for job in backend.state.jobs() if job.cluster == cluster.name and job.state is JobState.ACTIVE]


def staff(name: str, backend: Backend) -> None:
    """See to it that a cluster of machines has the nodes that its jobs want. One at home is staffed for each job."""
    cluster = backend.state.read([Key.cluster(name)]).get(Key.cluster(name))
    if isinstance(cluster, Cluster) and cluster.machine and (jobs := jobs_of(cluster, backend)):
        start_nodes(jobs[0], backend)


def _load(job: Job, cluster: Cluster, backend: Backend) -> Load:
    most = lifecycle.nodes_wanted_by(job)
    counts = backend.state.counts(job.name, states=sorted(OPEN), most=most * cluster.slots)
    return Load(open_tasks=sum(counts.values()), most=most)


def change_cluster(cluster: Cluster, change: Callable[[Cluster], Cluster | None], backend: Backend) -> Cluster:
    """Change the record of a cluster if there is anything to change; return it as it is then."""

    def move(records: Records) -> Writes:
        current = records.get(cluster.key)
        changed = change(current) if isinstance(current, Cluster) else None
        return Writes(put=[changed] if changed and changed != current else [])

    after = backend.state.change([cluster.key], move).get(cluster.key)
    return after if isinstance(after, Cluster) else cluster
