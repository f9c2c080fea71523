"""Uploading: how far an upload is, on a terminal, if it takes more than a moment."""

from __future__ import annotations

import sys
import time

from sparkles.cli.area import Area, is_ours, is_terminal
from sparkles.pace import Pace

#: Bytes from which on an upload takes more than a moment for certain. Seconds after which others do, too; and
#: between two drawings.
_LONG, _PATIENCE, _PERIOD = 50_000_000, 0.5, 0.25


class Upload:
    """Shows on stderr what has been uploaded of `files` files and `size` bytes, until it is closed."""

    def __init__(self, *, files: int, size: int) -> None:
        self._files = files
        self._size = size
        self._done = self._count = 0
        self._area: Area | None = None
        now = time.monotonic()
        self._pace = Pace().at(now, 0)
        self._due = now + (0 if size >= _LONG else _PATIENCE)

    def __enter__(self) -> Upload:
        """Begin."""
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        """End, whatever has happened."""
        self.close()

    def add(self, size: int) -> None:
        """Take note of a file that has been uploaded."""
        self._done, self._count = self._done + size, self._count + 1
        self._show()

    def close(self) -> None:
        """Remove what is shown."""
        if self._area:
            self._area.close()
            self._area = None

    def _show(self) -> None:
        now = time.monotonic()
        if not self._files or now < self._due or not (is_terminal(sys.stderr) and is_ours(sys.stderr)):
            return
        from sparkles.cli import view  # takes a while to load, and only those who wait need it

        self._due = now + _PERIOD
        self._pace = self._pace.at(now, self._done)
        self._area = self._area or Area(sys.stderr)
        files = (self._count, self._files)
        extent = self._area.extent
        row = view.upload_row(self._done, self._size, files=files, rate=self._pace.rate, extent=extent)
        self._area.draw([], view.painted([row]))
