"""Results: read what a job is and what its tasks wrote, trusting only results that were committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from sparkles import guard_text
from sparkles.errors import BackendError, RequestError
from sparkles.model import Job, Key, Task
from sparkles.ports.backend import Backend
from sparkles.ports.objects import LOG_PIECE

#: Things for each of several threads that are begun before the first one is needed.
_AHEAD = 4

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
        known = "; ".join(filter(None, (there, guard_text.words(job))))
        raise RequestError(f"job {job.name} has no task {index}; {known}")
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


def each(
    do: Callable[[_In], _Out], things: Iterable[_In], backend: Backend, *, stop: Callable[[], None] = lambda: None
) -> Iterator[_Out]:
    """Yield what `do` makes of each thing, in order: of several at once where the objects are far away.

    Whatever ends it early, `stop` is called before what is under way is waited for.
    """
    if backend.objects.streams == 1:
        yield from map(do, things)
        return
    from concurrent.futures import Future, ThreadPoolExecutor  # at home nobody has to wait for it to load

    pool = ThreadPoolExecutor(backend.objects.streams)
    begun: deque[Future[_Out]] = deque()
    try:
        for thing in things:
            begun.append(pool.submit(do, thing))
            if len(begun) > _AHEAD * backend.objects.streams:  # there may be a million
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        stop()
        pool.shutdown(cancel_futures=True)


def read_log(task: Task, backend: Backend, *, start: int = 0, limit: int = LOG_PIECE) -> bytes:
    """Return a piece of the output of a task's last attempt; if it had none, of its committed result's."""
    claim = _claim(task)
    if claim is None:
        return b""
    return backend.objects.read_log(task.job, task.index, claim, start=start, limit=limit, whole=_is_whole(task))


def log_size(task: Task, backend: Backend) -> int:
    """Return how many bytes that output has so far."""
    claim = _claim(task)
    return backend.objects.log_size(task.job, task.index, claim) if claim else 0


def _claim(task: Task) -> str | None:
    """Return what names the last log of a task."""
    return task.claim or (task.history[-1].claim if task.history else task.result_generation)


def read_whole_log(task: Task, backend: Backend, *, start: int = 0) -> Iterator[bytes]:
    """Yield the output from byte `start` on, in pieces: a log may be larger than the memory."""
    while piece := read_log(task, backend, start=start):
        start += len(piece)
        yield piece
        if _is_whole(task) and len(piece) < LOG_PIECE:
            return


def _is_whole(task: Task) -> bool:
    """Say whether a task's log is in its place: in its result."""
    return task.state.is_final and task.result_generation is not None


def last_line(task: Task, backend: Backend) -> str:
    """Return what a task said last, see `said`; empty if nothing. Read from its log if its record does not say."""
    from sparkles.said import END, said  # makes patterns, which take long for commands that look at no log

    return task.said or said(read_log(task, backend, start=-END)) or ""


def tidy(job: str, backend: Backend) -> None:
    """Finish what workers, dead or just slower, left between a task's commit and its result's move into place."""
    unpromoted = backend.objects.unpromoted(job)
    records = backend.state.read([Key.task(job, index) for index, _ in unpromoted])
    for index, generation in unpromoted:
        task = records.get(Key.task(job, index))
        if isinstance(task, Task) and task.result_generation == generation:
            backend.objects.promote(job, index, generation)
