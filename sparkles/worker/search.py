"""Search: what a worker knows of its cluster's queue, and which tasks of it to try to claim. The loop's own."""

from __future__ import annotations

from collections.abc import Sequence

from sparkles.errors import SparklesError
from sparkles.model import Task
from sparkles.ports.backend import Backend
from sparkles.worker.ahead import Ahead
from sparkles.worker.definitions import Definitions
from sparkles.worker.ledger import Ledger
from sparkles.worker.speech import say
from sparkles.worker.tenure import Tenure


class Search:
    """Asks the store only while there may be something to find."""

    def __init__(
        self, backend: Backend, *, ledger: Ledger, ahead: Ahead, tenure: Tenure, definitions: Definitions
    ) -> None:
        self._state = backend.state
        self._ledger = ledger
        self._ahead = ahead
        self._tenure = tenure
        self._definitions = definitions
        #: Whether there may be work in the queue.
        self.may_find = True

    def room(self, held: int) -> int:
        """Return how many tasks to claim beside so many that are held."""
        return self._ahead.room(self._ledger.node.slots, held=held)

    def candidates(self, now: float, *, held: int) -> Sequence[Task]:
        """Return pending tasks to try to claim, with so many `held` beside them."""
        if not self.may_find or (room := self.room(held)) <= 0:
            return []
        node = self._ledger.node
        try:
            found = self._state.pending(node.cluster, limit=room)
        except SparklesError as error:
            say(f"node {node.name}: {error}")
            return []
        wanted = [task for task in found if self._definitions.may_begin(task)]
        fitting = self._tenure.fitting(wanted, now, self._definitions)
        chosen, is_all = self._ahead.choose(fitting, free=node.slots - held)
        self.may_find = bool(fitting) and (len(found) == room or not is_all)
        return chosen
