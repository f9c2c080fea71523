"""Nodes: see to it that a job's tasks have nodes, and that these know what there is to do or to stop."""

from __future__ import annotations

from collections.abc import Sequence

from sparkles import lifecycle
from sparkles.errors import BackendError
from sparkles.model import OPEN, Cluster, Job, Key, Node, Records, TaskState, Writes
from sparkles.ports import Backend, Staffing


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


def start_nodes(job: Job, backend: Backend) -> None:
    """See to it that the job's open tasks have nodes, and that these know of them."""
    cluster = backend.state.read([Key.cluster(job.cluster)]).get(Key.cluster(job.cluster))
    if not isinstance(cluster, Cluster):
        return
    most = lifecycle.nodes_wanted_by(job)
    counts = backend.state.counts(job.name, states=sorted(OPEN), most=most * cluster.slots)
    if not (open_tasks := sum(counts.values())):
        return
    wanted = lifecycle.wanted_nodes(open_tasks=open_tasks, slots=cluster.slots, most=most)
    backend.compute.raise_nodes(cluster, backend.state, wanted=wanted)
    backend.compute.wake(backend.state.nodes(cluster.name))


def staffing(cluster: str, nodes: Sequence[Node], backend: Backend) -> Staffing:
    """Return what is known of a cluster's nodes beside their records `nodes`, which were read before.

    That it cannot be found out is a trouble like others: who looks at a job need not have the right to see machines.
    """
    found = backend.state.read([Key.cluster(cluster)]).get(Key.cluster(cluster))
    if not isinstance(found, Cluster) or backend.compute.elsewhere(found):
        return Staffing()
    try:
        return backend.compute.staffing(found, nodes)
    except BackendError as error:
        return Staffing(troubles=(f"whether nodes come cannot be found out: {error}",))
