"""Compute on VMs: a cluster is a group of VMs that Google keeps at its size; who asks for nodes raises that.

Nodes themselves lower it: each removes its own machine. A group makes a machine anew that was taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sparkles import presence, staffing
from sparkles.backends.gcp.vms import members, reasons, template
from sparkles.backends.gcp.vms.boot_logs import BootLogs
from sparkles.backends.gcp.vms.group_names import group_of, standard_group
from sparkles.backends.gcp.vms.labels import our_labels
from sparkles.backends.gcp.vms.members import Member
from sparkles.backends.gcp.vms.scaler import Lease, scaling
from sparkles.errors import BackendError
from sparkles.machine import Machine
from sparkles.model import Cluster, Node, NodeState
from sparkles.ports.compute import Staffing
from sparkles.ports.state import StateStore
from sparkles.spec import JobSpec
from sparkles.timing import Timing

if TYPE_CHECKING:
    from sparkles.backends.gcp.vms.groups import Groups

#: Times that members which have yet to be made are taken back.
_SHEDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOf:
    """One of the groups of a cluster."""

    name: str
    spot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a group was seen to have."""

    name: str
    target: int
    members: Sequence[Member]

    def present(self, nodes: Sequence[Node]) -> int:
        """Return how many nodes it has, or will have."""
        return staffing.present(self.members, nodes, target=self.target)

    def made(self, nodes: Sequence[Node]) -> int:
        """Return how many it has that have been made."""
        return staffing.present([member for member in self.members if not member.is_coming], nodes)


def groups_of(cluster: Cluster) -> Sequence[GroupOf]:
    """Return the groups that a cluster has: a second one if standard machines help out the spot ones."""
    machine = _machine(cluster)
    first = GroupOf(name=cluster.name, spot=machine.spot)
    if machine.spot and machine.on_demand_after is not None:
        return [first, GroupOf(name=standard_group(cluster.name), spot=False)]
    return [first]


