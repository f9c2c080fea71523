"""Ending: what is done with the open tasks of a job that is killed. Whoever begins it, anybody can complete it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sparkles import lifecycle, takeover
from sparkles.model import Job, Key, Records, Stop, Task, TaskState, Writes
from sparkles.nodes import clusters_of, look
from sparkles.ports.backend import Backend
from sparkles.streams import in_streams
from sparkles.task_writes import chunks

#: Tasks that are killed in one commit where many write at once: nodes that take some of them meanwhile make it void.
_BATCH = 50


def kill_if_same(job: Job, backend: Backend, *, by: str) -> None:
    """Mark a job as killed, `by` whom or what, and its tasks; unless somebody has begun it anew since it was read."""

    def move(records: Records) -> Writes:
        current = records.get(job.key)
        if not isinstance(current, Job) or not takeover.is_same_run(current, job):
            return Writes()
        return Writes(put=[lifecycle.kill_job(current, by=by)])

    if marked := backend.state.change([job.key], move).get(job.key):
        assert isinstance(marked, Job)
        kill_open(marked, backend)


def kill_open(job: Job, backend: Backend) -> None:
    """Kill the tasks of a killed job that have not ended. Does nothing as soon as it is one that is begun anew.

    Nodes are told first: they stop what they run of it, and begin no more, however many tasks there are to kill.
    """
    still_open = backend.state.open_indices(job.name)
    if backend.state.counts(job.name, states=[TaskState.PENDING], most=1) or _untold(job, backend):
        look(clusters_of(job, backend), backend)
    if _kill(job, still_open, backend):
        look(clusters_of(job, backend), backend)


def _untold(job: Job, backend: Backend) -> bool:
    running = backend.state.tasks(job.name, states=[TaskState.CLAIMED])
    return any(task.stop is not Stop.KILLED for task in running)


def _kill(job: Job, indices: Sequence[int], backend: Backend) -> bool:
    """Kill tasks, unless their job has been begun anew; say whether there was anything to do.

    A task that such an apply has written is not what was read any more, so it is looked at again, with its job.
    """

    def move(records: Records) -> Writes:
        current = records.get(job.key)
        if not isinstance(current, Job) or not lifecycle.is_being_killed(current):
            return Writes()
        now = time.time()
        untold = [task for task in records.values() if isinstance(task, Task) and task.stop is not Stop.KILLED]
        killed = [lifecycle.kill(task, now=now, by=current.killed_by) for task in untold]
        return Writes(put=[after for before, after in zip(untold, killed, strict=True) if after != before])

    told: list[bool] = []

    def kill(some: list[Key]) -> None:
        told.append(bool(backend.state.change([job.key, *some], move)))

    size = backend.state.commit_limit - 1
    keys = chunks((Key.task(job.name, index) for index in indices), min(size, _BATCH) if _is_shared(backend) else size)
    in_streams(kill, keys, streams=backend.state.streams)
    return any(told)


def _is_shared(backend: Backend) -> bool:
    return backend.state.streams > 1
