"""Transfer: how far an upload is, or an image or results that are fetched, if it takes more than a moment.

On a terminal it is a bar that goes again; elsewhere one line says what it is that takes so long.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from sparkles.cli.terminal import is_ours, is_terminal
from sparkles.pace import Pace
from sparkles.ports import Moved

if TYPE_CHECKING:
    from sparkles.cli.area import Area

#: Bytes from which on a transfer takes more than a moment for certain. Seconds after which others do, too; and
#: between two drawings.
_LONG, _PATIENCE, _PERIOD = 50_000_000, 0.5, 0.25


class Transfer:
    """Shows on stderr what has come of `size` bytes, and of `files` files if they are counted, until it is closed.

    Both may be 0 if they are not known.
    """

    def __init__(self, what: str, *, size: int = 0, files: int | None = None) -> None:
        self._what = what
        self._files = files
        self._size = size
        self._done = self._count = 0
        self._area: Area | None = None
        self._is_said = False
        now = time.monotonic()
        self._pace = Pace().at(now, 0)
        self._due = now + (0 if size >= _LONG else _PATIENCE)

    def __enter__(self) -> Transfer:
        """Begin."""
        if self._size:
            self._show()
        return self

    def __exit__(self, *_: object) -> None:
        """End, whatever has happened."""
        self.close()

    def add(self, moved: Moved) -> None:
        """Take note of what has come."""
        self._done, self._count = self._done + moved.size, self._count + moved.files
        self._show()

    def at(self, done: int, size: int) -> None:
        """Take note of the bytes that have come, of those that are known of so far."""
        self._done, self._size = done, size
        self._show()

    def close(self) -> None:
        """Remove what is shown."""
        if self._area:
            self._area.close()
            self._area = None

    def _show(self) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _PERIOD
        self._pace = self._pace.at(now, self._done)
        if not is_terminal(sys.stderr):
            self._say()
        elif is_ours(sys.stderr):
            self._draw()

    def _say(self) -> None:
        if not self._is_said:
            self._is_said = True
            click.echo(f"{self._what} …", err=True)

    def _draw(self) -> None:
        from sparkles.cli import view  # take a while to load, and only those who wait need them
        from sparkles.cli.area import Area

        self._area = self._area or Area(sys.stderr)
        files = None if self._files is None else (self._count, self._files)
        row = view.transfer_row(
            self._what, self._done, self._size, files=files, rate=self._pace.rate, extent=self._area.extent
        )
        self._area.draw([], view.painted([row]))
