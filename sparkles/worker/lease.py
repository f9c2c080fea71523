"""Lease: the time for which a node may trust that nobody has given it up, and what must end before that is over."""

from __future__ import annotations

from collections.abc import Callable

from sparkles.timing import Timing


class Lease:
    """Counts from before the last commit that is certain was sent. Any thread may ask."""

    def __init__(self, timing: Timing, clock: Callable[[], float]) -> None:
        self._timing = timing
        self._clock = clock
        #: Whether what ran has been ended because the time was up: then a late commit changes nothing any more.
        self.is_spent = False
        self.renew(clock())

    def renew(self, sent: float) -> None:
        """Take note of a commit that was sent then, by the clock."""
        self.committed = sent
        self.end = sent + self._timing.lease

    @property
    def left(self) -> float:
        """The seconds until nothing of the node may run any more."""
        return self.end - self._timing.kill_margin - self._clock()

    def holds(self) -> bool:
        """Say whether the node is ours for certain: for what must not be done otherwise."""
        return self.left > 0 and not self.is_spent

    def may_claim(self, now: float) -> bool:
        """Say whether there is time for new work."""
        return now < self.end - self._timing.claim_margin

    def is_ending(self, now: float) -> bool:
        """Say whether what runs has to be stopped, to be over in time."""
        return now > self.end - self._timing.term_margin
