"""Budget: how often a worker may write, so that its record is not written more often than a database likes."""

from __future__ import annotations

#: Times that something may happen at once before its rate counts.
_BURST = 3


class Budget:
    """Lets something happen once in `gap` seconds in the long run; a few times it may come sooner."""

    def __init__(self, gap: float) -> None:
        self._gap = gap
        #: When all that was spent is earned.
        self._paid = float("-inf")

    def spend(self, now: float) -> None:
        """Take note that it happens."""
        self._paid = max(self._paid, now) + self._gap

    @property
    def due(self) -> float:
        """When it may happen next."""
        return self._paid - _BURST * self._gap
