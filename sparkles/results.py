"""Results: read what a job is and what its tasks wrote, trusting only results that were committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from sparkles.errors import BackendError, RequestError
from sparkles.model import Job, Key, Task
from sparkles.ports import LOG_PIECE, Backend
from sparkles.said import END, said

#: Times that a result may be replaced while it is copied.
_TRIES = 3

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def manifest(job: Job, backend: Backend) -> dict[str, Any]:
    """Return the pinned manifest of a job. Raises RequestError if it has none yet."""
    if not job.generation:
        raise RequestError(f"job {job.name} is still being applied for the first time")
    from sparkles.manifest import load  # most of those who look at results do not need it

    text = backend.objects.read_manifest(job.name, job.generation)
    if text is None:
        raise BackendError(f"job {job.name}: its manifest is gone; was a 'sparkles delete' cut off? Then run it again")
    return load(text)


def find_task(job: Job, index: int, backend: Backend) -> Task:
    """Return a task. Raises RequestError if the job has none of this index."""
    key = Key.task(job.name, index)
    task = backend.state.read([key]).get(key)
    if not isinstance(task, Task):
        indices = backend.state.columns(job.name).indices
        there = f"its tasks are {indices[0]} to {indices[-1]}" if len(indices) else "it has no tasks"
        raise RequestError(f"job {job.name} has no task {index}; {there}")
    return task


def in_place(task: Task, backend: Backend) -> dict[str, Any] | None:
    """Return result.json of a task if it is the one that was committed, and in its place."""
    found = backend.objects.read_result(task.job, task.index) if task.result_generation else None
    return found[1] if found and found[0] == task.result_generation else None


def committed(task: Task, backend: Backend) -> dict[str, Any] | None:
    """Return result.json of a task if it is the one that was committed, moving it into place if need be."""
    found = in_place(task, backend)
    if found is None and task.result_generation:
        backend.objects.promote(task.job, task.index, task.result_generation)
        found = in_place(task, backend)
    return found


def fetch(name: str, tasks: Iterable[Task] | None, destination: Path, backend: Backend) -> tuple[int, int]:
    """Copy results to `destination/<index>/`; return how many, and their bytes.

    `tasks` are those whose results are wanted, or None for all that a deleted job left.
    """
    count = total = 0

    def copy(folder: tuple[int, Task | None]) -> int | None:
        index, task = folder
        return _copy(name, index, destination / str(index), backend, task)

    for copied in each(copy, _folders(name, tasks, backend), backend):
        if copied is not None:
            count, total = count + 1, total + copied
    return count, total


def each(do: Callable[[_In], _Out], things: Iterable[_In], backend: Backend) -> Iterator[_Out]:
    """Yield what `do` makes of each thing, in order: of several at once where the objects are far away."""
    if backend.objects.streams == 1:
        yield from map(do, things)
        return
    from concurrent.futures import ThreadPoolExecutor  # at home nobody has to wait for it to load

    pool = ThreadPoolExecutor(backend.objects.streams)
    try:
        yield from pool.map(do, things)
    finally:
        pool.shutdown(cancel_futures=True)


def _folders(name: str, tasks: Iterable[Task] | None, backend: Backend) -> Iterator[tuple[int, Task | None]]:
    if tasks is None:
        yield from ((index, None) for index in backend.objects.results(name))
    else:
        yield from ((task.index, task) for task in tasks)


def _copy(name: str, index: int, destination: Path, backend: Backend, task: Task | None) -> int | None:
    """Copy one result; again if another one took its place meanwhile."""
    for _ in range(_TRIES):
        if task is not None and committed(task, backend) is None:
            return None
        before = backend.objects.read_result(name, index)
        copied = backend.objects.fetch(name, index, destination)
        if backend.objects.read_result(name, index) == before:
            return copied
    raise RequestError(f"the result of {name}.{index} changes while it is copied; fetch it when the job has ended")


def read_log(task: Task, backend: Backend, *, start: int = 0, limit: int = LOG_PIECE) -> bytes:
    """Return a piece of the output of a task's attempt; of its committed result's if none runs."""
    claim = task.claim or task.result_generation
    if claim is None:
        return b""
    return backend.objects.read_log(task.job, task.index, claim, start=start, limit=limit)


def read_whole_log(task: Task, backend: Backend, *, start: int = 0) -> Iterator[bytes]:
    """Yield the output from byte `start` on, in pieces: a log may be larger than the memory."""
    while piece := read_log(task, backend, start=start):
        start += len(piece)
        yield piece


def last_line(task: Task, backend: Backend) -> str:
    """Return what a task said last, see `said`; empty if nothing. Read from its log if its record does not say."""
    return task.said or said(read_log(task, backend, start=-END)) or ""


def tidy(job: str, backend: Backend) -> None:
    """Finish what workers, dead or just slower, left between a task's commit and its result's move into place."""
    unpromoted = backend.objects.unpromoted(job)
    records = backend.state.read([Key.task(job, index) for index, _ in unpromoted])
    for index, generation in unpromoted:
        task = records.get(Key.task(job, index))
        if isinstance(task, Task) and task.result_generation == generation:
            backend.objects.promote(job, index, generation)
