"""Said: what a task said last, the line that tells most about why it failed. Pure."""

from __future__ import annotations

from sparkles.printable import printable

#: Bytes at the end of a log in which that line is looked for.
END = 4096

#: The most characters of it that are kept.
_MOST = 200


def said(end: bytes) -> str | None:
    r"""Return the last line of the end of a log that is not blank, as a terminal can be given it; None without one.

    >>> said(b"10%\r 90%\rValueError: NaN\n\n")
    'ValueError: NaN'
    """
    lines = (printable(line).strip() for line in reversed(end.decode("utf-8", "replace").split("\n")))
    return next((line[:_MOST] for line in lines if line), None)
