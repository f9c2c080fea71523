"""Outfit: what the containers of a node get of its machine, beside what each task asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A folder of the machine, as a container sees it."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """The same for all tasks of a node."""

    binds: tuple[Bind, ...] = ()
    #: Device files, under their own names.
    devices: tuple[str, ...] = ()
    #: The most bytes of memory that a task may use which sets no limit itself; None for no limit.
    memory: int | None = None


#: That of a machine which is somebody's anyway.
PLAIN = Outfit()
