"""Staffing: every rule about how many nodes a cluster should have, who may ask for them, and which of them goes. Pure.

Whoever wants more nodes reads their records first, and what the cloud has second: a node is gone only after the cloud
has taken note that it is not to be replaced. So who is gone from the records is not counted in the cloud either; in
the other order a node that leaves in between would be taken for one that stays.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from sparkles.model import Cluster, Node, NodeState
from sparkles.presence import PRESENT

#: Seconds after which the right to ask for nodes may be taken over from one who has not given it back.
SCALER_LEASE = 60.0

#: Nodes that are asked for, for each that is wanted, before one of them has claimed a task.
BOOT_LIMIT = 3


class Member(Protocol):
    """A machine of a cluster, as the cloud lists it, or the place that it keeps for one."""

    @property
    def name(self) -> str:
        """Its name, which one that is made anew may have again."""

    @property
    def id(self) -> str | None:
        """The number that no other ever has; None as long as it has not been made."""

    @property
    def is_coming(self) -> bool:
        """Whether it is yet to be made, or made anew."""

    @property
    def is_going(self) -> bool:
        """Whether it is being removed, and nothing comes in its place."""


class Load(NamedTuple):
    """What one job asks of its cluster."""

    open_tasks: int
    #: The most nodes that may serve it.
    most: int


# How many


def wanted(loads: Sequence[Load], *, slots: int) -> int:
    """Return how many nodes the open tasks of all jobs of a cluster can use.

    >>> wanted([Load(open_tasks=3, most=2), Load(open_tasks=9, most=4)], slots=2)
    4
    """
    open_tasks = sum(load.open_tasks for load in loads)
    return min(most_nodes(loads), math.ceil(open_tasks / slots))


def most_nodes(loads: Sequence[Load]) -> int:
    """Return the most nodes that may serve a cluster's jobs: those that still have something to do."""
    return max((load.most for load in loads if load.open_tasks), default=0)


def present(members: Sequence[Member], nodes: Sequence[Node], *, target: int = 0) -> int:
    """Return how many nodes there are or will be, given the records of `nodes`, which were read before `members`.

    What the cloud is to have by its `target` and does not list yet will come, too.
    """
    staying = [member for member in members if not member.is_going]
    unlisted = max(0, target - len(staying))
    return unlisted + sum(member.is_coming or counts(member, nodes) for member in staying)


def counts(member: Member, nodes: Collection[Node]) -> bool:
    """Say whether a machine that is there will work: its worker is yet to report, or has not announced that it goes."""
    node = record_of(member, nodes)
    return node is None or node.state in PRESENT


def record_of(member: Member, nodes: Collection[Node]) -> Node | None:
    """Return the record of the worker that started last on a machine: by its number, or by its name without one."""
    own = [node for node in nodes if _is_on(node, member)]
    return max(own, key=lambda node: node.created, default=None)


def _is_on(node: Node, member: Member) -> bool:
    if node.instance_id and member.id:
        return node.instance_id == member.id
    return node.instance == member.name


def is_succeeded(node: Node, nodes: Collection[Node]) -> bool:
    """Say whether another worker has started on the machine of a node that was given up: the machine is of use."""
    others = [other for other in nodes if other.name != node.name and other.state is not NodeState.LOST]
    return node.instance_id is not None and any(other.instance_id == node.instance_id for other in others)


def to_shed(members: Sequence[Member], nodes: Sequence[Node]) -> list[Member]:
    """Return the members to take back by one who finds nothing to do: by the records of `nodes`, read before.

    Those that are not there yet; but for as many as there are nodes whose machines are not there any more. Such a
    node may hold tasks, which nobody finds before it has been given up: what is made in its place will be there then.
    """
    here = [member for member in members if not member.is_coming]
    lost = sum(not any(_is_on(node, member) for member in here) for node in nodes)
    coming = sorted((member for member in members if member.is_coming), key=lambda member: member.id is None)
    return coming[lost:]


