"""Said: what a task said last, the line that tells most about why it failed. Pure."""

from __future__ import annotations

import re

from sparkles.printable import printable

#: Bytes at the end of a log in which that line is looked for.
END = 4096

#: The most characters of it that are kept.
_MOST = 200

#: What R, Node.js, Java, env and make write after the line that tells what was wrong.
_CLOSING = re.compile(
    r"Execution halted|Calls: .*|In addition: Warning messages?:|Node\.js v[0-9.]+|at [\w$.<>/]+\(.*\)|\.\.\. \d+ more|"
    r".*env: use -\[v\]S .*|make(\[\d+\])?: \*\*\* .*"
)

#: What our runners of foreach write after it: above this line R has the calls that led there, each indented.
_OURS = re.compile(r"(getargs|foreach|gather) failed (on|in|while|before|after) .*")


def said(end: bytes) -> str | None:
    r"""Return the last line of the end of a log that is not blank, as a terminal can be given it; None without one.

    Of the lines that an interpreter writes after what was wrong the one before them.

    >>> said(b"10%\r 90%\rValueError: NaN\n\n")
    'ValueError: NaN'
    """
    last, ours = None, False
    for row in reversed(end.decode("utf-8", "replace").split("\n")):
        if line := printable(row).strip()[:_MOST]:
            ours = ours or bool(_OURS.fullmatch(line))
            if not (_CLOSING.fullmatch(line) or _OURS.fullmatch(line) or (ours and row.startswith("  "))):
                return line
            last = last or line
    return last
