"""Outfit: what the containers of a node get of its machine, beside what each task asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A folder of the machine, as a container sees it."""

    source: str
    target: str
    read_only: bool = False
    #: What the machine mounts there, or takes away, while the container runs: docker's word for it; None for nothing.
    propagation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """The same for all tasks of a node."""

    #: The machine, if it is the node's own: by it a later worker knows what was left there.
    machine: str | None = None
    binds: tuple[Bind, ...] = ()
    #: Device files, under their own names.
    devices: tuple[str, ...] = ()
    #: Variable → folder that is added to the end of such a list of folders.
    folders: Mapping[str, str] = field(default_factory=dict)
    #: The most bytes of memory that a task may use which sets no limit itself; None for no limit.
    memory: int | None = None


#: That of a machine which is somebody's anyway.
PLAIN = Outfit()