def quiet_after(*, age: float, patience: float) -> float:
    """Return the seconds of silence after which another node may be lost, to one that came `age` seconds ago.

    Such is who is silent for longer than the `patience`; and who has not been heard of since this one came: its machine
    may be the one that was made in the place of the other's, sooner than that one's silence shows. One that dies later
    than that leaves nobody waiting, but a machine that is made in its place waits in turn.
    """
    return min(patience, age)


def boots_left(cluster: Cluster, *, wanted: int) -> int:
    """Return how many nodes may still be asked for, until one of them has done something."""
    return max(0, BOOT_LIMIT * wanted - cluster.boots)


def helps_out(cluster: Cluster) -> bool:
    """Say whether standard machines take the place of spot ones, because too many of these were taken away."""
    machine = cluster.machine
    if machine is None or not machine.spot or machine.on_demand_after is None:
        return False
    return cluster.preemptions > machine.on_demand_after


def standard_wanted(cluster: Cluster, *, wanted: int, spot: int) -> int:
    """Return how many of the wanted nodes are to be standard machines, with so many spot ones there.

    Where they may help out there is one from the beginning: all spot nodes may go at once, and then there has to be
    somebody to ask for others.
    """
    if helps_out(cluster):
        return max(0, wanted - spot)
    machine = cluster.machine
    may_help = machine is not None and machine.spot and machine.on_demand_after is not None
    return min(1, wanted) if may_help else 0


# Who may ask for them


def take_scaler(cluster: Cluster, *, token: str) -> Cluster | None:
    """Let somebody be the only one who asks for nodes; None while another is, and has been heard of."""
    if cluster.scaler == token:
        return cluster
    is_free = cluster.scaler is None or (cluster.silence is not None and cluster.silence > SCALER_LEASE)
    return replace(cluster, scaler=token) if is_free else None


def renew_scaler(cluster: Cluster, *, token: str, anew: str) -> Cluster | None:
    """Let who asks for nodes do so for as long again, with another token; None if somebody has taken that over."""
    return replace(cluster, scaler=anew) if cluster.scaler == token else None


def free_scaler(cluster: Cluster, *, token: str, asked: int, now: float) -> Cluster:
    """Give that back, unless another has taken it over, after asking for so many nodes: they count in any case.

    Who asks for nodes wants none to go.
    """
    freed = replace(cluster, scaler=None) if cluster.scaler == token else cluster
    return replace(freed, drain=0, boots=freed.boots + asked, asked=now) if asked else freed


# What is counted


def proved(cluster: Cluster) -> Cluster:
    """Take note that nodes come up and do what they are for."""
    return replace(cluster, boots=0)


def preempted(cluster: Cluster) -> Cluster:
    """Take note that a spot node was taken away."""
    return replace(cluster, preemptions=cluster.preemptions + 1)


def begin_anew(cluster: Cluster, *, nodes: Sequence[Node]) -> Cluster:
    """Forget, when somebody applies a job, that nodes did not come up: that may have been seen to.

    What happened to spot nodes is forgotten once there is none left.
    """
    return replace(cluster, boots=0, preemptions=cluster.preemptions if nodes else 0)


# Who goes


def linger(cluster: Cluster, *, node: str, gone: Collection[str]) -> Cluster | None:
    """Give an idle node one of the places to wait for work, if one is free, or held by a node that is `gone`.

    None if it has to go.
    """
    if cluster.keep is None or node in cluster.lingerers:
        return cluster
    held = tuple(name for name in cluster.lingerers if name not in gone)
    return replace(cluster, lingerers=(*held, node)) if len(held) < cluster.keep else None


def stop_lingering(cluster: Cluster, *, node: str) -> Cluster:
    """Take back a node's place, if it has one."""
    return replace(cluster, lingerers=tuple(name for name in cluster.lingerers if name != node))


def drain(cluster: Cluster, *, present: int, most: int) -> Cluster:
    """Have as many nodes leave as there are more than there may be."""
    return replace(cluster, drain=max(0, present - most))


def take_drain(cluster: Cluster) -> Cluster | None:
    """Let one node go that is more than there may be; None if none is."""
    return replace(cluster, drain=cluster.drain - 1) if cluster.drain else None
