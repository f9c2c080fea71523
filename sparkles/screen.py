"""Screen: where a watched job is shown. Here is the plainest one; the terminal's is in `cli`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from sparkles.sight import Sight

Say = Callable[[str], None]


class Screen(Protocol):
    """Takes lines, and what there is to see of a job."""

    @property
    def is_live(self) -> bool:
        """Whether it shows what `show` is given, so that no line need say how the job stands."""
        ...

    def say(self, line: str) -> None:
        """Print a line, to stay."""
        ...

    def say_log(self, line: str) -> None:
        """Print a line of a log, with the time of day."""
        ...

    def show(self, look: Callable[[], Sight]) -> None:
        """Show how the job stands. Looks only if it is time to show it anew."""
        ...

    def close(self) -> None:
        """Show no more. Lines can still be printed."""
        ...


class Paper:
    """A screen that takes lines only, such as a pipe."""

    is_live = False

    def __init__(self, say: Say) -> None:
        self._say = say

    def say(self, line: str) -> None:
        """See Screen."""
        self._say(line)

    def say_log(self, line: str) -> None:
        """See Screen."""
        self._say(stamped(line))

    def show(self, look: Callable[[], Sight]) -> None:
        """See Screen."""

    def close(self) -> None:
        """See Screen."""


def stamped(line: str) -> str:
    """Return a line of a log with the time of day before it."""
    return f"[{datetime.now().astimezone():%H:%M:%S}] {line}"
