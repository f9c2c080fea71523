"""Indices: which row has which index, written as runs so that a million of them fit on a line."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence


def to_runs(indices: Iterable[int]) -> str:
    """Write indices, in their order, as ascending runs.

    >>> to_runs([1, 2, 3, 1001, 4, 5])
    '1-3,1001,4-5'
    """
    runs: list[str] = []
    first = last = 0
    for index in indices:
        if last and index == last + 1:
            last = index
            continue
        if last:
            runs.append(_run(first, last))
        first = last = index
    if last:
        runs.append(_run(first, last))
    return ",".join(runs)


def from_runs(text: str) -> Sequence[int]:
    """Read what `to_runs` wrote.

    >>> list(from_runs("1-3,1001,4"))
    [1, 2, 3, 1001, 4]
    """
    indices = array("q")
    for run in text.split(",") if text else ():
        first, _, last = run.partition("-")
        indices.extend(range(int(first), int(last or first) + 1))
    return indices


def _run(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
