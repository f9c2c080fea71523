"""Logs: what tasks have written: all of it, its last lines, or the lines in which something is found.

A log may be larger than the memory, and still grow. It is read in pieces; for its end only the end is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, islice

from sparkles import lifecycle, lines, results
from sparkles.model import Task
from sparkles.ports.backend import Backend
from sparkles.ports.objects import LOG_PIECE

#: Bytes at the end of a log in which its last lines are looked for at first: mostly they are there.
_END = 1 << 16

#: Bytes of lines that were found which are handed on at once.
_BATCH = 1 << 16


def glimpse(task: Task, backend: Backend, *, count: int) -> Iterator[bytes]:
    """Yield the last lines of a log, as far as they are among its last bytes."""
    end = results.read_log(task, backend, start=-_END)
    yield end[_first(end, count) or 0 :]


def ending(task: Task, backend: Backend, *, count: int) -> Iterator[bytes]:
    """Yield the last lines of a log, however long they are, in pieces."""
    end = results.read_log(task, backend, start=-_END)
    place = _first(end, count)
    if place is not None or len(end) < _END:
        yield end[place or 0 :]
    else:
        yield from results.read_whole_log(task, backend, start=start_of_end(task, backend, count=count))


def _first(end: bytes, count: int) -> int | None:
    """Return where the last lines begin in the end of a log; None if that is before it."""
    return lines.after_break(end, count + end.endswith(b"\n"))


def start_of_end(task: Task, backend: Backend, *, count: int) -> int:
    """Return at which byte the last lines of a log begin."""
    end = results.log_size(task, backend)
    left = count + (results.read_log(task, backend, start=max(0, end - 1), limit=1) == b"\n")
    while end:
        start = max(0, end - LOG_PIECE)
        piece = results.read_log(task, backend, start=start, limit=end - start)
        if (place := lines.after_break(piece, left)) is not None:
            return start + place
        end, left = start, left - piece.count(b"\n")
    return 0


def found(task: Task, backend: Backend, *, search: lines.Search) -> Iterator[bytes]:
    """Yield the lines in which something is found, each with the task's name and its number: many at once."""
    some = bytearray()
    for line in lines.found(search, results.read_whole_log(task, backend)):
        some += b"%s:%d:%s\n" % (task.id.encode(), line.number, line.text)
        if len(some) >= _BATCH:
            yield bytes(some)
            some.clear()
    if some:
        yield bytes(some)


def attempts(task: Task) -> dict[int, Task]:
    """Return the attempts of a task whose logs are there, by their numbers: each as the task with that log.

    They are counted from 1; of one that had many only the last are remembered.
    """
    seen = [replace(task, claim=past.claim, result_generation=None) for past in task.history]
    return dict(enumerate([*seen, task] if task.claim else seen, start=lifecycle.forgotten(task) + 1))


#: Yields what is to be seen of a task's log.
View = Callable[[Task], Iterator[bytes]]


def of_each(tasks: Iterator[Task], view: View, backend: Backend) -> Iterator[tuple[Task, Iterator[bytes]]]:
    """Yield what is to be seen of each task's log, in order; of several it is looked for at once where that is quicker.

    Of each of them no more than the beginning is held until it is its turn.
    """
    if backend.objects.streams == 1:
        return ((task, view(task)) for task in tasks)

    def begun(task: Task) -> tuple[Task, Iterator[bytes]]:
        rest = view(task)
        return task, chain(list(islice(rest, 1)), rest)

    return results.each(begun, tasks, backend)
