"""Matching: which row of the manifest is which observed task. Pure, on columns.

By digest, and of equal ones those with the same parameters first, then what stands where it stood, then the k-th to the
k-th; what is left over by what it has in common (`likeness`), then by its place among its neighbours; what is left then
is new. So rows can be inserted, removed, edited and sorted, and every other task keeps its index and its result.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sparkles.compile import DIGEST_SIZE
from sparkles.model import TaskColumns

#: Stands for a row that is no task yet, and for an index that no task has.
NOWHERE = -1

#: Bytes of a label.
LABEL_SIZE = 8


class Labels(NamedTuple):
    """Hashes of the parameters of rows and of tasks, `LABEL_SIZE` bytes each; empty if no row can have changed.

    Tasks with one digest can have several: not every parameter changes what is computed.
    """

    desired: bytes
    observed: bytes


NO_LABELS = Labels(b"", b"")

#: The most rows, and tasks, that are compared by what they have in common.
_MOST_ALIKE = 1000

#: Given rows (by their places) and tasks (by their indices) that are left over, returns which row is which task.
Alike = Callable[[Sequence[int], Sequence[int]], Iterable[tuple[int, int]]]


def assign(
    digests: bytes,
    tasks: TaskColumns,
    *,
    order: Sequence[int],
    last_index: int,
    labels: Labels = NO_LABELS,
    alike: Alike = lambda *_: (),
) -> Sequence[int]:
    """Return the index of each row: that of the task it is, or one that was never used.

    `digests` are those of the rows, 32 bytes each; `order` the observed indices as the rows stood last time. `alike`
    is asked about what no digest decides.
    """
    if not len(tasks):
        return range(last_index + 1, last_index + 1 + len(digests) // DIGEST_SIZE)
    if digests == tasks.digests and order == tasks.indices and not labels.desired:
        return tasks.indices
    known = _as_they_stood(tasks, order)
    matched = array("q", [NOWHERE]) * (len(digests) // DIGEST_SIZE)
    if labels.desired:
        _match(matched, known, _joined(digests, labels.desired), _joined(tasks.digests, labels.observed))
    _match(matched, known, digests, tasks.digests)
    _match_alike(matched, known, tasks, alike)
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


def label_at(labels: bytes, position: int) -> bytes:
    """Return the label at a position of a column of labels."""
    return labels[position * LABEL_SIZE : (position + 1) * LABEL_SIZE]


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


def _match(matched: array[int], known: Sequence[int], wanted: bytes, there: bytes) -> None:
    """Match rows without a task to `known` tasks without a row that have the same key, of all that are `wanted`.

    What stands where it stood comes first; then the k-th of equal ones is matched to the k-th.
    """
    size = len(wanted) // len(matched)
    free = _free(matched, len(known))
    for row in range(min(len(matched), len(known))):
        if matched[row] == NOWHERE and free[row] and _same(wanted, row, there, known[row], size):
            matched[row] = row
            free[row] = 0
    rows = (row for row, old in enumerate(matched) if old == NOWHERE)
    olds = (old for old, is_free in enumerate(free) if is_free)
    parts = zip(
        _partition(rows, lambda row: wanted[row * size]),
        _partition(olds, lambda old: there[known[old] * size]),
        strict=True,
    )  # a part at a time, so that a million keys are never all objects at once
    for some, candidates in parts:
        waiting: defaultdict[bytes, list[int]] = defaultdict(list)
        for old in reversed(candidates):
            waiting[_key(there, known[old], size)].append(old)
        for row in some:
            if found := waiting.get(_key(wanted, row, size)):
                matched[row] = found.pop()


def _key(keys: bytes, position: int, size: int) -> bytes:
    return keys[position * size : (position + 1) * size]


def _same(wanted: bytes, row: int, there: bytes, position: int, size: int) -> bool:
    return _key(wanted, row, size) == _key(there, position, size)


def _free(matched: Sequence[int], count: int) -> bytearray:
    """Return for each of `count` tasks whether it has no row yet."""
    free = bytearray(b"\1") * count
    for old in matched:
        if old != NOWHERE:
            free[old] = 0
    return free


def _partition(numbers: Iterable[int], first_byte: Callable[[int], int]) -> list[array[int]]:
    """Return `numbers`, divided by the first byte of the key of each."""
    parts = [array("q") for _ in range(256)]
    for number in numbers:
        parts[first_byte(number)].append(number)
    return parts


def _joined(digests: bytes, labels: bytes) -> bytes:
    """Return digest and label of each row side by side."""
    joined = bytearray()
    for position in range(len(digests) // DIGEST_SIZE):
        joined += digest_at(digests, position)
        joined += label_at(labels, position)
    return bytes(joined)


def _match_alike(matched: array[int], known: Sequence[int], tasks: TaskColumns, alike: Alike) -> None:
    free = _free(matched, len(known))
    if not (0 < matched.count(NOWHERE) <= _MOST_ALIKE and 0 < free.count(1) <= _MOST_ALIKE):
        return
    rows = [row for row, old in enumerate(matched) if old == NOWHERE]
    old_of = {tasks.indices[known[old]]: old for old, is_free in enumerate(free) if is_free}
    for row, index in alike(rows, list(old_of)):
        matched[row] = old_of[index]


def _match_neighbours(matched: array[int], count: int) -> None:
    """Give rows that were edited in place the task they were, of `count` that stood in this order.

    An edited row follows the row that it followed before; failing that, it stands where it stood. The first
    rule finds it although rows were inserted or removed above it.
    """
    free = _free(matched, count)
    for row, old in enumerate(matched):
        if old == NOWHERE and (row == 0 or matched[row - 1] != NOWHERE):
            _take(matched, row, matched[row - 1] + 1 if row else 0, free)
    for row, old in enumerate(matched):
        if old == NOWHERE:
            _take(matched, row, row, free)


def _take(matched: array[int], row: int, old: int, free: bytearray) -> None:
    if old < len(free) and free[old]:
        matched[row] = old
        free[old] = 0
