"""Telling: filters that are true of the tasks of one cause, and, where that can be had, of no others. Pure.

They are tried on all that the tasks hold that filters ask for, so it is known whether they do.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sparkles import filters
from sparkles.folding import VARIOUS, literally, pattern, pieces

#: Characters of a pattern that somebody may still want to copy.
_LONGEST = 300

#: What is hard to quote for a shell.
_AWKWARD = re.compile("['\"`\\\\$!\u2018\u2019\u201c\u201d]")

#: Stand at the edges of pieces, and tell nothing.
_EDGES = " :;,.-()[]{}<>=#"


class Kind(NamedTuple):
    """What filters ask of a task, by the names of the fields: of many tasks it is the same."""

    state: str
    reason: str | None
    exit: int | None
    #: None where it does not tell one cause from another.
    said: str | None
    killedBy: str | None  # noqa: N815 - the name of the field


@dataclass(slots=True)
class Lines:
    """The last lines of tasks that have a cause in common: their shape, and what stands in its places."""

    shape: str
    #: None in a place where that differs.
    parts: Sequence[str | None]
    kinds: set[Kind] = field(default_factory=set)


def of_others(texts: Sequence[str], others: Iterable[Lines]) -> list[Lines]:
    """Return those of other tasks of which filters are true, too: as `others`, without the kinds that do not pass."""
    found = (Lines(other.shape, other.parts, set(_passing(texts, other.kinds))) for other in others)
    return [other for other in found if other.kinds]


def are_exact(texts: Sequence[str], own: Lines, others: Iterable[Lines]) -> bool:
    """Say whether filters are true of all own tasks, and of no others."""
    return len(list(_passing(texts, own.kinds))) == len(own.kinds) and not of_others(texts, others)


def _passing(texts: Sequence[str], kinds: Collection[Kind]) -> Iterator[Kind]:
    wanted = [filters.parse(text) for text in texts]
    return (kind for kind in kinds if all(one.allows(getattr(kind, one.field.name)) for one in wanted))


def by_line(own: Lines, others: Sequence[Lines]) -> Iterator[str]:
    """Yield filters that tell tasks from others by what they said: a plain piece of it, if there is such a one."""
    if own.shape == VARIOUS.shape:
        return
    if not own.shape:
        yield "said="
    elif piece := _own_piece(own, others):
        yield f"said ~ {piece}"
    else:
        yield from _by_whole_line(own, others)


def _own_piece(own: Lines, others: Sequence[Lines]) -> str | None:
    """Return a pattern for what stands in the lines, and in none of the others, as plain text; None without any."""
    said = {kind.said for other in others for kind in other.kinds if kind.said}
    plain = sorted(_plain_pieces(own.shape), key=len, reverse=True)
    return next((literally(piece) for piece in plain if not any(piece in line for line in said)), None)


def _plain_pieces(shape: str) -> Iterator[str]:
    for piece in pieces(shape):
        yield from filter(None, (part.strip(_EDGES) for part in _AWKWARD.split(piece)))


def _by_whole_line(own: Lines, others: Sequence[Lines]) -> Iterator[str]:
    """Yield a pattern of whole lines, and one of those others that it finds, too, as `^.+$` finds all.

    Those stay of which any pattern would find lines of its own, too, and all where nobody could copy the result.
    """
    whole = f"said ~ {pattern(own.shape, own.parts)}"
    yield whole
    unwanted = (_unwanted(other, own) for other in of_others([whole], others))
    but = "|".join(dict.fromkeys(filter(None, unwanted)))
    if 0 < len(but) <= _LONGEST:
        yield f"said !~ {but}"


def _unwanted(other: Lines, own: Lines) -> str | None:
    """Return a pattern that finds other lines and no own ones; None if there is none."""
    if piece := _own_piece(other, [own]):
        return piece
    whole = pattern(other.shape, other.parts)
    return None if of_others([f"said ~ {whole}"], [own]) else whole
