"""Outlook: when a worker looks at its cluster, and what follows from what it sees there. The loop's own.

The cluster's epoch moves whenever there may be new work, or something to stop; but a node must not believe that it
hears of everything.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress

from sparkles.errors import SparklesError
from sparkles.model import Cluster, Reason, Stop
from sparkles.ports.backend import Backend
from sparkles.ports.place import Place
from sparkles.timing import Timing
from sparkles.worker.definitions import Definitions
from sparkles.worker.ledger import Ledger
from sparkles.worker.settler import Settler
from sparkles.worker.slots import Slots
from sparkles.worker.speech import say
from sparkles.worker.tenure import Tenure


class Outlook:
    """Nothing is known before `begin`."""

    def __init__(
        self,
        backend: Backend,
        place: Place,
        timing: Timing,
        *,
        ledger: Ledger,
        slots: Slots,
        definitions: Definitions,
        settler: Settler,
        tenure: Tenure,
    ) -> None:
        self._state = backend.state
        self._place = place
        self._timing = timing
        self._ledger = ledger
        self._slots = slots
        self._definitions = definitions
        self._settler = settler
        self._tenure = tenure

    def begin(self, now: float) -> None:
        """See the cluster for the first time."""
        cluster = self._ledger.cluster()
        self._looked = self._asked = self._swept = now
        self._epoch = cluster.epoch
        self._saw(cluster)
        if self._tenure.has_machine:
            self._settler.sweep(cluster.name)  # an earlier worker of this very machine may have died
        self._vary()

    def _saw(self, cluster: Cluster) -> bool:
        #: The seconds for which a node waits for more work.
        self.linger = cluster.linger
        return self._tenure.saw(cluster)

    def _vary(self) -> None:
        """Vary the times at which nodes look, lest they all do at once."""
        self._variation = random.uniform(0.75, 1.25)  # noqa: S311 - it spreads load, no more

    def next_look(self, idle_since: float) -> float:
        """Return when to look at the cluster: less and less often while there is nothing to do."""
        pause = self._timing.look
        if not self._slots.held:
            pause = min(max(pause, self._looked - idle_since), self._timing.idle_look / 2)
        return self._looked + self._variation * pause

    def skip(self, now: float) -> None:
        """Do without a look, whoever called."""
        self._is_called()
        self._looked = now

    def look_if_due(self, now: float, idle_since: float) -> bool:
        """Look at the cluster if it is time or somebody called; say whether there may be work."""
        called = self._is_called()
        if not called and now < self.next_look(idle_since):
            return False
        self._looked = now
        self._vary()
        try:
            moved = self._look()
            late = now - self._asked >= self._timing.idle_look
            if late and not self._slots.held:
                self._settler.put(job.name for job in self._state.open_jobs() if job.has_more)
        except SparklesError as error:
            say(f"node {self._place.name}: {error}")
            self._asked = float("-inf")  # whoever called is heard the next time
            return False
        self._sweep_if_due(now)
        if called or moved or late:
            self._asked = now
        return called or moved or late

    def _is_called(self) -> bool:
        """Say whether the node was woken, and forget it."""
        called = False
        with suppress(BlockingIOError):
            while os.read(self._place.wake, 4096):
                called = True
        return called

    def _look(self) -> bool:
        """Say whether the cluster's epoch has moved; if so, stop what is to be stopped."""
        cluster = self._ledger.cluster()
        if self._saw(cluster) and not self._ledger.node.spot:
            self._settler.man(cluster.name)
        if cluster.epoch == self._epoch:
            return False
        self._definitions.refresh()
        self._stop_what_must()
        self._epoch = cluster.epoch  # at last: what could not be read is looked for again
        return True

    def _stop_what_must(self) -> None:
        mine = {task.claim: task for task in self._state.held(self._ledger.node.name)} if self._slots.held else {}
        for claim, execution in list(self._slots.held.items()):
            task = mine.get(claim)
            if task is None or task.stop is Stop.REPLACED:
                self._slots.stop(execution, Reason.KILLED, abandon=True)
            elif task.stop is Stop.KILLED or not self._definitions.may_begin(task):
                self._slots.stop(execution, Reason.KILLED)

    def _sweep_if_due(self, now: float) -> None:
        if self._timing.sweep and now - self._swept >= self._variation * self._timing.sweep:
            self._swept = now
            sweep = self._settler.patrol if self._tenure.has_machine else self._settler.sweep
            sweep(self._ledger.node.cluster)
