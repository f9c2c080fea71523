"""Values: what `--values` and `--set` give, as one mapping from names to values."""

from __future__ import annotations

import math
import re
from typing import Any, TypeAlias

from sparkles.errors import ProblemsError, RequestError
from sparkles.manifest.nodes import Mapping, Node, Scalar, Sequence, problems_error
from sparkles.manifest.text import parse
from sparkles.manifest.tree import MAX_DEPTH

#: The parts of a name such as `model.layers`.
Path: TypeAlias = "tuple[str, ...]"
Values: TypeAlias = "dict[str, Any]"

_WORDS = {"true": True, "false": False, "null": None}
#: Longer ones stay text, as in manifests; so does 012, which is not how a number is written.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_WHOLE = "(?:0|[1-9][0-9]*)"
_EXPONENT = "[eE][-+]?[0-9]+"
_NUMBER = re.compile(rf"[-+]?(?:{_WHOLE}?\.[0-9]+(?:{_EXPONENT})?|{_WHOLE}{_EXPONENT})")


class Number(float):
    """A number that prints as it was written: 0.10 stays 0.10."""

    _text: str

    def __new__(cls, text: str) -> Number:
        """Return the number that a text stands for."""
        number = super().__new__(cls, text)
        number._text = text
        return number

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


def scalar(text: str) -> Any:
    """Return the value that a text without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return Number(text)
    return text


# Files


def read_values(text: str, *, source: str) -> Values:
    """Return the values of a YAML text, which holds one mapping."""
    nodes, problems = parse(text, source=source)
    if problems:
        raise problems_error(problems, source=source)
    first, *others = nodes or [Scalar(1, 1, "", plain=True)]
    wrong = next(iter(others), None if isinstance(first, Mapping) else first)
    if wrong:
        found = "a second document" if others else _kind(first)
        raise ProblemsError(
            [f"{source}:{wrong.line}:{wrong.column}: expected one mapping from names to values, found {found}"]
        )
    values: Values = _plain(first)
    return values


def _kind(node: Node) -> str:
    if isinstance(node, Scalar):
        return f'"{node.text}"' if node.text else "nothing"
    return "a list"


def _plain(node: Node) -> Any:
    match node:
        case Mapping():
            return {key: _plain(child) for key, (_, child) in node.entries.items()}
        case Sequence():
            return [_plain(item) for item in node.items]
        case Scalar(plain=True):
            return None if node.text in ("", "~") else scalar(node.text)
    return node.text


def merged(below: Values, above: Values) -> Values:
    """Return both, mappings merged at every level; of two other values `above` wins."""
    return {**below, **{name: _over(below.get(name), value) for name, value in above.items()}}


def _over(below: Any, above: Any) -> Any:
    return merged(below, above) if isinstance(below, dict) and isinstance(above, dict) else above


# Flags


def assignment(text: str) -> tuple[Path, Any]:
    """Return the name and the value of a `--set`."""
    name, equals, written = text.partition("=")
    path = tuple(name.split("."))
    if not equals or not path[0].isidentifier() or not all(path):
        raise RequestError(f"--set {text}: expected NAME=VALUE or NAME.NAME=VALUE, with names such as batch_size")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise RequestError(f"--set {text!a}: this is not UTF-8 text")
    if len(path) > MAX_DEPTH:
        raise RequestError(f"--set {path[0]}…: nested too deep, expected at most {MAX_DEPTH} levels")
    return path, scalar(written)


def assign(values: Values, path: Path, value: Any, *, inside: Path = ()) -> Values:
    """Return the values with one of them set; mappings that are not there on the way are made."""
    name, *rest = path
    if not rest:
        return {**values, name: value}
    way = (*inside, name)
    below = values.get(name, {})
    if not isinstance(below, dict):
        dotted = ".".join(way)
        raise RequestError(f"--set {'.'.join((*inside, *path))}: {dotted} is not a mapping, so it holds no {rest[0]!r}")
    return {**values, name: assign(below, tuple(rest), value, inside=way)}
