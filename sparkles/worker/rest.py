"""Rest: what a node does that has nothing to run. It waits for work, settles what it might have to, and then may go.

The loop's own.
"""

from __future__ import annotations

from sparkles.model import Reason
from sparkles.ports.backend import Backend
from sparkles.ports.place import Place
from sparkles.worker.departure import Why
from sparkles.worker.leaving import Leaving
from sparkles.worker.ledger import Ledger
from sparkles.worker.outlook import Outlook
from sparkles.worker.search import Search
from sparkles.worker.settler import Settler
from sparkles.worker.tenure import Tenure


class Rest:
    """Begins anew with each task that ends."""

    def __init__(
        self,
        backend: Backend,
        place: Place,
        *,
        ledger: Ledger,
        outlook: Outlook,
        search: Search,
        settler: Settler,
        tenure: Tenure,
        leaving: Leaving,
    ) -> None:
        self._backend = backend
        self._place = place
        self._ledger = ledger
        self._outlook = outlook
        self._search = search
        self._settler = settler
        self._tenure = tenure
        self._leaving = leaving
        #: When the last task ended here.
        self.since = place.clock()
        #: Whether all that this node might have to settle has been, since it last had work.
        self._settled_all = False

    def begin(self, now: float) -> None:
        """Take note that a task has ended."""
        self.since = now

    def end(self) -> None:
        """Take note that there is work."""
        self._settled_all = False
        if self._tenure.claimed():
            self._settler.prove(self._place.name)
        self._leaving.found()

    @property
    def next_turn(self) -> float:
        """When there is something to decide; never, while the settler or the departure is at it."""
        if self._settler.is_busy or self._leaving.is_under_way:
            return float("inf")
        return max(self.since + self._tenure.patience(self._outlook.linger), self._tenure.recheck)

    def why_leave(self, terminated: Reason | None) -> Why | None:
        """Return why the node should leave now, if it should; `terminated`: whether it was told to."""
        if terminated:
            return Why.PREEMPTED if terminated is Reason.PREEMPTED else Why.LIMIT
        if self._leaving.why:
            return self._leaving.why
        if self._tenure.is_over(self._place.clock()) or self._tenure.is_too_old:
            return Why.LIMIT
        if self._tenure.is_surplus and not self._waits_for_lost() and self._tenure.take_drain():
            return Why.SURPLUS
        return Why.IDLE if self._may_leave() else None

    def _waits_for_lost(self) -> bool:
        """Say whether tasks of another node may be about to come back."""
        return self._tenure.waits_for_lost(self._ledger.node, self._place.clock())

    def _may_leave(self) -> bool:
        """Say whether there is nothing left to wait for or to settle, which may bring new work."""
        if self._search.may_find or self._settler.is_busy:
            return False
        if self._place.clock() - self.since < self._outlook.linger and self._tenure.may_linger(self._ledger.node):
            self._search.may_find = self._leaving.shed()
            return False
        if self._waits_for_lost():
            return False
        if not self._settled_all:
            self._settle_all()
            return False
        return True

    def _settle_all(self) -> None:
        self._settled_all = self._search.may_find = True
        jobs = self._backend.state.open_jobs()
        mine = self._ledger.node.cluster
        self._settler.put(job.name for job in jobs if job.has_more or job.cluster == mine)
