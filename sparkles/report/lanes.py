"""Lanes: which attempts ran beside each other on a node, so that each gets a line of its own in the timeline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple


class Span(NamedTuple):
    """One attempt: when it ran, where, and what became of it."""

    start: float
    end: float
    node: str
    #: Place of its task in the columns.
    place: int
    #: A letter of the task's state, or of an attempt that was not the last.
    kind: str


class Lane(NamedTuple):
    """Attempts of one node, none of which began before the one ahead of it had ended."""

    node: str
    spans: Sequence[Span]


def lanes(spans: Iterable[Span]) -> list[Lane]:
    """Give each span a lane, as few as there can be; those of a node together, the node that began first at the top.

    >>> [len(lane.spans) for lane in lanes([Span(0, 5, "a", 0, "s"), Span(1, 2, "a", 1, "s"), Span(3, 4, "a", 2, "s")])]
    [1, 2]
    """
    by_node: defaultdict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans):
        by_node[span.node].append(span)
    return [Lane(node, lane) for node, there in by_node.items() for lane in _parted(there)]


def _parted(spans: Sequence[Span]) -> list[list[Span]]:
    """Part spans, sorted by their start: each goes to the topmost lane that is free."""
    found: list[list[Span]] = []
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    for span in spans:
        while busy and busy[0][0] <= span.start:
            heappush(free, heappop(busy)[1])
        lane = heappop(free) if free else len(found)
        if lane == len(found):
            found.append([])
        found[lane].append(span)
        heappush(busy, (span.end, lane))
    return found
