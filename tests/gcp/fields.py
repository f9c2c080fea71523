"""The `fields` parameter: an answer keeps only what was asked for. Knows no API.

A client that asks for too little must not find more here than it would at Google.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

#: A field → what is kept of it; nothing means all.
Mask = dict[str, "Mask"]

_WORD = re.compile(r"[^,()/\s]+|[,()/]")


class MaskError(ValueError):
    """The text is no mask."""


@lru_cache(maxsize=256)
def mask(text: str) -> Mask:
    """Read `items(name,size),nextPageToken` or `items/name`."""
    words = _WORD.findall(text)
    read, rest = _fields(words)
    if rest or not read:
        raise MaskError(f"Invalid field selection {text}")
    return read


def keep(value: Any, wanted: Mask) -> Any:
    """Return of a value what is wanted."""
    if not wanted or "*" in wanted:
        return value
    if isinstance(value, list):
        return [keep(item, wanted) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: keep(item, wanted[name]) for name, item in value.items() if name in wanted}


def _fields(words: list[str]) -> tuple[Mask, list[str]]:
    read: Mask = {}
    while words and words[0] not in (",", "(", ")", "/"):
        name, words = words[0], words[1:]
        inner, words = _inside(words)
        read.setdefault(name, {}).update(inner)
        if words[:1] != [","]:
            break
        words = words[1:]
    return read, words


def _inside(words: list[str]) -> tuple[Mask, list[str]]:
    if words[:1] == ["("]:
        inner, words = _fields(words[1:])
        if words[:1] != [")"]:
            raise MaskError("Invalid field selection: a bracket is not closed")
        return inner, words[1:]
    if words[:1] == ["/"] and len(words) > 1:
        deeper, rest = _inside(words[2:])
        return {words[1]: deeper}, rest
    return {}, words
