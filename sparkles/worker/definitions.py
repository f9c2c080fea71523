"""Definitions: what a worker has to know to run a task, read from the job's pinned manifests and remembered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sparkles import lifecycle
from sparkles import manifest as manifests
from sparkles.compile import Definition, TaskDefinition
from sparkles.errors import BackendError
from sparkles.model import Job, Key, Task
from sparkles.ports.backend import Backend
from sparkles.prepare import find_job
from sparkles.spec import JobSpec, spec_of


@dataclass(frozen=True, slots=True)
class Assignment:
    """A claimed task with all that its execution needs."""

    task: Task
    definition: TaskDefinition
    row: Mapping[str, str]
    #: What the newest generation says about time-outs, outputs and retries.
    policy: JobSpec
    #: The environment to start from; empty with an image.
    environment: Mapping[str, str]


class Definitions:
    """Looks up assignments. The state thread's own: not to be shared."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._specs: dict[tuple[str, int], JobSpec] = {}
        self._definitions: dict[tuple[str, int], Definition] = {}
        self._policies: dict[tuple[str, int], tuple[JobSpec, Mapping[str, str]]] = {}
        #: Job → what tells whether it is still as it was: its generation, and when it was applied.
        self._seen: dict[str, tuple[int, float]] = {}
        self._killed: frozenset[str] = frozenset()

    def refresh(self) -> None:
        """Forget what was read of jobs that have been applied or deleted since; note which have been killed."""
        records = self._backend.state.read([Key.job(name) for name in self._seen])
        jobs = [job for job in records.values() if isinstance(job, Job)]
        self._killed = frozenset(job.name for job in jobs if lifecycle.is_being_killed(job))
        for name, facts in list(self._seen.items()):
            job = records.get(Key.job(name))
            if not isinstance(job, Job) or (job.generation, job.submitted) != facts:
                self._forget(name)

    def _forget(self, job: str) -> None:
        del self._seen[job]
        for known in (self._specs, self._definitions, self._policies):
            for key in [key for key in known if key[0] == job]:
                del known[key]

    def may_begin(self, task: Task) -> bool:
        """Say whether a task may be begun, or go on. Those of a killed job are being ended, which takes its time."""
        return task.job not in self._killed

    def assignment(self, task: Task) -> Assignment:
        """Return what is needed to run a task. Raises SparklesError or OSError if that cannot be found."""
        row: Mapping[str, str] = json.loads(task.row)
        definition = self._definition(task, row)
        policy, environment = self.policy(task)
        return Assignment(task, definition.define(row, task.index), row, policy, environment)

    def policy(self, task: Task) -> tuple[JobSpec, Mapping[str, str]]:
        """Return the newest generation's spec, and the environment to start from."""
        key = task.job, task.generation
        if key not in self._policies:
            job = find_job(self._backend, task.job)
            if job is None:
                raise BackendError(f"job {task.job} was deleted")
            self._seen[task.job] = job.generation, job.submitted
            # While an apply goes on, its tasks are ahead of their job.
            spec = self._spec(task.job, max(job.generation, task.generation))
            self._policies[key] = spec, self._environment(job)
        return self._policies[key]

    def _environment(self, job: Job) -> Mapping[str, str]:
        environments = self._backend.environments
        return environments.read(job.environment) if environments and job.environment else {}

    def _definition(self, task: Task, row: Mapping[str, str]) -> Definition:
        """Return the definition of a task, making sure that it is the one that the task's digest is of.

        A job may have been deleted and made anew under its name since the manifest was read.
        """
        key = task.job, task.generation
        for again in (False, True):
            if again:
                self._specs.pop(key, None)
                self._definitions.pop(key, None)
            if key not in self._definitions:
                spec = self._spec(*key)
                self._definitions[key] = Definition(spec, columns=row.keys(), seq="seq" in spec.parameters)
            if self._definitions[key].digest(row, task.index) == task.digest:
                return self._definitions[key]
        raise BackendError(f"task {task.id}: the manifest of generation {task.generation} is not what it was made of")

    def _spec(self, job: str, generation: int) -> JobSpec:
        key = job, generation
        if key not in self._specs:
            text = self._backend.objects.read_manifest(job, generation)
            if text is None:
                raise BackendError(f"job {job}: the manifest of generation {generation} is not there any more")
            self._specs[key] = spec_of(manifests.load(text))
        return self._specs[key]
