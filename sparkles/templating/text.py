"""Text: a value in, what a template prints for it out: the words of YAML, and JSON for what has parts."""

from __future__ import annotations

import re
from typing import Any

from jinja2 import Undefined

#: What cannot stand in JSON, in YAML or, since texts are put between them, in single quotes.
_ESCAPED = re.compile("[\"'\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
_NAMED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def as_text(value: Any) -> str:
    """Return what `{{ value }}` prints."""
    return str(value) if isinstance(value, str) else as_json(value)


def as_json(value: Any) -> str:
    """Return a value as JSON on one line, which is YAML as well: what a template's `tojson` prints."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f'"{_ESCAPED.sub(_escape, value)}"'
        case int() | float() | Undefined():  # text of what is undefined is an error
            return str(value)
        case list() | tuple() | range():
            return f"[{', '.join(map(as_json, value))}]"
        case dict():
            return "{" + ", ".join(f"{as_json(as_text(key))}: {as_json(item)}" for key, item in value.items()) + "}"
    hint = "; to print its items add | list" if hasattr(value, "__iter__") else ""
    raise TypeError(f"a {type(value).__name__} cannot be printed{hint}")


def _escape(match: re.Match[str]) -> str:
    return _NAMED.get(match.group()) or f"\\u{ord(match.group()):04x}"
