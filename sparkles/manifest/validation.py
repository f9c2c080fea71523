"""Validation: nodes or plain values in, a valid document out, or every problem of it with its place."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from sparkles.errors import RequestError
from sparkles.manifest.findings import Finding, Path, findings
from sparkles.manifest.nodes import Mapping, Node, Problem, Scalar, Sequence
from sparkles.manifest.quick import Test, fits
from sparkles.manifest.schema import KINDS, Schema, load, of_kind
from sparkles.manifest.structure import flaws
from sparkles.manifest.values import value
from sparkles.manifest.wording import dotted, found, quoted

_SHAPE: Schema = {"type": "object"}


def validate_node(node: Node, schema: str | None) -> tuple[dict[str, Any], list[Problem]]:
    """Return a document and its problems; without the name of a schema it is that of its kind."""
    if not isinstance(node, Mapping):
        what = found([]) if isinstance(node, Sequence) else quoted(node.text)
        return {}, [Problem(node.line, node.column, f"expected a mapping with named fields, found {what}")]
    name, wrong = (schema, None) if schema else _schema_name(value(node, _SHAPE).get("kind"))
    if wrong:
        return {}, [_located(node, wrong)]
    assert name is not None
    document = value(node, load(name))
    problems = _findings(document, name, node=node)
    return document, [_located(node, finding) for finding in problems]


def validate_plain(document: dict[str, Any], schema: str | None = None) -> list[str]:
    """Return the problems of a document that was built in code; without the name of a schema it is that of its kind."""
    odd = list(_odd(document, ()))
    if odd:
        return [_sentence(finding) for finding in odd]
    name, wrong = (schema, None) if schema else _schema_name(document.get("kind"))
    problems = [wrong] if wrong else _findings(document, str(name), node=None)
    return [_sentence(finding) for finding in problems]


def _schema_name(kind: Any) -> tuple[str | None, Finding | None]:
    if kind is None:
        return None, Finding((), f"the field 'kind' is missing, expected one of: {', '.join(KINDS)}")
    try:
        of_kind(kind)
    except RequestError as error:
        return None, Finding(("kind",), str(error))
    return KINDS[kind], None


def _findings(document: Any, name: str, *, node: Node | None) -> list[Finding]:
    if _quick(name)(document):
        return list(flaws(document))
    return findings(document, load(name), written=lambda path: _written(node, path))


@cache
def _quick(name: str) -> Test:
    return fits(load(name))


def _odd(item: Any, path: Path) -> Iterator[Finding]:
    """Find what no YAML text can hold: keys that are not text, and text that is not Unicode."""
    match item:
        case str() if not _is_unicode(item):
            yield Finding(path, f"{item!a} is not valid Unicode text")
        case dict():
            for key, inner in item.items():
                if not isinstance(key, str) or not _is_unicode(key):
                    yield Finding(path, f"key {key!a} is not valid Unicode text")
                else:
                    yield from _odd(inner, (*path, key))
        case list():
            for place, inner in enumerate(item):
                yield from _odd(inner, (*path, place))


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _sentence(finding: Finding) -> str:
    return f"{dotted(finding.path)}: {finding.message}" if finding.path else finding.message


def _located(node: Node, finding: Finding) -> Problem:
    line, column = _position(node, finding.path)
    return Problem(line, column, _sentence(finding))


def _position(node: Node, path: Path) -> tuple[int, int]:
    """Return where the value at a path begins, its key included, or whatever above it there is."""
    place = (node.line, node.column)
    for step in path:
        at, below = _below(node, step)
        if below is None or at is None:
            break
        place, node = (at.line, at.column), below
    return place


def _below(node: Node, step: str | int) -> tuple[Node | None, Node | None]:
    """Return the node that a step leads to, after the one that marks its place."""
    if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
        return node.entries[step]
    if isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
        return node.items[step], node.items[step]
    return None, None


def _written(node: Node | None, path: Path) -> str:
    for step in path:
        node = None if node is None or isinstance(node, Scalar) else _below(node, step)[1]
    return node.written if isinstance(node, Mapping) else ""
