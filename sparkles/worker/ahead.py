"""Ahead: how many tasks a node holds beyond what its slots run, so that none of them waits for a commit."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence

from sparkles.model import Task

#: Durations that the median is taken of.
_REMEMBERED = 100


class Ahead:
    """Knows how long tasks take here."""

    def __init__(self, seconds: float, *, most: int) -> None:
        """Claim up to as much as the slots do in so many seconds, and `most` tasks at once."""
        self._seconds = seconds
        self._most = most
        self._durations: deque[float] = deque(maxlen=_REMEMBERED)
        #: What has ended here, so that it is known how long it takes.
        self._measured: set[tuple[str, int]] = set()
        #: Whether tasks of another kind come next: then nothing is claimed ahead.
        self._is_careful = False

    def note(self, task: Task, seconds: float) -> None:
        """Take note of how long a task took."""
        self._durations.append(seconds)
        if _kind(task) not in self._measured:
            self._measured.add(_kind(task))
            self._is_careful = False

    def room(self, slots: int, *, held: int) -> int:
        """Return how many more tasks to claim, with so many held: the slots, and what they end in a few seconds."""
        ahead = 0
        if self._durations and not self._is_careful:
            median = max(statistics.median(self._durations), 1e-3)
            ahead = int(slots * self._seconds / median)
        return min(slots + ahead - held, self._most)

    def choose(self, found: Sequence[Task], *, free: int) -> tuple[Sequence[Task], bool]:
        """Return which of the tasks that were found to claim with so many slots free, and whether all of them.

        How long a new kind of task takes is not known yet: others' haste must not make it wait behind a long one.
        """
        unknown = next((n for n, task in enumerate(found) if n >= free and _kind(task) not in self._measured), None)
        if unknown is not None:
            self._is_careful = True
        return found[:unknown], unknown is None


def _kind(task: Task) -> tuple[str, int]:
    """Return what tasks have in common that take equally long: their job, and what it was when they were made."""
    return task.job, task.generation
