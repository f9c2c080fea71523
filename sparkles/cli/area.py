"""Area: the last rows of a terminal, written anew again and again, below lines that stay.

The cursor stays visible and at the end of the area, so there is nothing to be restored, whatever ends the program.
"""

from __future__ import annotations

import locale
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import NamedTuple, TextIO

#: Cells that are left free at the right, for the ^C that a terminal echoes.
_MARGIN = 2

#: Long rows are cut and not wrapped, even if the terminal thinks them wider than we do; and the end of that.
_CUT, _WRAP = "\x1b[?7l", "\x1b[?7h"

#: Erases from the cursor on.
_ERASE = "\x1b[J"


class Extent(NamedTuple):
    """What a terminal has room for."""

    width: int
    height: int
    #: Whether it shows more than ASCII.
    unicode: bool


class Row(NamedTuple):
    """A row of the area: text with its colours, and the cells that it takes."""

    text: str
    cells: int


def is_terminal(stream: TextIO) -> bool:
    """Say whether an area can be kept at the end of what is written to the stream."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def is_ours(stream: TextIO) -> bool:
    """Say whether the terminal is ours now: while we run in the background, it is the shell's."""
    with suppress(OSError):  # there is no shell that shares it out
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    return True


class Area:
    """The area of one stream, which is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        #: The cells of each row that is there now.
        self._there: list[int] = []
        self._before = signal.signal(signal.SIGCONT, self._forget)

    @property
    def extent(self) -> Extent:
        """What there is room for now: the terminal may have been resized."""
        columns, rows = self._size()
        # Python itself writes UTF-8 in the C locale, too, which is no promise of the terminal.
        encodings = (self._stream.encoding or "", locale.nl_langinfo(locale.CODESET))
        return Extent(max(1, columns - _MARGIN), rows, all("utf" in name.lower() for name in encodings))

    def draw(self, lines: Sequence[str], rows: Sequence[Row]) -> None:
        """Print lines, to stay, and below them the area."""
        above = "".join(f"{line}\n" for line in lines)
        below = _CUT + "\n".join(row.text for row in rows) + _WRAP if rows else ""
        text = self._back() + above + below
        self._there = [row.cells for row in rows]  # before it is: Ctrl-C may come while it is written
        self._stream.write(text)
        self._stream.flush()

    def close(self) -> None:
        """Remove the area."""
        try:
            self.draw([], [])
        finally:
            signal.signal(signal.SIGCONT, self._before)

    def _back(self) -> str:
        """Return what moves the cursor to the beginning of the area and erases it.

        A terminal that has become narrower has wrapped the rows that were too long for it.
        """
        if not self._there:
            return ""
        columns, _ = self._size()
        rows = sum(max(1, -(-cells // columns)) for cells in self._there)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "") + _ERASE

    def _size(self) -> tuple[int, int]:
        """Return columns and rows; those of old terminals where a terminal does not know."""
        size = os.get_terminal_size(self._stream.fileno())
        return size.columns or 80, size.lines or 24

    def _forget(self, _: int, __: FrameType | None) -> None:
        """Begin anew where the cursor is: after a stop (Ctrl-Z), others have written below the area."""
        self._there = []
