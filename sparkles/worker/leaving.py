"""Leaving: carries out the departure of a node. What is asked of the cloud is asked in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from sparkles import presence, staffing
from sparkles.model import Node, NodeState
from sparkles.nodes import change_cluster, find_cluster, staff
from sparkles.ports.backend import Backend
from sparkles.ports.place import Place
from sparkles.worker.departure import Departure, Outcome, Step, Why
from sparkles.worker.errand import Errand
from sparkles.worker.ledger import Ledger
from sparkles.worker.settler import Settler
from sparkles.worker.tenure import Tenure, prove

#: Changes the node's own record by a move; says whether that is written.
Write = Callable[[Callable[[Node], Node]], bool]


class Leaving:
    """The loop's own."""

    def __init__(
        self,
        backend: Backend,
        place: Place,
        *,
        ledger: Ledger,
        settler: Settler,
        tenure: Tenure,
        write: Write,
    ) -> None:
        self._backend = backend
        self._place = place
        self._ledger = ledger
        self._settler = settler
        self._tenure = tenure
        self._write = write
        self._departure: Departure | None = None
        self._errand: Errand | None = None
        self._shed: Errand | None = None
        #: Whether anything that was shed has been missed by whoever queued what was found afterwards.
        self._has_shed = False
        #: Whether the machine is being made anew, so that nobody must ask for its removal any more.
        self.comes_anew = False

    @property
    def _node(self) -> Node:
        return self._ledger.node

    @property
    def is_under_way(self) -> bool:
        """Whether the node is leaving."""
        return self._departure is not None

    @property
    def why(self) -> Why | None:
        """Why the node is leaving, if it is."""
        return self._departure.why if self._departure else None

    def begin(self, why: Why) -> None:
        """Leave; if that is under way already, for a more pressing reason now."""
        if self._departure and self._departure.why is why:
            return
        self._drop()
        self._departure = Departure(why, machine=self._place.node is not None, do=self._do)

    def _drop(self) -> None:
        if self._errand:
            self._errand.drop()
            self._errand = None

    def go_on(self) -> bool:
        """Do the next steps; say whether the node stays after all."""
        assert self._departure
        if not self._departure.go_on():
            return False
        self._departure = None
        return self._node.state is NodeState.ALIVE

    def shed(self) -> bool:
        """While the node waits for work, see that no others are made for nothing; say once that it is done."""
        if self._place.node is None or self._has_shed:
            return False
        if self._shed is None:
            self._shed = self._send(Step.SHED)
        if not self._shed.is_done:
            return False
        self._has_shed, self._shed = True, None
        return True

    def found(self) -> None:
        """Take note that there was work after all: it may have been counted on nodes that were shed."""
        if self._has_shed or self._shed:
            self._settler.man(self._node.cluster)
        self._has_shed, self._shed = False, None

    def _do(self, step: Step) -> Outcome:
        match step:
            case Step.ANNOUNCE:
                return self._node.state is NodeState.LEAVING or self._write(presence.leave) or None
            case Step.STAY:
                return self._write(presence.stay) or None
            case Step.GO:
                return self._write(presence.go) or None
            case Step.LOOK:
                return bool(self._backend.state.pending(self._node.cluster, limit=1)) or self._leaves_for_lost()
            case Step.COUNT:
                self._count()
                self.comes_anew = True
                return True
            case Step.STAFF if self._node.state is NodeState.ALIVE:
                self._settler.man(self._node.cluster)
                return True
            case _:
                return self._ask(step)

    def _leaves_for_lost(self) -> bool:
        """Say whether the node has to go while tasks of another are about to come back."""
        return self.why is Why.LIMIT and self._tenure.waits_for_lost(self._node, self._place.clock())

    def _count(self) -> None:
        cluster = find_cluster(self._node.cluster, self._backend)
        if cluster and self._node.spot:
            change_cluster(cluster, staffing.preempted, self._backend)

    def _ask(self, step: Step) -> Outcome:
        """Have a step done by a thread."""
        if self._errand is None:
            self._errand = self._send(step)
        if not self._errand.is_done:
            return None
        self._errand = None
        self.comes_anew = step is Step.REPLACE
        return True

    def _send(self, step: Step) -> Errand:
        return Errand(step.value, lambda: self._carry_out(step), call=self._place.call)

    def _carry_out(self, step: Step) -> None:
        if step in (Step.DEPART, Step.REPLACE):
            self._backend.objects.complete_logs(patience=self._backend.timing.log_patience)
            self._place.depart(needed=step is Step.REPLACE)
            return
        backend = self._backend.reopen()
        with closing(backend.state):
            name = self._node.cluster
            if step is Step.STAFF:
                staff(name, backend)
                return
            prove(self._node.name, backend, lingers=not self.is_under_way)
            if cluster := find_cluster(name, backend):
                backend.compute.shed(cluster, backend.state.nodes(name))
