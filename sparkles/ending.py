"""Ending: what is done with the open tasks of a job that is killed. Whoever begins it, anybody can complete it."""

from __future__ import annotations

import time

from sparkles import lifecycle
from sparkles.model import OPEN, Job, Key, Records, Stop, Task, Writes
from sparkles.nodes import clusters_of, look
from sparkles.ports import Backend
from sparkles.streams import in_streams
from sparkles.task_writes import chunks


def kill_if_same(job: Job, backend: Backend, *, by: str) -> None:
    """Mark a job as killed, `by` whom or what, and its tasks; unless somebody has begun it anew since it was read."""

    def move(records: Records) -> Writes:
        current = records.get(job.key)
        if not isinstance(current, Job) or not lifecycle.is_same_run(current, job):
            return Writes()
        return Writes(put=[lifecycle.kill_job(current, by=by)])

    if marked := backend.state.change([job.key], move).get(job.key):
        assert isinstance(marked, Job)
        kill_open(marked, backend)


def kill_open(job: Job, backend: Backend) -> None:
    """Kill the tasks of a killed job that have not ended. Does nothing as soon as it is one that is begun anew.

    A task that such an apply has written is not what was read any more, so it is looked at again, with its job.
    """

    def move(records: Records) -> Writes:
        current = records.get(job.key)
        if not isinstance(current, Job) or not lifecycle.is_being_killed(current):
            return Writes()
        now = time.time()
        tasks = [task for task in records.values() if isinstance(task, Task) and task.state in OPEN]
        untold = [task for task in tasks if task.stop is not Stop.KILLED]
        return Writes(put=[lifecycle.kill(task, now=now, by=current.killed_by) for task in untold])

    keys = (Key.task(job.name, index) for index in backend.state.open_indices(job.name))
    told: list[bool] = []

    def kill(some: list[Key]) -> None:
        told.append(bool(backend.state.change([job.key, *some], move)))

    in_streams(kill, chunks(keys, backend.state.commit_limit - 1), streams=backend.state.streams)
    if any(told):
        look(clusters_of(job, backend), backend)
