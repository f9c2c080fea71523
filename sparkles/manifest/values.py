"""Values: nodes in, the plain values that the schema asks for out.

Where the schema wants text, a scalar's source text is the value: `0.10` stays 0.10 and `yes` stays yes.
What does not fit is passed on as it looks, for the validation to report.
"""

from __future__ import annotations

import re
from typing import Any

from sparkles.manifest.nodes import Mapping, Node, Scalar, Sequence
from sparkles.manifest.schema import Schema, branch

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_BOOLEAN = {"true": True, "false": False}
_NULL = {"", "~", "null", "Null", "NULL"}


def value(node: Node, schema: Schema) -> Any:
    """Return the plain value of a node where this schema is expected."""
    match node:
        case Scalar():
            return _scalar(node, schema)
        case Sequence():
            items = (branch(schema, "array") or {}).get("items", {})
            return [value(item, items) for item in node.items]
        case Mapping():
            return _mapping(node, branch(schema, "object") or {})


def _scalar(node: Scalar, schema: Schema) -> Any:
    if not node.plain:
        return node.text
    if schema.get("type") == "integer" and _INTEGER.fullmatch(node.text):
        return int(node.text)
    if schema.get("type") == "boolean" and node.text in _BOOLEAN:
        return _BOOLEAN[node.text]
    return None if node.text == "" else node.text


def _mapping(node: Mapping, schema: Schema) -> dict[str, Any]:
    fields = schema.get("properties", {})
    others = schema.get("additionalProperties") or {}
    return {
        key: value(child, fields.get(key, others))
        for key, (_, child) in node.entries.items()
        if key not in fields or not _is_absent(child, fields[key])
    }


def _is_absent(node: Node, schema: Schema) -> bool:
    """Return whether a field is as good as left out: it is null, and null cannot be its text."""
    return isinstance(node, Scalar) and node.plain and node.text in _NULL and not _may_be_text(schema)


def _may_be_text(schema: Schema) -> bool:
    return branch(schema, "string") is not None or "enum" in schema or "const" in schema
