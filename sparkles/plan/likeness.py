"""Likeness: which of the rows that are left over is which of the tasks that are, by what they have in common. Pure.

A row that was edited is known by a value that it shares with its task and no other row has, such as the name of its
sample; whatever became of the rows around it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from sparkles.compile import Row


def pairs(after: Mapping[int, Row], before: Mapping[int, Row], rows: Iterable[Row]) -> list[tuple[int, int]]:
    """Return (key of `after`, key of `before`) of those that are alike, each at most once.

    `rows` are all rows there are, those of `after` among them.
    """
    telling = _unique(rows, {item for row in after.values() for item in row.items()})
    owners: dict[tuple[str, str], list[int]] = {}
    for index, row in before.items():
        for item in telling.intersection(row.items()):
            owners.setdefault(item, []).append(index)
    votes = Counter(
        (place, owners[item][0])
        for place, row in after.items()
        for item in row.items()
        if len(owners.get(item, ())) == 1
    )
    found: dict[int, int] = {}
    for (place, index), _ in votes.most_common():
        if place not in found and index not in found.values():
            found[place] = index
    return list(found.items())


def _unique(rows: Iterable[Row], wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of the (parameter, value) that are `wanted` which only one of the rows has."""
    counts = Counter(item for row in rows for item in row.items() if item in wanted)
    return {item for item, number in counts.items() if number == 1}
