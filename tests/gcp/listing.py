"""Listing a bucket: which names, which prefixes, and where the next page begins. Pure."""

from __future__ import annotations

import base64
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

#: As many as Google gives at most, whatever is asked for.
PAGE = 1000

#: Comes after all that follows a prefix: no UTF-8 has this byte.
_BEYOND = b"\xff"


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is to be listed."""

    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    glob: str = ""
    size: int = PAGE
    token: str = ""
    #: Whether an object named like a prefix, such as `folder/`, is listed beside the prefix.
    trailing: bool = False

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Query:
        """Return the query of a request's parameters."""
        return cls(
            prefix=values.get("prefix", ""), delimiter=values.get("delimiter", ""), glob=values.get("matchGlob", ""),
            start=values.get("startOffset", ""), end=values.get("endOffset", ""), token=values.get("pageToken", ""),
            size=min(int(values.get("maxResults") or PAGE) or PAGE, PAGE),
            trailing=values.get("includeTrailingDelimiter", "").lower() == "true",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of a listing."""

    names: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    #: The token of the next page, if there is one.
    next: str | None = None


def page(order: Sequence[bytes], query: Query) -> Page:
    """Return a page of names, which are given in order. Objects and prefixes count alike."""
    found = Page()
    token, place = "", _first(order, query)
    while place < len(order):
        name = order[place].decode()
        if not name.startswith(query.prefix) or (query.end and name >= query.end):
            break
        shared = _shared(name, query)
        place = place + 1 if shared is None else _after(order, shared)
        if not _matches(shared or name, query.glob):
            continue
        if len(found.names) + len(found.prefixes) >= query.size:
            return Page(names=found.names, prefixes=found.prefixes, next=token)
        if shared is None or (query.trailing and name == shared):
            found.names.append(name)
        if shared is not None:
            found.prefixes.append(shared)
        token = _token(shared or name, whole=shared is None)
    return found


def _first(order: Sequence[bytes], query: Query) -> int:
    first = bisect_left(order, max(query.prefix, query.start).encode())
    if not query.token:
        return first
    last = base64.urlsafe_b64decode(query.token)
    return max(first, bisect_left(order, last))


def _token(last: str, *, whole: bool) -> str:
    """Return what stands for the place after a name, or after all names with a prefix."""
    return base64.urlsafe_b64encode(last.encode() + (b"\x00" if whole else _BEYOND)).decode()


def _after(order: Sequence[bytes], prefix: str) -> int:
    return bisect_left(order, prefix.encode() + _BEYOND)


def _shared(name: str, query: Query) -> str | None:
    if not query.delimiter:
        return None
    end = name.find(query.delimiter, len(query.prefix))
    return None if end < 0 else name[: end + len(query.delimiter)]


def _matches(name: str, glob: str) -> bool:
    return not glob or _pattern(glob).fullmatch(name) is not None


@lru_cache(maxsize=64)
def _pattern(glob: str) -> re.Pattern[str]:
    """Translate a glob: `**` crosses slashes, `*` and `?` do not, `{a,b}` is either, `[…]` one of."""
    translated, braces = [], 0
    for part in re.findall(r"\*\*|\[!?[^\]]*\]|.", glob, re.DOTALL):
        if part == "{":
            braces += 1
        elif part == "}" and braces:
            braces -= 1
        translated.append(_translated(part, braces))
    return re.compile("".join(translated), re.DOTALL)


def _translated(part: str, braces: int) -> str:
    plain = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    if part in plain:
        return plain[part]
    if len(part) > 1:
        return part.replace("[!", "[^", 1)
    if part == "{":
        return "(?:"
    if part == "}":
        return ")"
    return "|" if part == "," and braces else re.escape(part)
