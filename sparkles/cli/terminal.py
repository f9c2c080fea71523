"""Terminal: whether a stream is one, and whether it is ours to write to."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TextIO


def is_terminal(stream: TextIO) -> bool:
    """Say whether an area can be kept at the end of what is written to the stream."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def is_ours(stream: TextIO) -> bool:
    """Say whether the terminal is ours now: while we run in the background, it is the shell's."""
    with suppress(OSError):  # there is no shell that shares it out
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    return True
