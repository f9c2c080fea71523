"""Departure: the steps in which a node leaves. Their order is what keeps tasks from being left behind.

Who queues tasks does it the other way round: queue them, then count the nodes that have not announced that they go.
Whatever comes between, one of the two sees the other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from enum import Enum


class Why(Enum):
    """Why a node leaves."""

    #: There is nothing to do.
    IDLE = "idle"
    #: There are more nodes than there may be.
    SURPLUS = "surplus"
    #: It has to, although there may be work: its life is over, or it was told to.
    LIMIT = "limit"
    #: Its machine is taken away; the cloud makes it anew by itself.
    PREEMPTED = "preempted"


class Step(Enum):
    """What a node that leaves does next."""

    #: Write that it goes: from now on nobody counts on it, and it claims nothing.
    ANNOUNCE = "announce"
    #: Take back the request for nodes that have not been made.
    SHED = "shed"
    #: See whether there is work in the queue; the answer is what comes of this step.
    LOOK = "look"
    #: Take the announcement back.
    STAY = "stay"
    #: See to it that there are enough nodes: this one does not count any more, or has shed others.
    STAFF = "staff"
    #: Have the machine removed.
    DEPART = "depart"
    #: Have the machine made anew.
    REPLACE = "replace"
    #: Count it among the nodes that were taken away.
    COUNT = "count"
    #: Write that it is gone. Last: who does not find it among the records must not find its machine either.
    GO = "go"


def steps(why: Why, *, machine: bool) -> Generator[Step, bool, None]:
    """Yield what to do, one after the other; `machine`: whether the node has one of its own."""
    yield Step.ANNOUNCE
    match why:
        case Why.IDLE:
            if machine:
                yield Step.SHED  # before the look: what is queued afterwards counts on nothing that is shed here
            if (yield Step.LOOK):
                yield Step.STAY
                if machine:
                    yield Step.STAFF
                return
            if machine:
                yield Step.DEPART
        case Why.SURPLUS:
            if (yield Step.LOOK):
                yield Step.STAFF  # those that were to stay may have left meanwhile
            yield Step.DEPART
        case Why.LIMIT if machine:
            yield Step.REPLACE if (yield Step.LOOK) else Step.DEPART
        case Why.PREEMPTED:
            yield Step.COUNT
    yield Step.GO


#: What comes of a step: what LOOK answers; None if it has to be done again, or is not over yet.
Outcome = bool | None


class Departure:
    """A departure that is under way: does one step after the other, each as often as it takes."""

    def __init__(self, why: Why, *, machine: bool, do: Callable[[Step], Outcome]) -> None:
        self.why = why
        self._steps = steps(why, machine=machine)
        self._do = do
        self._step: Step | None = next(self._steps)

    def go_on(self) -> bool:
        """Do what can be done now; say whether it is over: the node is gone, or stays after all."""
        while self._step:
            if (outcome := self._do(self._step)) is None:
                return False
            self._step = self._after(outcome)
        return True

    def _after(self, outcome: bool) -> Step | None:
        try:
            return self._steps.send(outcome)
        except StopIteration:
            return None
