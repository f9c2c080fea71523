"""Tenure: how long a node may stay that has a machine of its own, which costs money, and what it may still begin.

A node without one stays as long as it lingers, and none of this is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from sparkles import staffing
from sparkles.errors import SparklesError
from sparkles.model import Cluster, Key, Node, NodeState, Task
from sparkles.nodes import change_cluster, find_cluster
from sparkles.ports.backend import Backend
from sparkles.ports.place import Place
from sparkles.timing import Timing
from sparkles.worker.definitions import Definitions

#: Seconds of life that a task without a time-out should have before it.
_UNLIMITED = 3600.0

#: Seconds before the end of the node's life in which results are brought in.
_MARGIN = 120.0

#: Beats after which a node that has not been heard of may be lost.
_QUIET_BEATS = 4


class Tenure:
    """The loop's own; what may take long is left to others."""

    def __init__(self, backend: Backend, place: Place, timing: Timing) -> None:
        self._backend = backend
        self._timing = timing
        self._came = place.clock()
        #: Whether the node has a machine of its own.
        self.has_machine = place.node is not None
        life = None if place.end is None else place.end - place.clock()
        #: By the place's clock; None for never.
        self._end = None if place.end is None else place.end - min(timing.grace + _MARGIN, (life or 0.0) / 10)
        self._half = (life or 0.0) / 2
        self._cluster: Cluster | None = None
        #: Whether there is work that would take longer than the node has.
        self.is_too_old = False
        #: What is known of a place to linger in; None while there is no reason to ask.
        self._lingers: bool | None = None
        self._has_worked = False
        #: Until when another node is waited for that may be lost.
        self.recheck = float("-inf")

    def saw(self, cluster: Cluster) -> bool:
        """Take note of the cluster as it is; say whether it says anew that standard machines help out."""
        before, self._cluster = self._cluster, cluster
        return staffing.helps_out(cluster) and not (before and before.preemptions == cluster.preemptions)

    @property
    def is_surplus(self) -> bool:
        """Whether there are more nodes than there may be, so that one should take no more work, and go."""
        return self.has_machine and self._cluster is not None and self._cluster.drain > 0

    @property
    def end(self) -> float | None:
        """When whatever runs has to stop."""
        return self._end

    def is_over(self, now: float) -> bool:
        """Say whether the node has to go by now."""
        return self._end is not None and now >= self._end

    def lived_half(self, seconds: float) -> bool:
        """Say whether something had so much of the node's life that another could hardly give it more."""
        return seconds >= self._half

    def fitting(self, tasks: Collection[Task], now: float, definitions: Definitions) -> list[Task]:
        """Return those of the tasks that can be over in time."""
        if self._end is None:
            return list(tasks)
        left = self._end - now
        fitting = [task for task in tasks if self._needs(task, definitions) <= left]
        self.is_too_old = bool(tasks) and not fitting
        return fitting

    def _needs(self, task: Task, definitions: Definitions) -> float:
        """Return the seconds that should be left for a task. One that may take most of a life begins early in it."""
        try:
            timeout = definitions.policy(task)[0].timeout
        except (SparklesError, OSError):
            return 0.0  # it is claimed, and then it is said what is wrong with it
        return min(_UNLIMITED if timeout is None else timeout, self._half)

    def waits_for_lost(self, node: Node, now: float) -> bool:
        """Say whether another node may be lost that holds tasks: who goes before they come back leaves them behind."""
        if not self.has_machine or now < self.recheck:
            return now < self.recheck
        self.recheck = now
        limit = staffing.quiet_after(age=now - self._came, patience=_QUIET_BEATS * self._timing.beat)
        others = [other for other in self._backend.state.nodes(node.cluster, quiet=limit) if other.name != node.name]
        quiet = [other for other in others if (other.silence or 0.0) > limit]
        if any(self._backend.state.held(other.name) for other in quiet):
            self.recheck = now + self._timing.beat
        return now < self.recheck

    def take_drain(self) -> bool:
        """Be the one that goes; False if enough others do."""
        assert self._cluster
        taken = self._take(self._cluster, staffing.take_drain)
        if not taken:
            self._cluster = staffing.drain(self._cluster, present=0, most=0)
        return taken

    def may_linger(self, node: Node) -> bool:
        """Say whether the idle node may wait for work, and have it noted that it does."""
        if not self.has_machine or self._cluster is None or self._cluster.keep is None:
            return True
        if self._lingers is None:
            self._lingers = self._cluster.keep > 0 and self._take_place(self._cluster, node)
        return self._lingers

    def _take_place(self, cluster: Cluster, node: Node) -> bool:
        records = self._backend.state.read([Key.node(name) for name in cluster.lingerers]).values()
        alive = {other.name for other in records if isinstance(other, Node) and other.state is NodeState.ALIVE}
        gone = {*cluster.lingerers} - alive
        return self._take(cluster, lambda known: staffing.linger(known, node=node.name, gone=gone))

    def _take(self, cluster: Cluster, take: Callable[[Cluster], Cluster | None]) -> bool:
        """Take something that the cluster has to give; say whether there was any."""
        has_it = False

        def change(known: Cluster) -> Cluster | None:
            nonlocal has_it
            after = take(known)
            has_it = after is not None
            return after

        self._cluster = change_cluster(cluster, change, self._backend)
        return has_it

    def patience(self, linger: float) -> float:
        """Return for how long an idle node waits, given how long it may if it has a place."""
        is_limited = self.has_machine and self._cluster is not None and self._cluster.keep is not None
        return 0.0 if is_limited and not self._lingers else linger

    def claimed(self) -> bool:
        """Take note that the node has work; say whether its cluster has to know."""
        is_first, self._has_worked = not self._has_worked, True
        lingered, self._lingers = self._lingers, None
        boots = self._cluster.boots if self._cluster else 0
        return self.has_machine and (is_first or bool(lingered) or boots > 0)


def prove(name: str, backend: Backend, *, lingers: bool = False) -> None:
    """Write down that nodes of a cluster come up, and that this one waits for no work any more, unless it `lingers`."""
    node = backend.state.read([Key.node(name)]).get(Key.node(name))
    if isinstance(node, Node) and (cluster := find_cluster(node.cluster, backend)):

        def change(known: Cluster) -> Cluster:
            return staffing.proved(known if lingers else staffing.stop_lingering(known, node=name))

        change_cluster(cluster, change, backend)
