"""Findings: a document and a schema in, everything that is wrong with it out, each in one readable sentence.

jsonschema judges; this module picks, of what it says about unions, the part that fits the value at hand, and
says what would have been right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from sparkles.errors import nearest
from sparkles.manifest.quick import fits
from sparkles.manifest.schema import Schema, branches, children, ecma, elsewhere, is_integer
from sparkles.manifest.wording import expected, found, quoted, type_hint

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

MAX_FINDINGS = 100

Path = tuple[str | int, ...]
#: A ValidationError of jsonschema; its types say less than its documentation.
_Error: TypeAlias = Any
#: The source text of the value at a path, if it is known and short.
Written = Callable[[Path], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where."""

    path: Path
    message: str


def findings(document: Any, schema: Schema, *, written: Written) -> list[Finding]:
    """Return what is wrong with a document; at most the first hundred things."""
    context = _Context(schema, written)
    errors = _validator(schema).iter_errors(document)
    found_all = list(islice((finding for error in errors for finding in _explain(error, context)), MAX_FINDINGS))
    if len(found_all) == MAX_FINDINGS:
        found_all.append(Finding(found_all[-1].path, f"these are the first {MAX_FINDINGS} problems; there may be more"))
    return found_all


@dataclass(frozen=True, slots=True)
class _Context:
    schema: Schema
    written: Written


def _validator(schema: Schema) -> Validator:
    """Return jsonschema's validator, exact about integers and patterns, and quick in long lists."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    exact = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: is_integer(value))
    extended: Callable[..., type[Validator]] = extend
    own = {"items": _items, "pattern": _pattern}
    return extended(Draft202012Validator, own, type_checker=exact)(schema)


def _items(validator: Any, items: Schema, instance: Any, _: Schema) -> Iterator[_Error]:
    test = fits(items)
    for place, item in enumerate(instance if isinstance(instance, list) else ()):
        if not test(item):
            yield from validator.descend(item, items, path=place)


def _pattern(_: Any, pattern: str, instance: Any, __: Schema) -> Iterator[_Error]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not ecma(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _explain(error: _Error, context: _Context) -> Iterable[Finding]:
    explain = _EXPLANATIONS.get(str(error.validator))
    return explain(error, context) if explain else [Finding(_path(error), error.message)]


def _path(error: _Error) -> Path:
    """Return where an error is; one about a name is at that name."""
    path = tuple(error.absolute_path)
    return (*path, str(error.instance)) if "propertyNames" in error.absolute_schema_path else path


def _one(error: _Error, message: str) -> list[Finding]:
    return [Finding(_path(error), message)]


def _shape(error: _Error) -> Schema:
    return dict(error.schema)


def _type(error: _Error, context: _Context) -> Iterable[Finding]:
    return _one(error, _type_message(error, _shape(error), context))


def _type_message(error: _Error, schema: Schema, context: _Context) -> str:
    hint = type_hint(error.instance, schema, context.written(_path(error)))
    return f"expected {expected(schema)}, found {found(error.instance)}{hint}"


def _limit(error: _Error, _: _Context) -> Iterable[Finding]:
    side = "less" if error.validator == "minimum" else "more"
    return _one(error, f"{error.instance} is {side} than {error.validator_value}, expected {expected(_shape(error))}")


def _empty(error: _Error, _: _Context) -> Iterable[Finding]:
    return _one(error, f"is empty, expected at least {error.validator_value}")


def _empty_text(error: _Error, _: _Context) -> Iterable[Finding]:
    return _one(error, "is empty, expected some text")


def _choice(error: _Error, _: _Context) -> Iterable[Finding]:
    wanted = error.validator_value if error.validator == "enum" else [error.validator_value]
    hint = nearest(error.instance, wanted) if isinstance(error.instance, str) else ""
    return _one(error, f"expected {expected(_shape(error))}, found {found(error.instance)}{hint}")


def _words(error: _Error, _: _Context) -> Iterable[Finding]:
    shape, value = _shape(error), str(error.instance)
    if shape.get("title") == "duration" and value.isascii() and value.isdigit():
        units = ", ".join(value + unit for unit in "smh")
        return _one(error, f"{value} has no unit; add s, m, h or d: {units} or {value}d")
    return _one(error, f"expected {shape.get('x-words', error.validator_value)}, found {found(value)}")


def _not(error: _Error, _: _Context) -> Iterable[Finding]:
    if not isinstance(error.instance, str):
        return []
    return _one(error, f"{quoted(error.instance)} is {_shape(error)['not']['x-words']}")


def _required(error: _Error, _: _Context) -> Iterable[Finding]:
    missing = [name for name in error.validator_value if name not in error.instance]
    return [Finding(_path(error), f"the field {name!r} is missing") for name in missing]


def _dependent(error: _Error, _: _Context) -> Iterable[Finding]:
    for name, needs in error.validator_value.items():
        missing = [need for need in needs if need not in error.instance]
        if name in error.instance and missing:
            yield Finding((*_path(error), name), f"goes only with {' and '.join(missing)}")


def _unknown(error: _Error, context: _Context) -> Iterable[Finding]:
    known = _shape(error).get("properties", {})
    for name in error.instance:
        if name not in known:
            hint = unknown_hint(str(name), known, context.schema)
            yield Finding((*_path(error), str(name)), f"unknown field{hint}")


def unknown_hint(name: str, known: Iterable[str], schema: Schema) -> str:
    """Return what an unknown field probably should be: one known here, or one of that name elsewhere."""
    known = list(known)
    places = elsewhere(schema, name)
    here = [place for place in places if place.rpartition(".")[2] in known]
    if places and not here:
        return f"; did you mean {' or '.join(places[:3])}?"
    return nearest(name, known) or (f"; known here: {', '.join(known)}" if known else "; there are none here")


def _union(error: _Error, context: _Context) -> Iterable[Finding]:
    shape = _shape(error)
    if "type" in shape:
        return _exclusive(error)
    from jsonschema import Draft202012Validator

    is_type = Draft202012Validator.TYPE_CHECKER.is_type
    for place, part in enumerate(branches(shape)):
        if is_type(error.instance, part["type"]):
            inner = [cause for cause in error.context or () if cause.relative_schema_path[0] == place]
            return [finding for cause in inner for finding in _explain(cause, context)]
    return _one(error, _type_message(error, shape, context))


def _exclusive(error: _Error) -> Iterable[Finding]:
    """A mapping that must have exactly one of some fields."""
    if not isinstance(error.instance, dict):
        return []
    names = [part["required"][0] for part in error.validator_value]
    given = [name for name in names if name in error.instance]
    if given:
        return _one(error, f"{' and '.join(given)} exclude each other; give one of {', '.join(names)}")
    if error.instance.keys() - children(_shape(error)).keys():
        return []  # a misspelt one, reported as unknown
    return _one(error, f"expected one of {', '.join(names)}")


_EXPLANATIONS: dict[str, Callable[[_Error, _Context], Iterable[Finding]]] = {
    "type": _type,
    "minimum": _limit,
    "maximum": _limit,
    "minItems": _empty,
    "minProperties": _empty,
    "minLength": _empty_text,
    "enum": _choice,
    "const": _choice,
    "pattern": _words,
    "not": _not,
    "required": _required,
    "dependentRequired": _dependent,
    "additionalProperties": _unknown,
    "oneOf": _union,
}
