"""Mark: what an apply leaves on its job, and what it has guarded by that: no commit of it counts once it lost the job.

Where many threads write at once, each has a fence of its own to guard its commits, since one record could not stand
them all. Who takes the mark away then takes the fences away, before anything else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from queue import SimpleQueue

from sparkles.errors import BackendError
from sparkles.model import Applying, Fence, Job, Key, Records, Writes
from sparkles.ports.backend import Backend
from sparkles.streams import in_streams

#: Seconds after which an apply that goes on says so.
RENEWAL = 5.0

#: Decides what to write of tasks, given them as they are.
TaskWrites = Callable[[Records], Writes]

#: (tasks to read, what to write given their records): a commit of an apply.
Commit = tuple[list[Key], TaskWrites]


class Marked:
    """A job that bears the mark of an apply."""

    def __init__(self, job: str, applying: Applying, backend: Backend) -> None:
        self._job = job
        self._applying = applying
        self._backend = backend
        self._renewed = time.monotonic()

    def renew(self) -> None:
        """Say that the apply goes on, if that was long ago."""
        if time.monotonic() - self._renewed > RENEWAL:
            self.commit(([], lambda _: Writes()))

    def commit(self, commit: Commit) -> None:
        """Make a commit if the job still bears the mark, and renew that. Raises BackendError if it does not."""
        key = Key.job(self._job)
        keys, decide = commit

        def move(records: Records) -> Writes:
            job = bearer(records.get(key), self._applying)
            writes = decide(_tasks(records))
            return replace(writes, put=[*writes.put, replace(job, applying=self._progress())])

        self._backend.state.change([key, *keys], move)
        self._renewed = time.monotonic()

    def _progress(self) -> Applying:
        return replace(self._applying, progress=time.time())

    def commit_all(self, commits: Iterable[Commit], *, fenced: bool) -> None:
        """Make all commits; several at once if the job was `fenced` when it was marked."""
        if not fenced:
            in_streams(self.commit, commits, streams=1)
            return
        streams = self._backend.state.streams
        free: SimpleQueue[int] = SimpleQueue()
        for shard in range(1, streams + 1):
            free.put(shard)
        in_streams(lambda commit: self._commit_in_stream(commit, free), commits, streams=streams, meanwhile=self.renew)

    def _commit_in_stream(self, commit: Commit, free: SimpleQueue[int]) -> None:
        shard = free.get()
        key = Key.fence(self._job, shard)
        keys, decide = commit

        def move(records: Records) -> Writes:
            fence = records.get(key)
            if not isinstance(fence, Fence) or fence.token != self._applying.token:
                raise _lost()
            writes = decide(_tasks(records))
            return replace(writes, put=[*writes.put, fence])

        try:
            self._backend.state.change([key, *keys], move)
        finally:
            free.put(shard)


def bearer(job: object, applying: Applying) -> Job:
    """Return the job if it bears this mark. Raises BackendError if not."""
    if not isinstance(job, Job) or job.applying is None or job.applying.token != applying.token:
        raise _lost()
    return job


def raise_fences(job: str, applying: Applying, backend: Backend) -> None:
    """Put the fences of an apply around the job that bears its mark. Raises BackendError if it does not any more."""
    drop_fences(job, backend)
    key, fences = Key.job(job), _fence_keys(job, backend)

    def move(records: Records) -> Writes:
        raised = [Fence(job=job, shard=fence.index, token=applying.token) for fence in fences]
        return Writes(put=[bearer(records.get(key), applying), *raised])

    backend.state.change([key, *fences], move)


def drop_fences(job: str, backend: Backend) -> None:
    """Remove the fences of applies whose mark has been taken from the job: from now on these write no task.

    Each by itself: the apply may be writing one of them all the time, and so all of them together.
    """
    key = Key.job(job)

    def drop(fence_key: Key) -> None:
        def move(records: Records) -> Writes:
            fence, current = records.get(fence_key), records.get(key)
            holder = current.applying if isinstance(current, Job) else None
            is_stale = isinstance(fence, Fence) and not (holder and holder.token == fence.token)
            return Writes(remove=[fence_key] if is_stale else [])

        backend.state.change([fence_key, key], move)

    if backend.state.streams > 1:
        there = backend.state.read(_fence_keys(job, backend))
        in_streams(drop, there, streams=backend.state.streams)


def _fence_keys(job: str, backend: Backend) -> Sequence[Key]:
    return [Key.fence(job, shard) for shard in range(1, backend.state.streams + 1)]


def _tasks(records: Records) -> Records:
    return {key: record for key, record in records.items() if key.kind == "task"}


def _lost() -> BackendError:
    return BackendError("another apply took this job over, or it was killed or deleted; 'sparkles status' shows it")
