"""Defaults: a document in, the same with every default of its schema written out."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sparkles.manifest.schema import Schema, branch, of_kind


def with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a valid document with the schema's defaults filled in.

    What depends on the backend (slots, linger, keep, machine type) stays as it is.
    """
    filled: dict[str, Any] = _filled(document, of_kind(document["kind"]))
    return filled


def _filled(value: Any, schema: Schema) -> Any:
    match value:
        case dict():
            return _filled_mapping(value, branch(schema, "object") or {})
        case list():
            items = (branch(schema, "array") or {}).get("items", {})
            return [_filled(item, items) for item in value]
    return value


def _filled_mapping(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    fields: dict[str, Schema] = schema.get("properties", {})
    others = schema.get("additionalProperties") or {}
    own = {name: _filled(item, fields.get(name, others)) for name, item in value.items()}
    missing = {
        name: _filled(deepcopy(field["default"]), field)
        for name, field in fields.items()
        if "default" in field and name not in own
    }
    return {**own, **missing}
