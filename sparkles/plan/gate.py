"""Gate: the first rows are tried before all others; what these are to run is held back until those have succeeded."""

from __future__ import annotations

from sparkles.model import TaskState
from sparkles.plan.decisions import Decision
from sparkles.plan.nouns import Loss, Verb

#: What makes a task run.
RUNS = frozenset({Verb.ADD, Verb.CHANGE, Verb.RERUN})

#: A task that has not ended would go on with what it was to run before.
_STOPPED = {TaskState.PENDING: Decision(Verb.STOP), TaskState.CLAIMED: Decision(Verb.STOP, Loss.RUN)}


class Gate:
    """Is shown the decisions about all rows, one after the other, and turns some of them into others."""

    def __init__(self, first: int | None, *, rows: int) -> None:
        #: How many rows are tried first; all of them if there is no trial.
        self.first = min(first or rows, rows)
        #: Whether there are others.
        self.tries = self.first < rows
        #: Whether any row is held back.
        self.holds = False
        #: How many of the first rows have succeeded, and stay as they are.
        self._succeeded = 0

    def pass_on(self, row: int, decision: Decision, *, state: TaskState | None, moves: bool = False) -> Decision:
        """Return what is decided about a row, from 0; `state`: its task's, if it has one.

        One that only `moves` to other nodes was to run anyway.
        """
        if row < self.first:
            self._succeeded += state is TaskState.SUCCEEDED and decision.verb not in RUNS
            return decision
        if self._succeeded == self.first or decision.verb not in RUNS or moves:
            return decision
        self.holds = True
        return _STOPPED.get(state, Decision(Verb.HOLD)) if state else Decision(Verb.HOLD)

    def cause(self, decision: Decision) -> str:
        """Return why a decision is what it is, if that is because of the first rows."""
        if decision.verb not in (Verb.HOLD, Verb.STOP):
            return ""
        return f"until the first {self.first} have succeeded" if self.first > 1 else "until the first has succeeded"
