"""Area: the last rows of a terminal, written anew again and again, below lines that stay.

The cursor stays visible and at the end of the area, so there is nothing to be restored, whatever ends the program.
Warnings that come meanwhile, in whatever thread, become lines as well: on stderr they would be written into the area.
"""

from __future__ import annotations

import locale
import logging
import os
import signal
import threading
from collections.abc import Sequence
from types import FrameType
from typing import NamedTuple, TextIO

from sparkles.printable import encodable, printable

#: Cells that are left free at the right, for the ^C that a terminal echoes.
_MARGIN = 2

#: Long rows are cut and not wrapped, even if the terminal thinks them wider than we do; and the end of that.
_CUT, _WRAP = "\x1b[?7l", "\x1b[?7h"

#: Erases from the cursor on.
_ERASE = "\x1b[J"

#: What parts of sparkles warn of while they work.
_LOG = logging.getLogger("sparkles")


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


class Area:
    """The area of one stream, which is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        #: The rows that are there now.
        self.there: Sequence[Row] = ()
        self._before = signal.signal(signal.SIGCONT, self._forget)
        self._lock = threading.RLock()
        self._warnings = _Warnings(self)
        _LOG.addHandler(self._warnings)

    def warn(self, text: str) -> None:
        """Print a line, to stay, above the area as it is. For any thread."""
        with self._lock:
            self.draw([encodable(printable(text), self._stream.encoding)], self.there)

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
        with self._lock:
            text = self._back() + above + below
            self.there = rows  # before it is: Ctrl-C may come while it is written
            self._stream.write(text)
            self._stream.flush()

    def close(self) -> None:
        """Remove the area."""
        _LOG.removeHandler(self._warnings)
        try:
            self.draw([], [])
        finally:
            signal.signal(signal.SIGCONT, self._before)

    def _back(self) -> str:
        """Return what moves the cursor to the beginning of the area and erases it.

        A terminal that has become narrower has wrapped the rows that were too long for it.
        """
        if not self.there:
            return ""
        columns, _ = self._size()
        rows = sum(max(1, -(-row.cells // columns)) for row in self.there)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "") + _ERASE

    def _size(self) -> tuple[int, int]:
        """Return columns and rows; those of old terminals where a terminal does not know."""
        size = os.get_terminal_size(self._stream.fileno())
        return size.columns or 80, size.lines or 24

    def _forget(self, _: int, __: FrameType | None) -> None:
        """Begin anew where the cursor is: after a stop (Ctrl-Z), others have written below the area."""
        self.there = ()


class _Warnings(logging.Handler):
    """Brings warnings to an area."""

    def __init__(self, area: Area) -> None:
        super().__init__(logging.WARNING)
        self._area = area

    def emit(self, record: logging.LogRecord) -> None:
        self._area.warn(record.getMessage())
