"""Backend: one column of adapters, and what differs there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sparkles.timing import Timing

if TYPE_CHECKING:  # to load them all takes long, and no command needs them all
    from sparkles.ports.buckets import Buckets
    from sparkles.ports.compute import Compute
    from sparkles.ports.images import Images
    from sparkles.ports.objects import ObjectStore
    from sparkles.ports.runtime import Runtime
    from sparkles.ports.state import StateStore


class Environments(Protocol):
    """What submitting shells export, for tasks without an image. It holds secrets: it stays on this machine."""

    def write(self, environment: Mapping[str, str]) -> str:
        """Keep an environment, readable by its owner alone. Returns its name."""
        ...

    def read(self, name: str) -> dict[str, str]:
        """Return an environment that `write` kept."""
        ...


class Hashes(Protocol):
    """Hashes of local files."""

    def sha256(self, path: Path) -> str:
        """Return the sha256, in hex, of a file's content. Raises OSError if it cannot be read."""
        ...

    def keep(self) -> None:
        """Remember what has been found out, for processes to come. Not for what must not write anything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One column of adapters, and how times differ there."""

    name: str
    state: StateStore
    objects: ObjectStore
    compute: Compute
    hashes: Hashes
    #: Opens it once more, for another thread.
    reopen: Callable[[], Backend]
    #: Names what a node has besides its machine, at home the worker program: nodes serve only jobs with the same one.
    worker: Callable[[], str]
    #: The seconds of the protocol there.
    timing: Timing = field(default_factory=Timing)
    #: Runs commands without an image; None where each task needs one.
    host: Runtime | None = None
    #: What such commands start from; None where there are none.
    environments: Environments | None = None
    #: Runs commands in images; None on a client that never does.
    containers: Runtime | None = None
    #: None where there are no images.
    images: Images | None = None
    #: None where no files of buckets can be had.
    buckets: Buckets | None = None
    #: Tasks that a node runs at once, if the manifest does not say.
    default_slots: int = 1
    #: Seconds that a node lingers, if the manifest does not say.
    default_linger: float = 600.0
    #: The most nodes that a cluster can have at all; None if the manifest decides.
    most_nodes: int | None = None
