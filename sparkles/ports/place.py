"""Place: what a worker knows of the node it runs on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sparkles.model import Node


class Place(Protocol):
    """What a worker knows of the node it runs on."""

    name: str
    #: The folder for work directories.
    work: Path
    #: A file descriptor that becomes readable when the node is called.
    wake: int
    #: Names the boot that `clock` counts from.
    boot: str
    #: The node's record, for its worker to write first; None where whoever started it has written one.
    node: Node | None
    #: When the node has to be gone, in the seconds of `clock`; None for never.
    end: float | None

    def clock(self) -> float:
        """Return the seconds that leases are counted in."""
        ...

    def call(self) -> None:
        """Make `wake` readable. Safe in any thread and in a signal handler."""
        ...

    def watch(self, taken_away: Callable[[], None]) -> None:
        """Call `taken_away`, in another thread, when the machine is announced to be taken away."""
        ...

    def depart(self, *, needed: bool) -> None:
        """Have the machine removed, or made anew if a node is still `needed` in its place.

        When this returns, nobody counts on it any more. To be called by a node that has announced that it leaves.
        Raises BackendError if that could not be asked for.
        """
        ...

    def leave(self) -> None:
        """Remove what the node kept. The last thing a worker does."""
        ...
