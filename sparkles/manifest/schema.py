"""Schema: the JSON Schemas of `schemas/`, with references resolved, and ways to walk through them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from sparkles.errors import RequestError, nearest
from sparkles.resources import schema_text

Schema = dict[str, Any]

#: The documents that can be applied: `kind` → the name of its schema.
KINDS = {"Job": "job", "Foreach": "foreach", "Workflow": "workflow"}

#: What a type of JSON Schema is called in messages and help.
WORDS = {
    "string": "a string",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


@cache
def load(name: str) -> Schema:
    """Return `schemas/<name>.json` with every `$ref` replaced by what it refers to."""
    found: Schema = _inline(_written(name), name)
    found.pop("$defs", None)
    return found


@cache
def _written(name: str) -> Schema:
    document: Schema = json.loads(schema_text(name))
    return document


def _inline(value: Any, name: str) -> Any:
    """Return a part of the schema of this name without references."""
    if isinstance(value, list):
        return [_inline(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    own = {key: _inline(item, name) for key, item in value.items() if key != "$ref"}
    reference = value.get("$ref")
    return own if not isinstance(reference, str) else {**_referred(reference, name), **own}


@cache
def _referred(reference: str, name: str) -> Schema:
    """Return what `#/a/b`, or `other.json#/a/b`, refers to in the schema of this name."""
    file, _, pointer = reference.partition("#/")
    place = file.removesuffix(".json") or name
    found: Any = _written(place)
    for step in pointer.split("/"):
        found = found[step]
    referred: Schema = _inline(found, place)
    return referred


def of_kind(kind: Any) -> Schema:
    """Return the schema of documents of this kind."""
    if isinstance(kind, str) and kind in KINDS:
        return load(KINDS[kind])
    known = ", ".join(KINDS)
    hint = nearest(kind, KINDS) if isinstance(kind, str) else ""
    raise RequestError(f"unknown kind {kind!r}, expected one of: {known}{hint}")


def ecma(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of a schema: there, unlike in Python, `$` is only the very end."""
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


def is_integer(value: Any) -> bool:
    """Return whether a value is an integer: one of at most 18 digits, which every store can hold."""
    return type(value) is int and abs(value) < 10**18


def branches(schema: Schema) -> list[Schema]:
    """Return the shapes a value may have: the schema itself, or the alternatives of its union."""
    if "type" in schema:
        return [schema]
    found: list[Schema] = schema.get("oneOf") or schema.get("anyOf") or [schema]
    return found


def branch(schema: Schema, type_: str) -> Schema | None:
    """Return the shape that has this type, if there is one."""
    return next((shape for shape in branches(schema) if shape.get("type") == type_), None)


def children(schema: Schema) -> dict[str, Schema]:
    """Return the named fields of a mapping, or of the items of a list."""
    for shape in branches(schema):
        if shape.get("type") == "object":
            fields: dict[str, Schema] = shape.get("properties", {})
            return fields
        if shape.get("type") == "array" and (below := children(shape["items"])):
            return below
    return {}


def fields(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Yield every named field below a schema with its path, parents first."""
    for name, child in children(schema).items():
        yield (*path, name), child
        yield from fields(child, (*path, name))


def elsewhere(schema: Schema, name: str) -> list[str]:
    """Return the dotted paths of the fields of this name, whatever its capitals, `_` and `-`."""
    wanted = _plain(name)
    return [".".join(path) for path, _ in fields(schema) if _plain(path[-1]) == wanted]


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()
