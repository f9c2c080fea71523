"""Task writes: what an apply writes of tasks, in chunks that the store takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import compress, islice
from typing import TypeVar

from sparkles import lifecycle
from sparkles.compile import row_writer
from sparkles.mark import Commit, TaskWrites
from sparkles.model import CANARY, OPEN, Applying, Key, NewTasks, Records, Task, TaskState, Writes
from sparkles.plan import Action, Relation, Verb, loss_of
from sparkles.plan.matching import digest_at
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared

#: Characters of all rows in a commit: what a database takes at once, in bytes, with room for all else.
_ROOM = 2 << 20

T = TypeVar("T")

#: (index, row, digest) that a task is to have.
NewTask = tuple[int, str, bytes]


def task_commits(
    prepared: Prepared, backend: Backend, applying: Applying, spared: Callable[[int], None]
) -> Iterator[Commit]:
    """Yield the commits that write the tasks, in chunks that the store takes."""
    name, limit = prepared.name, backend.state.commit_limit - 1
    yield from _ends(prepared, limit, spared)
    for verb in (Verb.CHANGE, Verb.RERUN):
        for some in _chunks_of_rows(_tasks_of(prepared, verb), limit):
            yield [Key.task(name, index) for index, _, _ in some], _renewal(some, prepared, applying, verb, spared)
    for some in _chunks_of_rows(_tasks_of(prepared, Verb.RECORD), limit):
        yield [Key.task(name, index) for index, _, _ in some], _recording(some, name)
    template = Task(
        job=name,
        index=0,
        row="",
        digest=b"",
        generation=applying.generation,
        cluster=prepared.cluster.name,
        queued=time.time(),
    )
    if prepared.job and (prepared.job.applying or prepared.job.cluster != prepared.cluster.name):
        for keys in chunks(_open_elsewhere(prepared, backend), limit):
            yield keys, _moved_to(prepared.cluster.name)
    for some in _chunks_of_rows(_tasks_of(prepared, Verb.ADD), limit):
        yield [], _addition(NewTasks(template, some))


def _ends(prepared: Prepared, limit: int, spared: Callable[[int], None]) -> Iterator[Commit]:
    """Yield the commits that end tasks: of rows that are gone, and of those that have to wait."""
    for action in prepared.plan.actions:
        if action.verb in (Verb.REMOVE, Verb.STOP):
            stops = action.verb is Verb.STOP
            writes = _stop(action, spared) if stops else _removal(action, prepared, spared)
            for indices in chunks(action.indices, limit):
                yield [Key.task(prepared.name, index) for index in indices], writes


def _tasks_of(prepared: Prepared, *verbs: Verb) -> Iterator[NewTask]:
    """Yield the tasks that these verbs concern; nothing is read for it if there are none."""
    if not prepared.plan.count(*verbs):
        return
    sweep, digests = prepared.pinned.sweep, prepared.desired.digests
    row = row_writer(sweep.columns)
    rows = enumerate(zip(prepared.plan.assigned, sweep, strict=True))
    for position, (index, values) in compress(rows, prepared.plan.rows(*verbs)):
        yield index, row(values), digest_at(digests, position)


def _removal(action: Action, prepared: Prepared, spared: Callable[[int], None]) -> TaskWrites:
    """Remove tasks; but none whose loss nobody was asked about, because it came to be since that was planned."""

    def writes(records: Records) -> Writes:
        tasks = [task for task in records.values() if isinstance(task, Task)]
        kept = [task for task in tasks if not action.loss and loss_of(Relation.GONE, task.state, prepared.rerun)]
        for task in kept:
            spared(task.index)
        return Writes(remove=[task.key for task in tasks if task not in kept])

    return writes


def _stop(action: Action, spared: Callable[[int], None]) -> TaskWrites:
    """Stop tasks until they may go on; but none that has been taken since that was planned: it was not asked about."""

    def writes(records: Records) -> Writes:
        tasks = [task for task in records.values() if isinstance(task, Task)]
        kept = [task for task in tasks if task.state is TaskState.CLAIMED and not action.loss]
        for task in kept:
            spared(task.index)
        return Writes(put=[lifecycle.kill(task, now=time.time(), by=CANARY) for task in tasks if task not in kept])

    return writes


def _renewal(
    some: Sequence[NewTask], prepared: Prepared, applying: Applying, verb: Verb, spared: Callable[[int], None]
) -> TaskWrites:
    """Make tasks run as they are to be now; but stop none that was not running when that was planned."""
    wanted = {Key.task(prepared.name, index): (row, digest) for index, row, digest in some}
    agreed = {index for action in prepared.plan.asks for index in action.indices}

    def writes(records: Records) -> Writes:
        renewed = []
        for key, task in records.items():
            assert isinstance(task, Task)
            row, digest = wanted[key]
            if verb is Verb.CHANGE and task.digest == digest and task.state is not TaskState.PENDING:
                continue  # it was only to be moved to other nodes, and has been taken or has ended since it was planned
            if task.index not in agreed and loss_of(Relation.CHANGED, task.state, prepared.rerun):
                spared(task.index)
                continue
            renewed.append(
                lifecycle.renew(
                    task,
                    row=row,
                    digest=digest,
                    generation=applying.generation,
                    cluster=prepared.cluster.name,
                    now=time.time(),
                )
            )
        return Writes(put=renewed)

    return writes


def _recording(some: Sequence[NewTask], job: str) -> TaskWrites:
    rows = {Key.task(job, index): row for index, row, _ in some}
    return lambda records: Writes(
        put=[lifecycle.record(task, row=rows[key]) for key, task in records.items() if isinstance(task, Task)]
    )


def _open_elsewhere(prepared: Prepared, backend: Backend) -> list[Key]:
    """Return the open tasks that the nodes of the job's earlier clusters would take."""
    tasks = backend.state.tasks(prepared.name, states=sorted(OPEN))
    return [task.key for task in tasks if task.cluster != prepared.cluster.name]


def _moved_to(cluster: str) -> TaskWrites:
    """Let tasks be taken by other nodes; those that run go on where they are, unless they have to run again."""
    return lambda records: Writes(
        put=[replace(task, cluster=cluster) for task in records.values() if isinstance(task, Task)]
    )


def _addition(tasks: NewTasks) -> TaskWrites:
    return lambda _: Writes(add=tasks)


def _chunks_of_rows(tasks: Iterable[NewTask], size: int) -> Iterator[list[NewTask]]:
    """Yield tasks in lists that a commit takes: of at most `size`, and of rows that are not too long together."""
    for some in chunks(tasks, size):
        room, begin = _ROOM, 0
        for position, (_, row, _) in enumerate(some):
            if len(row) > room and position > begin:
                yield some[begin:position]
                room, begin = _ROOM, position
            room -= len(row)
        yield some[begin:]


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
