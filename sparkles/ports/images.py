"""Images: what tasks run in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

#: Takes the bytes that have come so far, and how many there are as far as is known.
Progress = Callable[[int, int], None]


class Images(Protocol):
    """The images that tasks can run in."""

    def pin(self, name: str, *, architecture: str | None = None) -> str:
        """Return what the name of an image means now: `name@sha256:…`, or the id of one that is only here.

        A name that can only mean one image is not looked up. Changes nothing. Raises RequestError if there is no such
        image, or none that nodes could run; BackendError if that cannot be found out. `architecture` is the one of
        nodes that are made for the job, as docker calls it; where nodes are this machine, its own counts.
        """
        ...

    def fetch(self, pinned: str, progress: Progress, *, architecture: str | None = None) -> None:
        """See to it that nodes, of this `architecture`, have a pinned image, or will get it by themselves.

        Raises RequestError or BackendError if they cannot have it, or could not run it.
        """
        ...
