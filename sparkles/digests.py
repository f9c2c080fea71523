"""Digests: the sha256 of a task's canonical JSON, made a million times over. Pure.

JSON escapes a text character by character. So what all tasks share is escaped once, and of each row only the values
that stand in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest

from sparkles import canonical
from sparkles.placeholders import Template, quoted

#: What the canonical JSON of a task is made of: JSON that all tasks share, a string with placeholders, and what makes
#: JSON of a row.
Part = str | Template | Callable[[Mapping[str, str]], str]

#: Given the values of a row, returns what stands in its JSON at one place.
_Fill = Callable[[Sequence[str]], str]


def digester(parts: Sequence[Part], columns: Sequence[str]) -> Callable[[Sequence[str]], bytes]:
    """Return what tells the digest of a task from the values of its row, which stand in the order of `columns`."""
    pieces = [piece for part in parts for piece in _pieces(part, columns)]
    form = "".join(piece.replace("%", "%%") if isinstance(piece, str) else "%s" for piece in pieces)
    fills = [piece for piece in pieces if not isinstance(piece, str)]

    def digest(values: Sequence[str]) -> bytes:
        text = form % tuple([fill(values) for fill in fills])
        return hashlib.sha256(text.encode()).digest()

    return digest


def _pieces(part: Part, columns: Sequence[str]) -> Iterator[str | _Fill]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, Template):
        yield '"'
        for literal, field in zip_longest(part.literals, part.fields):
            yield canonical.inside(literal)
            if field is not None:
                yield _value(columns.index(field), quote=part.quote)
        yield '"'
    else:
        yield lambda values: part(dict(zip(columns, values, strict=True)))


def _value(position: int, *, quote: bool) -> _Fill:
    if quote:
        return lambda values: canonical.inside(quoted(values[position]))
    return lambda values: canonical.inside(values[position])
