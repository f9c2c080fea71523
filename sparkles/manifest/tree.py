"""Tree: the parser's events in, nodes out, without recursion and within limits.

YAML can nest, repeat and contain itself without end; here nothing is built before its size is known.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sparkles.manifest.nodes import FatalProblem, Mapping, Node, Problem, Scalar, Sequence

MAX_NODES = 2_000_000
MAX_ALIASED = 100_000
MAX_DEPTH = 64
MAX_PROBLEMS = 100

_CORE = "tag:yaml.org,2002:"
_TEXT_TAGS = {"!", _CORE + "str"}
_TAGS = {
    "ScalarEvent": {*_TEXT_TAGS, *(_CORE + name for name in ("int", "bool", "float", "null"))},
    "SequenceStartEvent": {"!", _CORE + "seq"},
    "MappingStartEvent": {"!", _CORE + "map"},
}
_LONGEST_HINT = 60


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end is not read yet."""

    node: Sequence | Mapping
    anchor: str | None
    #: Where its text begins.
    start: int
    #: The key that waits for its value, and whether that value is to be dropped since the key is wrong.
    key: Scalar | None = None
    dropped: bool = False
    merges: list[Node] = field(default_factory=list)


class Builder:
    """Takes events one by one; `documents` and `problems` grow as it does."""

    def __init__(self, text: str) -> None:
        self.documents: list[Node] = []
        self.problems: list[Problem] = []
        self._text = text
        self._open: deque[_Open] = deque()
        self._anchors: dict[str, Node] = {}
        self._nodes = 0
        self._aliased = 0

    def take(self, event: Any) -> None:
        """Add what an event says to the tree."""
        match type(event).__name__:
            case "ScalarEvent":
                self._scalar(event)
            case "SequenceStartEvent":
                self._start(event, Sequence(*_place(event)))
            case "MappingStartEvent":
                self._start(event, Mapping(*_place(event)))
            case "SequenceEndEvent" | "MappingEndEvent":
                self._end(event)
            case "AliasEvent":
                self._alias(event)
            case "DocumentStartEvent":
                self._anchors.clear()

    def _scalar(self, event: Any) -> None:
        self._count(event)
        plain = not event.style and event.tag not in _TEXT_TAGS
        node = Scalar(*_place(event), event.value, plain)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._add(node)

    def _start(self, event: Any, node: Sequence | Mapping) -> None:
        self._count(event)
        if len(self._open) >= MAX_DEPTH:
            raise FatalProblem(*_place(event), f"nested too deep, expected at most {MAX_DEPTH} levels")
        self._open.append(_Open(node, event.anchor, event.start_mark.index))

    def _end(self, event: Any) -> None:
        closed = self._open.pop()
        if isinstance(closed.node, Mapping):
            _merge(closed.node, closed.merges)
            closed.node.written = self._written(closed.start, event.end_mark.index)
        if closed.anchor is not None:
            self._anchors[closed.anchor] = closed.node
        self._add(closed.node)

    def _written(self, start: int, end: int) -> str:
        text = self._text[start : min(end, start + 2 * _LONGEST_HINT)].strip()
        return text if len(text) <= _LONGEST_HINT and not {"\n", "\r", "#"} & set(text) else ""

    def _alias(self, event: Any) -> None:
        name, place = event.anchor, _place(event)
        if any(unfinished.anchor == name for unfinished in self._open):
            raise FatalProblem(*place, f"*{name} stands inside &{name}: it would contain itself")
        if name not in self._anchors:
            raise FatalProblem(*place, f"*{name} refers to nothing: there is no &{name} before it")
        node = self._anchors[name]
        self._aliased += node.size
        if self._aliased > MAX_ALIASED:
            raise FatalProblem(*place, f"aliases repeat more than {MAX_ALIASED:,} values")
        if len(self._open) + node.height > MAX_DEPTH:
            raise FatalProblem(*place, f"nested too deep, expected at most {MAX_DEPTH} levels")
        self._add(node)

    def _count(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise FatalProblem(*_place(event), f"more than {MAX_NODES:,} values; put large sweeps into a CSV file")
        if event.tag is not None and event.tag not in _TAGS[type(event).__name__]:
            tag = event.tag.replace(_CORE, "!!")
            self._problem(*_place(event), f"tag {tag} has no meaning here; leave it out, or quote it as text")

    def _add(self, node: Node) -> None:
        if not self._open:
            self.documents.append(node)
            return
        parent = self._open[-1]
        parent.node.size += node.size
        parent.node.height = max(parent.node.height, node.height + 1)
        if isinstance(parent.node, Sequence):
            parent.node.items.append(node)
        elif parent.key is None:
            self._key(parent, node)
        else:
            _value(parent, parent.node, parent.key, node)

    def _key(self, parent: _Open, node: Node) -> None:
        assert isinstance(parent.node, Mapping)
        if not isinstance(node, Scalar):
            found = "a mapping" if isinstance(node, Mapping) else "a list"
            self._wrong_key(parent, node, f"expected a key, found {found}; if this is meant as text, quote it")
        elif node.plain and node.text == "":
            self._wrong_key(parent, node, "expected a key before the colon")
        elif node.text in parent.node.entries:
            line = parent.node.entries[node.text][0].line
            self._wrong_key(parent, node, f"duplicate key {node.text!r}, already given in line {line}")
        else:
            parent.key = node

    def _wrong_key(self, parent: _Open, node: Node, message: str) -> None:
        self._problem(node.line, node.column, message)
        parent.key, parent.dropped = Scalar(node.line, node.column, "", plain=False), True

    def _problem(self, line: int, column: int, message: str) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            raise FatalProblem(line, column, f"{message}; there may be more, these are the first")
        self.problems.append(Problem(line, column, message))


def _place(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def _value(parent: _Open, mapping: Mapping, key: Scalar, node: Node) -> None:
    """Give the waiting key its value."""
    if key.plain and key.text == "<<" and isinstance(node, Mapping | Sequence):
        parent.merges += node.items if isinstance(node, Sequence) else [node]
    elif not parent.dropped:
        mapping.entries[key.text] = (key, node)
    parent.key, parent.dropped = None, False


def _merge(mapping: Mapping, merges: list[Node]) -> None:
    """Add the entries of merged mappings; the mapping's own win, then those of the first."""
    for merged in merges:
        if isinstance(merged, Mapping):
            for key, entry in merged.entries.items():
                mapping.entries.setdefault(key, entry)