class VmCompute:
    """Compute on VMs of Compute Engine."""

    def __init__(
        self,
        *,
        groups: Callable[[str], Groups],
        machine: Callable[[JobSpec, str | None], Machine],
        supplies: Callable[[Machine], Mapping[str, Path]],
        metadata: Callable[[Cluster, GroupOf], Mapping[str, str]],
        boot_logs: BootLogs,
        timing: Timing,
        own: Node | None = None,
    ) -> None:
        #: Returns the calls about groups, given their region.
        self._groups_in = groups
        self._machine_for = machine
        self._supplies = supplies
        #: Returns what a VM of a group is told.
        self._metadata = metadata
        self._boot_logs = boot_logs
        self._timing = timing
        #: The node that this runs on, if it does.
        self._own = own

    def require(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        """See Compute. The groups are made, without VMs: what stands against them comes up now."""
        if not any(node.state is NodeState.ALIVE for node in nodes):
            self._make_groups(cluster)

    def machine(self, spec: JobSpec, image: str | None) -> Machine:
        """See Compute."""
        return self._machine_for(spec, image)

    def supplies(self, cluster: Cluster) -> Mapping[str, Path]:
        """See Compute."""
        return self._supplies(cluster.machine) if cluster.machine else {}

    def elsewhere(self, cluster: Cluster) -> str | None:
        """See Compute."""
        return (
            None if cluster.machine else "its tasks run on the machine that it was submitted from, with compute: local"
        )

    def raise_nodes(self, cluster: Cluster, state: StateStore, *, wanted: int) -> None:
        """See Compute."""
        if cluster.machine is None or presence.standing(state.nodes(cluster.name)) >= wanted > 0:
            return
        if wanted == 0:
            self._make_groups(cluster)
            return
        with scaling(cluster, state) as lease:
            if lease is None:
                return  # whoever has it starts nodes for the same tasks
            cluster = _current(cluster, state)
            if not cluster.boots:
                self._boot_logs.remove(cluster.name)  # they are of nodes that were given up before
            nodes = state.nodes(cluster.name)  # read before the members: who is gone by then has lowered the target
            self._raise(cluster, nodes, lease, wanted=wanted)

    def _raise(self, cluster: Cluster, nodes: Sequence[Node], lease: Lease, *, wanted: int) -> None:
        """Ask for the nodes that are missing."""
        calls = self._calls(cluster)
        first, *others = [self._seen(cluster, each, calls) for each in groups_of(cluster)]
        left = staffing.boots_left(cluster, wanted=wanted)
        standard = staffing.standard_wanted(cluster, wanted=wanted, spot=first.made(nodes)) if others else 0
        spot = 0 if standard and staffing.helps_out(cluster) else wanted - standard
        for group, share in ((first, spot), *((other, standard) for other in others)):
            missing = min(share - group.present(nodes), left - lease.asked)
            if missing > 0 and lease.renew():
                calls.resize(group.name, group.target + missing)
                lease.asked += missing

    def _seen(self, cluster: Cluster, group: GroupOf, calls: Groups) -> _Seen:
        """Look at a group. Somebody may have cleared it away since it was made for this very cluster."""
        if found := calls.find(group.name):
            return _Seen(name=group.name, target=found.target, members=calls.members(group.name))
        self._make(cluster, group, calls)
        return _Seen(name=group.name, target=0, members=[])

    def _make_groups(self, cluster: Cluster) -> None:
        """Make the groups of a cluster that are not there. A node may not, and finds them there."""
        calls = self._calls(cluster)
        for each in groups_of(cluster):
            if calls.find(each.name) is None:
                self._make(cluster, each, calls)

    def _make(self, cluster: Cluster, group: GroupOf, calls: Groups) -> None:
        if self._own:
            raise BackendError(f"group {group.name} is not there any more; 'sparkles watch' makes it anew")
        machine = _machine(cluster)
        zones = calls.zones_for(machine)
        made_of = template.template(
            group.name, machine, spot=group.spot, metadata=self._metadata(cluster, group),
            labels=our_labels(cluster.owner_job or "", cluster.name),
        )  # fmt: skip
        try:
            calls.make_template(made_of)
            calls.make(template.group(group.name, template=calls.template_path(group.name), zones=zones))
        except reasons.RefusedError as error:
            why = reasons.meant(error.fault, machine=machine, project=calls.project)
            raise BackendError(f"{error.what}: {why}") from error

    def shed(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        """See Compute. Again and again: what a group is to have it lists after a moment."""
        calls = self._calls(cluster)
        for _ in range(_SHEDS):
            listed = {each.name: calls.members(each.name) for each in groups_of(cluster)}
            doomed = staffing.to_shed([member for some in listed.values() for member in some], nodes)
            if not doomed:
                return
            for name, some in listed.items():
                if paths := [member.path for member in some if member in doomed]:
                    calls.delete_members(name, paths)

    def staffing(self, cluster: Cluster, nodes: Sequence[Node]) -> Staffing:
        """See Compute."""
        calls = self._calls(cluster)
        listed = [member for each in groups_of(cluster) for member in calls.members(each.name)]
        coming = members.staging(listed, nodes)
        refused = [member for member in coming if member.is_coming and member.faults]
        return Staffing(
            submitted=len(refused),
            staging=len(coming) - len(refused),
            troubles=tuple(self._troubles(cluster, refused, calls.project)),
        )

    def _troubles(self, cluster: Cluster, refused: Sequence[Member], project: str) -> Iterator[str]:
        machine = _machine(cluster)
        yield from reasons.troubles([each.faults[0] for each in refused], machine=machine, project=project)
        if cluster.boots:
            lines = self._boot_logs.first_lines(cluster.name)
            yield from reasons.bad_boots(lines, machine=machine, project=project)
        if taken := reasons.taken_away(preemptions=cluster.preemptions, machine=machine):
            yield taken

    def clean_up(self, cluster: Cluster, state: StateStore) -> None:
        """See Compute. Left as it is while somebody starts nodes, or a VM is there."""
        if cluster.machine is None:
            return
        calls = self._calls(cluster)
        with scaling(cluster, state, patience=0.0) as lease:
            if lease is None or state.nodes(cluster.name):
                return
            for each in groups_of(cluster):
                group = calls.find(each.name)
                if group and group.target == 0 and all(member.is_going for member in calls.members(each.name)):
                    calls.remove(each.name)
            self._boot_logs.remove(cluster.name)

    def wake(self, nodes: Sequence[Node]) -> None:
        """See Compute. No VM can be called: each looks by itself."""

    def lapsed(self, nodes: Sequence[Node]) -> Sequence[Node]:
        """See Compute. A node judges another by its silence, and an earlier one of its own machine by being there."""
        return [node for node in nodes if self._has_lapsed(node)]

    def _has_lapsed(self, node: Node) -> bool:
        if self._own and node.instance_id == self._own.instance_id and node.name != self._own.name:
            return True
        return node.silence is not None and node.silence > self._timing.silence

    def fence(self, node: Node) -> frozenset[str] | None:  # noqa: ARG002 - whatever the node
        """See Compute. It has fenced itself: its lease was over before it was given up."""
        return None

    def forget(self, node: Node, *, needed: bool) -> None:
        """See Compute. Only that very machine: one made anew under its name is another."""
        if node.instance_id is None or self._is_own_machine(node):
            return
        calls = self._groups_in(_region(node))
        name = group_of(node)
        for member in calls.members(name):
            if member.id == node.instance_id and not (member.is_going or member.is_coming):
                (calls.recreate_members if needed else calls.delete_members)(name, [member.path])

    def _is_own_machine(self, node: Node) -> bool:
        return self._own is not None and node.instance_id == self._own.instance_id

    def last_words(self, node: Node) -> str:
        """See Compute."""
        return self._boot_logs.read(node.cluster, node.instance) if node.instance else ""

    def _calls(self, cluster: Cluster) -> Groups:
        return self._groups_in(_machine(cluster).region)


def _machine(cluster: Cluster) -> Machine:
    assert cluster.machine is not None, f"cluster {cluster.name} is not one of VMs"
    return cluster.machine


def _current(cluster: Cluster, state: StateStore) -> Cluster:
    found = state.read([cluster.key]).get(cluster.key)
    return found if isinstance(found, Cluster) else cluster


def _region(node: Node) -> str:
    """Return the region of a node's zone."""
    return (node.zone or "").rpartition("-")[0]
