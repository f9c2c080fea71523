"""Wording: how a schema's demands and a document's values are called in messages and help."""

from __future__ import annotations

import json
import re
from typing import Any

from sparkles.manifest.schema import WORDS, Schema, branches, ecma

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_LONGEST = 60


def dotted(path: tuple[str | int, ...]) -> str:
    """Return a path as people write it.

    >>> dotted(("spec", "command", 1)), dotted(("spec", "env", "a b"))
    ('spec.command[1]', 'spec.env["a b"]')
    """
    return "".join(map(_step, path)).removeprefix(".")


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _NAME.fullmatch(step) else f"[{quoted(step)}]"


def quoted(text: str) -> str:
    """Return a text in double quotes, shortened if it is long."""
    return json.dumps(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…", ensure_ascii=False)


def found(value: Any) -> str:
    """Return what a value is."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return quoted(value)
        case bool():
            return str(value).lower()
    return str(value)


def expected(schema: Schema) -> str:
    """Return what a schema wants."""
    shapes = sorted(branches(schema), key=lambda shape: shape.get("type") == "array")
    return " or ".join(map(_expected, shapes))


def _expected(shape: Schema) -> str:
    if "const" in shape:
        return quoted(shape["const"])
    if "enum" in shape:
        return "one of " + ", ".join(shape["enum"])
    if shape.get("type") == "integer":
        return "an integer" + _limits(shape)
    if "title" in shape and "x-words" in shape:
        return f"a {shape['title']} ({shape['x-words']})"
    return WORDS[shape["type"]] if shape.get("type") in WORDS else "something else"


def _limits(shape: Schema) -> str:
    low, high = shape.get("minimum"), shape.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return f" of at least {low}" if low is not None else ""


def type_hint(value: Any, schema: Schema, written: str) -> str:
    """Return what to write instead, for a value of the wrong type whose source text may be known."""
    kinds = [shape.get("type") for shape in branches(schema)]
    if "string" in kinds and value is None:
        return '; write "" for an empty one' if any(map(_may_be_empty, branches(schema))) else ""
    if "string" in kinds and isinstance(value, dict):
        text = written or _as_written(value)
        return f"; quote it: {quoted(text)}" if text else "; if it is meant as text, quote it"
    if not isinstance(value, str):
        return ""
    if "array" in kinds:
        return f"; a list is written [{value}]" if len(value) <= _LONGEST else ""
    if "integer" in kinds and re.fullmatch(r"[-+]?0+[0-9]+", value):
        return "; leave out the leading zeros"
    if ("integer" in kinds and re.fullmatch(r"[-+]?[0-9]{1,18}", value)) or (
        "boolean" in kinds and value in ("true", "false")
    ):
        return "; leave out the quotes"
    return ""


def _may_be_empty(shape: Schema) -> bool:
    pattern = ecma(shape.get("pattern", ""))
    return shape.get("type") == "string" and "minLength" not in shape and pattern.search("") is not None


def _as_written(value: dict[Any, Any]) -> str:
    """Return the text that YAML takes for this mapping: `{a}` is the mapping from a to nothing."""
    names = [str(key) for key in value]
    return "{" + ", ".join(names) + "}" if names and not any(value.values()) else ""
