"""Says what is wrong with a JSON value, by the schemas of a discovery document. Knows no API.

Requests are read as Google reads them: null is absent, a 64-bit number may be a number, what is output only is let
pass. Responses are held to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
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

    def problems(self, value: Any, schema: Schema, *, method: str, where: str, sent: bool) -> Iterator[str]:
        """Yield what is wrong with a value that a client sent to a method, or that it got from one."""
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"]]
        if value is None and sent:
            return
        check = _PLAIN.get(schema.get("type", "any"))
        if check is not None:
            wrong = check(value, schema, sent) or _beyond_enum(value, schema)
            if wrong:
                yield f"{where}: {wrong}"
        elif schema["type"] == "array":
            yield from self._in_array(value, schema, method=method, where=where, sent=sent)
        else:
            yield from self._in_object(value, schema, method=method, where=where, sent=sent)

    def _in_array(self, value: Any, schema: Schema, *, where: str, **kept: Any) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{where}: {_shown(value)} is not an array"
            return
        for place, item in enumerate(value):
            yield from self.problems(item, schema["items"], where=f"{where}[{place}]", **kept)

    def _in_object(self, value: Any, schema: Schema, *, method: str, where: str, sent: bool) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where}: {_shown(value)} is not an object"
            return
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in value.items():
            known = properties.get(name, others)
            if known is None:
                yield f"{where}.{name}: there is no such field"
            else:
                yield from self.problems(item, known, method=method, where=f"{where}.{name}", sent=sent)
        if sent:
            yield from (f"{where}.{name}: is required" for name in _required(properties, method) - present(value))


def present(value: Mapping[str, Any]) -> set[str]:
    """Return the names of the fields that are there: one that is null is not."""
    return {name for name, item in value.items() if item is not None}


def bad_text(text: str, schema: Schema) -> str | None:
    """Say what is wrong with a value that came as the text of a path or a query."""
    kind = schema["type"]
    if kind == "boolean":
        return None if text.lower() in ("true", "false") else f"{text!r} is not true or false"
    if kind == "integer":
        return _beyond_bounds(text, schema)
    return _text(text, schema, True) or _beyond_enum(text, schema)


def _required(properties: Mapping[str, Schema], method: str) -> set[str]:
    return {name for name, known in properties.items() if method in known.get("annotations", {}).get("required", ())}


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
        datetime.strptime(value[:19].upper(), "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - only whether it can be read
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
