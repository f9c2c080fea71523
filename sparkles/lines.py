"""Lines: logs as lines of bytes, whatever they hold. Pure.

Nothing is decoded, and no more than a piece of a log is ever held: a line may be as long as the log.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sparkles.errors import RequestError

#: Bytes up to which a line is looked at as one; of a longer one, each part of this size by itself.
LONGEST = 1 << 20

#: Bytes that are shown of a line which was found; and those before the place, if it is far from the beginning.
_SHOWN, _BEFORE = 2_000, 500

#: Finds a place in a line.
Search = Callable[[bytes], "re.Match[bytes] | None"]


class Line(NamedTuple):
    """A line that was found."""

    #: From 1.
    number: int
    #: Without the line break; of a long one what is around the place, with dots where it is cut.
    text: bytes


def pattern(text: str) -> Search:
    """Return what finds a regular expression in bytes.

    >>> pattern("[0-9]+ ms")(b"took 12 ms") is not None
    True
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python may read in another way some day, such as [[x]
            return re.compile(text.encode("utf-8", "surrogateescape")).search
    except (re.error, OverflowError, RecursionError) as error:
        raise RequestError(
            f"--grep {text!r}: not a regular expression: {error}; put \\ before signs as they are"
        ) from None


def found(search: Search, pieces: Iterable[bytes]) -> Iterator[Line]:
    """Yield the lines of a log in which something is found."""
    for number, line in numbered(pieces):
        if match := search(line.removesuffix(b"\r")):
            yield Line(number, _around(line, match.start()))


def numbered(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their numbers; of one that is too long several parts, all with its number.

    >>> list(numbered([b"a\\nb", b"b\\n\\nc"]))
    [(1, b'a'), (2, b'bb'), (3, b''), (4, b'c')]
    """
    number, rest, is_cut = 1, b"", False
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line or not is_cut:
                yield number, line
            number, is_cut = number + 1, False
        if len(rest) >= LONGEST:
            yield number, rest
            rest, is_cut = b"", True
    if rest:
        yield number, rest


def _around(line: bytes, place: int) -> bytes:
    """Return a line, or what is around a place in it if it is long."""
    if len(line) <= _SHOWN:
        return line
    start = max(0, min(place - _BEFORE, len(line) - _SHOWN))
    end = start + _SHOWN
    return b"..." * (start > 0) + line[start:end] + b"..." * (end < len(line))


def after_break(content: bytes, number: int) -> int | None:
    """Return what place comes after a line break, the first from the end being number 1; None if there are fewer.

    >>> after_break(b"a\\nb\\nc", 2), after_break(b"a\\nb\\nc", 3), after_break(b"a", 0)
    (2, None, 1)
    """
    place = len(content)
    for _ in range(number):
        place = content.rfind(b"\n", 0, place)
        if place < 0:
            return None
    return place + (number > 0)
