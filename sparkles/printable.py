"""Printable: text that others wrote, as a terminal can be given it."""

from __future__ import annotations

import re

#: What programs send to move the cursor, clear the screen, set colours or the title: CSI and OSC sequences, and others.
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x9b[0-?]*[ -/]*[@-~]|\x1b[\]P^_X].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]?", re.DOTALL
)

#: What has no shape of its own, but changes the place or the direction of what has.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def printable(line: str) -> str:
    r"""Return a line without anything that moves the cursor; of what it writes over itself, the last state.

    >>> printable("\x1b[31m10%\r 90%\r100%\r")
    '100%'
    """
    last = _SEQUENCE.sub("", line).rstrip("\r").rpartition("\r")[2]
    return _CONTROL.sub("", last.expandtabs())


def encodable(text: str, encoding: str | None) -> str:
    """Return a text with a question mark for each character that the encoding lacks."""
    name = encoding or "utf-8"
    return text.encode(name, "replace").decode(name)
