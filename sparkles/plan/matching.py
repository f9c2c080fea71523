"""Matching: which row of the manifest is which observed task. Pure, on columns.

By digest, the k-th occurrence to the k-th; what is left over by its place among its neighbours; what is left then is
new. So rows can be inserted, removed, edited and sorted, and every other task keeps its index and its result.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from sparkles.compile import DIGEST_SIZE
from sparkles.model import TaskColumns

#: Stands for a row that is no task yet, and for an index that no task has.
NOWHERE = -1


def assign(digests: bytes, tasks: TaskColumns, *, order: Sequence[int], last_index: int) -> array[int]:
    """Return the index of each row: that of the task it is, or one that was never used.

    `digests` are those of the rows, 32 bytes each; `order` the observed indices as the rows stood last time.
    """
    known = _as_they_stood(tasks, order)
    matched = _match_digests(digests, tasks, known)
    _match_neighbours(matched, len(known))
    next_index = max(last_index, tasks.indices[-1] if len(tasks) else 0)
    for row, old in enumerate(matched):
        if old == NOWHERE:
            next_index += 1
            matched[row] = next_index
        else:
            matched[row] = tasks.indices[known[old]]
    return matched


def digest_at(digests: bytes, position: int) -> bytes:
    """Return the digest at a position of a column of digests."""
    return digests[position * DIGEST_SIZE : (position + 1) * DIGEST_SIZE]


def places(indices: Sequence[int]) -> Callable[[int], int]:
    """Return what tells the position of an index in ascending `indices`; NOWHERE if it is not there."""
    count = len(indices)
    first = indices[0] if count else 0
    if count and indices[-1] - first == count - 1:  # without a gap, as most jobs are
        return lambda index: index - first if 0 <= index - first < count else NOWHERE

    def place(index: int) -> int:
        position = bisect_left(indices, index)
        return position if position < count and indices[position] == index else NOWHERE

    return place


def _as_they_stood(tasks: TaskColumns, order: Sequence[int]) -> array[int]:
    """Return the positions of all tasks, in the order in which their rows stood last time."""
    place = places(tasks.indices)
    known = array("q", (position for index in order if (position := place(index)) != NOWHERE))
    # Tasks that an unfinished apply has added are not in any stored manifest yet.
    missing = bytearray(b"\1") * len(tasks)
    for position in known:
        missing[position] = 0
    known.extend(position for position, is_missing in enumerate(missing) if is_missing)
    return known


def _match_digests(digests: bytes, tasks: TaskColumns, known: Sequence[int]) -> array[int]:
    """Return for each row which of the `known` tasks has its digest; NOWHERE if there is none left."""
    matched = array("q", [NOWHERE]) * (len(digests) // DIGEST_SIZE)
    parts = zip(
        _partition(digests, range(len(matched))), _partition(tasks.digests, known), strict=True
    )  # a part at a time, so that a million digests are never all objects at once
    for rows, olds in parts:
        waiting: defaultdict[bytes, list[int]] = defaultdict(list)
        for old in reversed(olds):
            waiting[digest_at(tasks.digests, known[old])].append(old)
        for row in rows:
            if candidates := waiting.get(digest_at(digests, row)):
                matched[row] = candidates.pop()
    return matched


def _partition(digests: bytes, positions: Iterable[int]) -> list[array[int]]:
    """Return the numbers of `positions`, divided by the first byte of the digest at each."""
    parts = [array("q") for _ in range(256)]
    for number, position in enumerate(positions):
        parts[digests[position * DIGEST_SIZE]].append(number)
    return parts


def _match_neighbours(matched: array[int], count: int) -> None:
    """Give rows that were edited in place the task they were, of `count` that stood in this order.

    An edited row follows the row that it followed before; failing that, it stands where it stood. The first
    rule finds it although rows were inserted or removed above it.
    """
    taken = bytearray(count)
    for old in matched:
        if old != NOWHERE:
            taken[old] = 1
    for row, old in enumerate(matched):
        if old == NOWHERE and (row == 0 or matched[row - 1] != NOWHERE):
            _take(matched, row, matched[row - 1] + 1 if row else 0, taken)
    for row, old in enumerate(matched):
        if old == NOWHERE:
            _take(matched, row, row, taken)


def _take(matched: array[int], row: int, old: int, taken: bytearray) -> None:
    if old < len(taken) and not taken[old]:
        matched[row] = old
        taken[old] = 1
