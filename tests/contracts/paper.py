"""A node on paper: it claims, executes and commits as a worker does, but one step at a time and when a test says so.

What it executes are the worker's own attempts, with real files; only the command is a Python function.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from contracts.fakes import Script, ScriptedRunning
from contracts.nouns import a_node, put

from sparkles import lifecycle
from sparkles.lifecycle import RetryPolicy
from sparkles.model import Key, Node, Records, Task, TaskState, Writes
from sparkles.ports.backend import Backend
from sparkles.ports.runtime import Launch
from sparkles.timing import Timing
from sparkles.worker.attempt import Ended, Execution
from sparkles.worker.definitions import Definitions
from sparkles.worker.turn import Turn


class FunctionRuntime:
    """Runs one Python function, whatever the command is."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def start(self, launch: Launch) -> ScriptedRunning:
        return ScriptedRunning(launch, self._script)


class PaperNode:
    """A node whose every step is a call."""

    def __init__(self, name: str, cluster: str, backend: Backend, work: Path, *, slots: int = 1) -> None:
        self.name = name
        self.cluster = cluster
        self._backend = backend
        self._work = work
        put(backend.state, a_node(name, cluster=cluster, slots=slots))

    def claim(self, limit: int) -> list[Task]:
        """Take up to `limit` pending tasks; return them as they are then."""
        found = self._backend.state.pending(self.cluster, limit=limit)
        tokens = {task.key: os.urandom(4).hex() for task in found}

        def move(records: Records) -> Writes:
            free = [task for task in records.values() if isinstance(task, Task) and task.state is TaskState.PENDING]
            return Writes(put=[lifecycle.claim(task, node=self.name, token=tokens[task.key]) for task in free])

        return [task for task in self._backend.state.change(list(tokens), move).values() if isinstance(task, Task)]

    def execute(self, task: Task) -> Ended:
        """Run an attempt to its end, and publish what it left; nothing is committed."""
        assignment = Definitions(self._backend).assignment(task)
        execution = Execution(
            assignment,
            backend=self._backend,
            work=self._work,
            timing=Timing(upload_patience=0.0),
            node=self.name,
            call=lambda: None,
            holds=lambda: True,
        )
        ended = execution.run(Turn())
        assert ended is not None
        return ended

    def commit(self, ended: Ended, *, promote: bool = True) -> Task | None:
        """Write the end of an attempt as the worker does; without `promote` die before the result is in its place.

        Returns the task as committed, or None if it was not the node's any more.
        """
        key, attempt = ended.task.key, ended.attempt
        retries = self._retries(ended.task)

        def move(records: Records) -> Writes:
            node, task = records.get(Key.node(self.name)), records.get(key)
            assert isinstance(node, Node)
            if not isinstance(task, Task) or task.state is not TaskState.CLAIMED or task.claim != ended.task.claim:
                return Writes()
            if attempt and lifecycle.is_mine(task, claim=attempt.claim, digest=attempt.digest):
                return Writes(put=[lifecycle.finish(task, attempt, retries)])
            return Writes(put=[lifecycle.give_back(task, now=time.time(), lost=ended.broke)])

        task = self._backend.state.change([Key.node(self.name), key], move).get(key)
        assert task is None or isinstance(task, Task)
        generation = attempt.result_generation if attempt else None
        if task and generation and task.result_generation == generation:
            if promote:
                self._backend.objects.promote(task.job, task.index, generation)
        else:
            self._backend.objects.discard(ended.task.job, ended.task.index, ended.task.claim or "")
        return task

    def _retries(self, task: Task) -> RetryPolicy:
        return Definitions(self._backend).policy(task)[0].retries

    def work(self) -> None:
        """Claim and execute until there is nothing left."""
        while claimed := self.claim(100):
            for task in sorted(claimed, key=lambda task: (task.job, task.index)):
                self.commit(self.execute(task))
