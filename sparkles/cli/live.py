"""Live: a terminal on which lines stay, and below them an area shows how the job stands now."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

import click

from sparkles.cli.terminal import is_ours, is_terminal
from sparkles.printable import printable
from sparkles.screen import Paper, Screen, stamped
from sparkles.sight import Sight

if TYPE_CHECKING:
    from sparkles.cli.area import Area, Row

#: Seconds that a job is watched before the area is shown: most are over by then. And between two drawings of it.
_PATIENCE, _PERIOD = 0.5, 0.25

#: Lines that wait for the next drawing.
_WAITING = 500


def screen() -> Screen:
    """Return a screen for stdout: a live one if that is a terminal that can be one."""
    return LiveScreen(sys.stdout) if is_terminal(sys.stdout) else Paper(click.echo)


class LiveScreen:
    """See Screen. Until the area is there, and when it is gone again, it is as good as paper."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._area: Area | None = None
        #: When the area is to be drawn next; None before anything was shown.
        self._due: float | None = None
        self._rows: list[Row] = []
        self._lines: list[str] = []

    @property
    def is_live(self) -> bool:
        """See Screen."""
        return self._area is not None

    def say(self, line: str) -> None:
        """See Screen."""
        if self._area is None:
            click.echo(line, file=self._stream)
            return
        self._lines.append(line)
        if len(self._lines) >= _WAITING:
            self._draw(self._area)

    def say_log(self, line: str) -> None:
        """See Screen."""
        self.say(stamped(printable(line)))

    def show(self, look: Callable[[], Sight]) -> None:
        """See Screen."""
        now = time.monotonic()
        if self._due is None:
            self._due = now + _PATIENCE
        if now < self._due:
            return
        self._due = now + _PERIOD
        if not is_ours(self._stream):
            self.close()
            return
        from sparkles.cli import view  # take a while to load, and only those who wait need them
        from sparkles.cli.area import Area

        self._area = self._area or Area(self._stream)
        self._rows = view.painted(view.job_rows(look(), self._area.extent))
        self._draw(self._area)

    def close(self) -> None:
        """See Screen."""
        if self._area:
            self._rows = []
            self._draw(self._area)
            self._area.close()
            self._area = None

    def _draw(self, area: Area) -> None:
        lines, self._lines = self._lines, []  # before they are printed: Ctrl-C may come meanwhile
        area.draw(lines, self._rows)
