"""Death: a backend whose process dies at its k-th write. What it wrote until then stays; nothing works after that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from contracts.fakes import READS

from sparkles.ports.backend import Backend, Environments
from sparkles.ports.compute import Compute
from sparkles.ports.objects import Moved, ObjectStore
from sparkles.ports.state import StateStore


class DeathError(BaseException):
    """The machine went dark. Nobody catches it, as nobody catches kill -9."""


@dataclass
class Life:
    """The writes that a process has left."""

    #: Dies instead of its k-th write; never, if there are not so many.
    ends_at: float = float("inf")
    writes: int = 0
    #: sha256 → how many times this process has stored it.
    stored: Counter[str] = field(default_factory=Counter)
    on_death: Callable[[], None] = lambda: None

    @property
    def is_over(self) -> bool:
        return self.writes >= self.ends_at

    def spend(self, *, write: bool) -> None:
        self.writes += write and not self.is_over
        if self.is_over:
            self.on_death()
            raise DeathError


def mortal(backend: Backend, life: Life) -> Backend:
    """Return the backend as a process sees it whose life this is."""
    return replace(
        backend,
        state=_Mortal(backend.state, READS[StateStore], life),
        objects=_Mortal(backend.objects, READS[ObjectStore], life),
        compute=_Mortal(backend.compute, READS[Compute], life),
        environments=_Mortal(backend.environments, READS[Environments], life),
        reopen=lambda: mortal(backend.reopen(), life),
    )  # type: ignore[arg-type]


class _Mortal:
    def __init__(self, inner: Any, reads: set[str], life: Life) -> None:
        self._inner, self._reads, self._life = inner, reads, life

    def __getattr__(self, name: str) -> Any:
        if name == "put_blobs":
            return self._put_blobs
        found = getattr(self._inner, name)
        if not callable(found) or name == "close":
            return found

        def call(*args: Any, **options: Any) -> Any:
            self._life.spend(write=name not in self._reads)
            done = found(*args, **options)
            if name == "keep_output":
                self._life.stored[args[-1]] += 1
            return done

        return call

    def _put_blobs(self, files: Sequence[tuple[Path, str]]) -> Iterator[Moved]:
        """Store one after the other: each of them is a write."""
        for source, digest in files:
            self._life.spend(write=True)
            yield from self._inner.put_blobs([(source, digest)])
            self._life.stored[digest] += 1
