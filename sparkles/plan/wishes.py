"""Wishes: which unchanged tasks are to run again; while tasks are held back also those of when they began to be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sparkles.indices import from_runs
from sparkles.model import Canary
from sparkles.plan.nouns import Rerun

#: Of two wishes the one that takes in the other is the greater.
_EXTENT = list(Rerun).index


class Wishes:
    """What is asked for now, and what was asked for before of tasks that are held back; each runs once for it."""

    def __init__(self, rerun: Rerun, *, retry: Collection[int], canary: Canary | None, begun: frozenset[int]) -> None:
        self.rerun = rerun
        #: Single tasks that are to run again.
        self.retry = retry
        self._remembered = Rerun(canary.rerun) if canary else Rerun.NONE
        #: The tasks that have run since that was asked for.
        self._done: frozenset[int] = begun.union(from_runs(canary.done)) if canary else frozenset()
        #: What is asked for of the others.
        self._still = max(rerun, self._remembered, key=_EXTENT)

    @property
    def are_for_all(self) -> bool:
        """Whether all tasks were to run again, so that they are numbered anew."""
        return self._still is Rerun.ALL

    def of(self, index: int) -> Rerun:
        """Return what is asked for of a task."""
        return self.rerun if index in self._done else self._still

    @property
    def of_held(self) -> Rerun:
        """What is to be remembered of those that are held back from now on."""
        return max(self._still, Rerun.FAILED if self.retry else Rerun.NONE, key=_EXTENT)

    def done(self, run_now: Iterable[int]) -> Sequence[int]:
        """Return the tasks that have run since that was asked for, with those that are made to `run_now`."""
        if self.of_held is Rerun.NONE:
            return ()
        return sorted({*(() if self.rerun is Rerun.ALL else self._done), *run_now})
