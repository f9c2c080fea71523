"""Tails: the output of a task through all its attempts, or of many at once, as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

from sparkles import logs, needs, results
from sparkles.model import Job, Key, Task, TaskState
from sparkles.ports.backend import Backend
from sparkles.tail import Tail

#: Seconds between two looks, at least.
_PAUSE = 0.2


def follow(task: Task, backend: Backend, *, last: int | None) -> Iterator[bytes]:
    """Yield the log of a task as it grows, byte for byte; through its further attempts, if there are any.

    It begins with its `last` lines, or with the first.
    """
    claim, position = task.claim, 0 if last is None else logs.start_of_end(task, backend, count=last)
    while True:
        current = backend.state.read([task.key]).get(task.key)
        if not isinstance(current, Task):
            return
        if current.claim != claim:
            claim, position = current.claim, 0
        # While it waits to run again, its old log is of no interest.
        if current.state is not TaskState.PENDING:
            for piece in results.read_whole_log(current, backend, start=position):
                position += len(piece)
                yield piece
        if current.state.is_final:
            return
        pause(backend)


def follow_all(jobs: Sequence[Job], backend: Backend, *, most: int, last: int) -> Iterator[bytes]:
    """Yield the lines of all tasks that run, each with the task's name, until none is left to run.

    At most so many tasks are followed at a time. Of those that run already it begins with the `last` lines.
    """
    tails: dict[str, Tail] = {}
    begins = True
    while True:
        # Asked before reading: what there is then is all.
        is_over = not any(goes_on_by_itself(job, backend) for job in jobs)
        more = [task for task in _running(jobs, backend, most=most) if task.claim not in tails][: most - len(tails)]
        for tail in results.each(partial(_begun, backend=backend, last=last if begins else None), more, backend):
            tails[tail.task.claim or ""] = tail
        yield from _new(tails, backend)
        if is_over and not tails:
            return
        begins = False
        pause(backend)


def _begun(task: Task, backend: Backend, *, last: int | None) -> Tail:
    start = 0 if last is None else logs.start_of_end(task, backend, count=last)
    return Tail(task, backend, start=start)


def _new(tails: dict[str, Tail], backend: Backend) -> Iterator[bytes]:
    """Yield what is new, and forget the tails that are over."""
    records = backend.state.read([tail.task.key for tail in tails.values()])

    def read(tail: Tail) -> list[bytes]:
        return [b"%s: %s\n" % (tail.task.id.encode(), line) for line in tail.raw_lines(over=tail.is_over_in(records))]

    for lines in results.each(read, list(tails.values()), backend):
        yield from lines
    for claim in [claim for claim, tail in tails.items() if tail.is_over_in(records)]:
        del tails[claim]


def _running(jobs: Sequence[Job], backend: Backend, *, most: int) -> Iterator[Task]:
    for job in jobs:
        yield from backend.state.some(job.name, TaskState.CLAIMED, limit=most)


def goes_on_by_itself(job: Job, backend: Backend) -> bool:
    """Say whether there are tasks of a job that have not ended, or there will be if nobody does anything."""
    current = backend.state.read([job.key]).get(Key.job(job.name))
    if not isinstance(current, Job):
        return False
    if backend.state.is_open(job.name):
        return True
    return bool(current.applying or current.has_more) and needs.stuck(current, backend) is None


def pause(backend: Backend) -> None:
    """Wait before the next look."""
    time.sleep(max(_PAUSE, backend.timing.poll))
