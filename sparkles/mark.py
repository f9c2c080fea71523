"""Mark: what an apply leaves on its job, and what it has guarded by that: no commit of it counts once it lost the job.

Where many threads write at once, each has a fence of its own to guard its commits, since one record could not stand
them all. Who takes the mark away takes the fences away in the same commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from queue import SimpleQueue

from sparkles.errors import BackendError
from sparkles.model import Applying, Fence, Job, Key, Records, Writes
from sparkles.ports import Backend
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


def fence_keys(job: str, backend: Backend) -> Sequence[Key]:
    """Return the keys of all fences that there may be around a job: to be read by whoever takes a mark away."""
    streams = backend.state.streams
    return [Key.fence(job, shard) for shard in range(1, streams + 1)] if streams > 1 else []


def fences(job: str, applying: Applying, backend: Backend) -> Sequence[Fence]:
    """Return the fences that an apply is to have."""
    return [Fence(job=job, shard=key.index, token=applying.token) for key in fence_keys(job, backend)]


def standing(records: Records) -> Sequence[Key]:
    """Return the keys of the fences among records: to be removed with the mark."""
    return [key for key in records if key.kind == "fence"]


def _tasks(records: Records) -> Records:
    return {key: record for key, record in records.items() if key.kind == "task"}


def _lost() -> BackendError:
    return BackendError("another apply took this job over, or it was killed or deleted; 'sparkles status' shows it")
