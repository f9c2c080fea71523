"""Keeping: what is kept that may outlive its use, for those who tidy up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something that is kept, and that nobody may need any more."""

    #: What it is: `blob`, `probe`, `boot log`, `trash`, `node folder`, `group` (of VMs), `VM`.
    kind: str
    #: Names it among all of its kind.
    name: str
    #: Seconds since it was made, or last used as far as that is known.
    age: float
    #: Bytes; None where that is no question.
    size: int | None = None
    #: The cluster that it was made for.
    cluster: str | None = None
    #: The VMs that are there because of it.
    machines: int = 0
    #: Where it is, and what tells it from something later of its name: for its keeper.
    place: Any = None


class Keeper(Protocol):
    """Keeps things that may outlive their use."""

    def kept(self) -> Iterator[Kept]:
        """Yield all that is kept, but for what is surely in use. Changes nothing."""
        ...

    def drop(self, things: Sequence[Kept]) -> None:
        """Remove things, each if it is still there and has not been used since it was listed."""
        ...
