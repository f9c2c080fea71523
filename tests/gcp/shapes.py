"""Says what is wrong with a JSON value, by the schemas of a discovery document. Knows no API.

Requests are read as Google reads them: null is absent, a 64-bit number may be a number, what is output only is let
pass. Responses are held to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Schema = Mapping[str, Any]

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_TEXTS = {
    "byte": re.compile(r"[A-Za-z0-9+/_-]*={0,2}"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "date-time": _DATE_TIME,
    "google-datetime": _DATE_TIME,
    "google-duration": re.compile(r"-?\d+(\.\d{1,9})?s"),
}
_BOUNDS = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Shapes:
    """The named schemas of a document."""

    schemas: Mapping[str, Schema]

    def problems(self, value: Any, schema: Schema, *, method: str, sent: bool) -> list[str]:
        """Return what is wrong with a value that a client sent to a method, or that it got from one.

        Each begins with its place in the value, such as `.items[0].name`.
        """
        return _Look(self.schemas, method, sent).at(value, schema)


@dataclass(frozen=True)
class _Look:
    schemas: Mapping[str, Schema]
    method: str
    sent: bool

    def at(self, value: Any, schema: Schema) -> list[str]:
        if value is None and self.sent:
            return []
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"]]
        check = _PLAIN.get(schema.get("type", "any"))
        if check is not None:
            wrong = check(value, schema, self.sent) or _beyond_enum(value, schema)
            return [f": {wrong}"] if wrong else []
        return self._at_array(value, schema) if schema["type"] == "array" else self._at_object(value, schema)

    def _at_array(self, value: Any, schema: Schema) -> list[str]:
        if not isinstance(value, list):
            return [f": {_shown(value)} is not an array"]
        items = schema["items"]
        return [f"[{place}]{wrong}" for place, item in enumerate(value) for wrong in self.at(item, items)]

    def _at_object(self, value: Any, schema: Schema) -> list[str]:
        if not isinstance(value, dict):
            return [f": {_shown(value)} is not an object"]
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        found: list[str] = []
        for name, item in value.items():
            known = properties.get(name, others)
            wrong = [": there is no such field"] if known is None else self.at(item, known)
            found += [f".{name}{each}" for each in wrong]
        if self.sent:
            found += [f".{name}: is required" for name in _required(properties, self.method) if value.get(name) is None]
        return found


def bad_text(text: str, schema: Schema) -> str | None:
    """Say what is wrong with a value that came as the text of a path or a query."""
    kind = schema["type"]
    if kind == "boolean":
        return None if text.lower() in ("true", "false") else f"{text!r} is not true or false"
    if kind == "integer":
        return _beyond_bounds(text, schema)
    return _text(text, schema, True) or _beyond_enum(text, schema)


def _required(properties: Mapping[str, Schema], method: str) -> list[str]:
    return [name for name, known in properties.items() if method in known.get("annotations", {}).get("required", ())]


def _text(value: Any, schema: Schema, sent: bool) -> str | None:
    form = schema.get("format")
    if form in ("int64", "uint64"):
        return _beyond_bounds(value, schema) if isinstance(value, str) or sent else f"{value!r} is not a string"
    if not isinstance(value, str):
        return f"{_shown(value)} is not a string"
    if form in _TEXTS and not _TEXTS[form].fullmatch(value):
        return f"{value!r} is not of the format {form}"
    if form in ("date-time", "google-datetime"):
        return _no_time(value)
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        return f"{value!r} does not match {schema['pattern']}"
    return None


def _no_time(value: str) -> str | None:
    try:
        datetime.fromisoformat(value[:19])  # what follows is not for every Python to read
    except ValueError as error:
        return f"{value!r} is no time: {error}"
    return None


def _integer(value: Any, schema: Schema, sent: bool) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return f"{_shown(value)} is not an integer"
    return _beyond_bounds(value, schema)


def _beyond_bounds(value: Any, schema: Schema) -> str | None:
    if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
        return f"{_shown(value)} is not a whole number"
    low, high = _BOUNDS.get(schema.get("format", ""), _BOUNDS["int64"])
    low, high = max(low, int(schema.get("minimum", low))), min(high, int(schema.get("maximum", high)))
    return None if low <= int(value) <= high else f"{value} is not in {low}…{high}"


def _number(value: Any, schema: Schema, sent: bool) -> str | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return None if number else f"{_shown(value)} is not a number"


def _boolean(value: Any, schema: Schema, sent: bool) -> str | None:
    return None if isinstance(value, bool) else f"{_shown(value)} is not true or false"


def _anything(value: Any, schema: Schema, sent: bool) -> str | None:
    return None


def _beyond_enum(value: Any, schema: Schema) -> str | None:
    if "enum" not in schema or value in schema["enum"]:
        return None
    return f"{value!r} is none of {', '.join(schema['enum'])}"


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


_PLAIN: Mapping[str, Callable[[Any, Schema, bool], str | None]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "any": _anything,
}
