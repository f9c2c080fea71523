"""Patterns: which files of a task are wanted. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

Test = Callable[[str], object]


@cache
def any_of(patterns: tuple[str, ...]) -> Test:
    """Return a test for names that any of the patterns chooses. They have no flaw.

    >>> wanted = any_of(("*.csv", "plots/"))
    >>> bool(wanted("a/b.csv")), bool(wanted("plots/x/y.png")), bool(wanted("csv"))
    (True, True, False)
    """
    return re.compile("|".join(map(_regex, patterns)) or r"(?!)", re.DOTALL).fullmatch


def flaw(pattern: str) -> str | None:
    """Return what is wrong with a pattern, or None.

    >>> flaw("[z-a]*")
    'bad character range z-a'
    """
    if pattern.startswith("/"):
        return "it is absolute; patterns are relative to the work directory"
    try:
        re.compile(_regex(pattern))
    except re.error as error:
        return error.msg
    return None


def _regex(pattern: str) -> str:
    """Translate a pattern: `*` and `?` stop at `/`, `**` does not; without `/` it holds at any depth.

    A pattern that names a folder chooses all below it.
    """
    pattern = pattern.removeprefix("./").rstrip("/")
    prefix = "" if "/" in pattern else "(?:.*/)?"
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(
        known.get(part) or (_class(part) if position % 2 else re.escape(part)) for position, part in enumerate(parts)
    )
    return f"{prefix}{body}(?:/.*)?"


def _class(part: str) -> str:
    """Translate `[abc]`, `[a-z]` or `[!abc]`."""
    inside = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    return f"[^{inside[1:]}]" if inside.startswith("!") and len(inside) > 1 else f"[{inside}]"
