"""Speech: what a node has to say goes to its log, which may be on a full disk. That is never worth dying of."""

from __future__ import annotations

from contextlib import suppress


def say(text: str) -> None:
    """Write a line to the node's log, if that is possible."""
    with suppress(OSError, ValueError):
        print(text, flush=True)  # noqa: T201 - stdout is the log
