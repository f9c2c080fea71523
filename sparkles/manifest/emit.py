"""Emit: a document in, YAML text out that reads back to exactly that document.

Other YAML readers see the same in it. No library writes it: people keep this text and compare it, and it must not
change with a version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_ORDER = ("apiVersion", "kind", "metadata", "spec", "status")
_WIDTH = 100

_LONGEST_KEY = 500

# Patterns are made when they are first used: to make them takes long for commands that write no YAML.

#: Text that needs no quotes: nothing in it means something in YAML, inside brackets or outside.
_PLAIN = r"-{0,2}[A-Za-z_/][A-Za-z0-9_./+=@^-]*(?:[ :][A-Za-z0-9_./+=@^-]+)*"
_RELATIVE = r"\.{1,2}(?:/[A-Za-z0-9_./+=@^-]*)?"
_DURATION = r"(?:[0-9]+[smhd])+"
#: Text that some YAML reader takes for a number, a truth or nothing.
_OTHER = r"(?i:y|n|yes|no|on|off|true|false|null|none|[-+]?\.?(?:nan|inf))"

_CONTROL = "\x00-\x08\x0a-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff"
_ESCAPED = f'["\\\\\t{_CONTROL}]'
_NAMED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
#: Several lines that can stand as they are; the first is not indented, the last not empty.
_BLOCK = rf"[^\s{_CONTROL}][^{_CONTROL}]*(?:\n(?:[ \t]*[^\s{_CONTROL}][^{_CONTROL}]*)?)*(?<!\n)(?P<end>\n?)"


def dump(document: dict[str, Any]) -> str:
    """Return a document as YAML text."""
    ordered = {name: document[name] for name in _ORDER if name in document}
    return "\n".join(_mapping({**ordered, **document}, 0)) + "\n"


def _mapping(mapping: dict[str, Any], depth: int) -> Iterator[str]:
    for key, value in mapping.items():
        yield from _entry(f"{_indented_key(key, depth)}:", value, depth)


def _indented_key(key: str, depth: int) -> str:
    """Return a key; one that YAML finds too long for its short form has a line of its own."""
    indent, text = "  " * depth, _text(key)
    return f"{indent}? {text}\n{indent}" if len(text) > _LONGEST_KEY else f"{indent}{text}"


def _entry(head: str, value: Any, depth: int) -> Iterator[str]:
    """Write a value after its key: beside it if it fits there, else indented below."""
    if isinstance(value, dict) and value:
        yield head
        yield from _mapping(value, depth + 1)
    elif isinstance(value, list) and len(head) + len(_flow(value)) >= _WIDTH:
        yield head
        for item in value:
            yield from _item(item, depth + 1)
    else:
        yield f"{head} {_block(value, depth + 1) or _flow(value)}"


def _item(item: Any, depth: int) -> Iterator[str]:
    """Write an item of a list: one line, but for a long mapping, which begins beside the dash."""
    indent, line = "  " * depth, _flow(item)
    if isinstance(item, dict) and len(indent) + len(line) >= _WIDTH:
        below = "\n".join(_mapping(item, depth + 1))
        yield f"{indent}- {below.removeprefix('  ' * (depth + 1))}"
    else:
        yield f"{indent}- {line}"


def _flow(value: Any) -> str:
    """Return a value on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case int() | float():
            return str(value)
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case dict():
            return "{" + ", ".join(f"{_flow_key(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    return _text(str(value))


def _flow_key(key: str) -> str:
    text = _text(key)
    return f"? {text} " if len(text) > _LONGEST_KEY else text


def _text(text: str) -> str:
    if re.fullmatch(_RELATIVE, text) or re.fullmatch(_DURATION, text):
        return text
    if re.fullmatch(_PLAIN, text) and not re.fullmatch(_OTHER, text):
        return text
    return f'"{re.sub(_ESCAPED, _escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return _NAMED.get(match.group()) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _block(value: Any, depth: int) -> str:
    """Return text of several ordinary lines as a block, each on a line of its own; of all else, nothing."""
    if not isinstance(value, str) or "\n" not in value or not (plain := re.fullmatch(_BLOCK, value)):
        return ""
    lines = value.removesuffix("\n").split("\n")
    indented = ("  " * depth + line if line else "" for line in lines)
    return "\n".join(["|" if plain["end"] else "|-", *indented])
