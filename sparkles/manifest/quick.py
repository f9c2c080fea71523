"""Quick: whether a value certainly fits a schema, decided without loading or running jsonschema.

It knows just the keywords that the schemas use. Whatever it turns down goes to jsonschema, which has the last
word and all the explanations.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

from sparkles.manifest.schema import Schema, ecma, is_integer

Test = Callable[[Any], bool]

_TYPES: dict[str, type] = {"string": str, "boolean": bool, "array": list, "object": dict}
_REMARKS = {"$schema", "$id", "title", "description", "default", "examples"}


def fits(schema: Schema) -> Test:
    """Return a test that is true for what is valid. A keyword it does not know is a KeyError."""
    names = [name for name in schema if name not in _REMARKS and not name.startswith("x-")]
    tests = [_KEYWORDS[name](schema[name], schema) for name in names]
    return lambda value: all(test(value) for test in tests)


def _never(_: Any) -> bool:
    return False


def _type(wanted: str, _: Schema) -> Test:
    if wanted == "integer":
        return is_integer
    kind = _TYPES[wanted]
    return lambda value: type(value) is kind


def _const(wanted: str, _: Schema) -> Test:
    return lambda value: isinstance(value, str) and value == wanted


def _enum(wanted: list[str], _: Schema) -> Test:
    return lambda value: isinstance(value, str) and value in wanted


def _pattern(pattern: str, _: Schema) -> Test:
    search = ecma(pattern).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _least(limit: int, _: Schema) -> Test:
    return lambda value: not isinstance(value, int) or value >= limit


def _most(limit: int, _: Schema) -> Test:
    return lambda value: not isinstance(value, int) or value <= limit


def _least_long(kind: type[Sized]) -> Callable[[int, Schema], Test]:
    return lambda limit, _: lambda value: not isinstance(value, kind) or len(value) >= limit


def _items(items: Schema, _: Schema) -> Test:
    test = fits(items)
    return lambda value: not isinstance(value, list) or all(map(test, value))


def _properties(properties: dict[str, Schema], _: Schema) -> Test:
    tests = {name: fits(field) for name, field in properties.items()}
    return lambda value: (
        not isinstance(value, dict) or all(tests[name](item) for name, item in value.items() if name in tests)
    )


def _additional(others: Schema | bool, schema: Schema) -> Test:
    known = schema.get("properties", {}).keys()
    test = fits(others) if isinstance(others, dict) else _never
    if not known:
        return lambda value: not isinstance(value, dict) or all(map(test, value.values()))
    return lambda value: (
        not isinstance(value, dict) or all(test(item) for name, item in value.items() if name not in known)
    )


def _names(names: Schema, _: Schema) -> Test:
    test = fits(names)
    return lambda value: not isinstance(value, dict) or all(map(test, value))


def _required(names: list[str], _: Schema) -> Test:
    return lambda value: not isinstance(value, dict) or all(name in value for name in names)


def _dependent(wanted: dict[str, list[str]], _: Schema) -> Test:
    return lambda value: (
        not isinstance(value, dict)
        or all(need in value for name, needs in wanted.items() if name in value for need in needs)
    )


def _one_of(shapes: list[Schema], _: Schema) -> Test:
    tests = [fits(shape) for shape in shapes]
    return lambda value: sum(test(value) for test in tests) == 1


def _not(shape: Schema, _: Schema) -> Test:
    test = fits(shape)
    return lambda value: not test(value)


_KEYWORDS: dict[str, Callable[[Any, Schema], Test]] = {
    "type": _type,
    "const": _const,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _least,
    "maximum": _most,
    "minLength": _least_long(str),
    "minItems": _least_long(list),
    "minProperties": _least_long(dict),
    "items": _items,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "required": _required,
    "dependentRequired": _dependent,
    "oneOf": _one_of,
    "not": _not,
}
