"""Matching: which row of the manifest is which observed task. Pure, on columns.

By digest, the k-th occurrence to the k-th; what is left over by its place among its neighbours; what is left then is
new. So rows can be inserted, removed, edited and sorted, and every other task keeps its index and its result.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence

from sparkles.compile import DIGEST_SIZE
from sparkles.model import TaskColumns


def assign(digests: bytes, tasks: TaskColumns, *, order: Sequence[int], last_index: int) -> Sequence[int]:
    """Return the index of each row: that of the task it is, or one that was never used.

    `digests` are those of the rows, 32 bytes each; `order` the observed indices as the rows stood last time.
    """
    present = set(tasks.indices)
    known = [index for index in order if index in present]
    # Tasks that an unfinished apply has added are not in any stored manifest yet.
    known += sorted(present.difference(known))
    matched = _match_digests(digests, tasks, known)
    _match_neighbours(matched, known)
    next_index = max(last_index, max(present, default=0))
    for position, index in enumerate(matched):
        if not index:
            next_index += 1
            matched[position] = next_index
    return matched


def digest_at(digests: bytes, position: int) -> bytes:
    """Return the digest at a position of a column of digests."""
    return digests[position * DIGEST_SIZE : (position + 1) * DIGEST_SIZE]


def digests_by_index(tasks: TaskColumns) -> Callable[[int], bytes]:
    """Return what tells the digest of an observed task by its index."""
    positions = {index: position for position, index in enumerate(tasks.indices)}
    return lambda index: digest_at(tasks.digests, positions[index])


def _match_digests(digests: bytes, tasks: TaskColumns, order: Sequence[int]) -> array[int]:
    """Match rows to tasks by digest. Unmatched rows get 0."""
    digest_of = digests_by_index(tasks)
    waiting: defaultdict[bytes, list[int]] = defaultdict(list)
    for index in reversed(order):
        waiting[digest_of(index)].append(index)
    matched = array("q")
    for position in range(len(digests) // DIGEST_SIZE):
        candidates = waiting.get(digest_at(digests, position))
        matched.append(candidates.pop() if candidates else 0)
    return matched


def _match_neighbours(matched: array[int], order: Sequence[int]) -> None:
    """Give rows that were edited in place the index they had.

    An edited row follows the row that it followed before; failing that, it stands where it stood. The first
    rule finds it although rows were inserted or removed above it.
    """
    taken = set(matched)
    place = {index: position for position, index in enumerate(order)}
    for position, index in enumerate(matched):
        if not index and (position == 0 or matched[position - 1]):
            before = place[matched[position - 1]] if position else -1
            _take(matched, position, order, before + 1, taken)
    for position, index in enumerate(matched):
        if not index:
            _take(matched, position, order, position, taken)


def _take(matched: array[int], position: int, order: Sequence[int], old: int, taken: set[int]) -> None:
    if old < len(order) and order[old] not in taken:
        matched[position] = order[old]
        taken.add(order[old])
