"""Attempt: one execution of a task: stage in, run, find the outputs, publish. Runs in a slot's thread.

Writes no state: what came of it goes back to the worker's loop.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sparkles.errors import LaunchError, SparklesError, UnreachableError
from sparkles.lifecycle import Attempt, RetryPolicy
from sparkles.model import Reason, Sample, Task
from sparkles.ports.backend import Backend
from sparkles.ports.runtime import Ending, Launch, Running, Runtime
from sparkles.timing import Timing
from sparkles.worker import outputs, staging
from sparkles.worker.definitions import Assignment
from sparkles.worker.publisher import Publisher, append
from sparkles.worker.speech import say
from sparkles.worker.turn import Turn


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of an assignment. Without an attempt, the task is given back."""

    task: Task
    attempt: Attempt | None = None
    #: Whether giving it back counts as the loss of a node: it may be the task that broke something.
    broke: bool = False
    #: Why it was stopped which is given back.
    stopped: Reason | None = None


class Execution:
    """An assignment in the hands of a slot. `stop` may be called from another thread at any time.

    It calls `call` when `tick` has something to do earlier than `next_tick` said, and asks `holds` whether the node's
    lease still does before it touches what other nodes might.
    """

    def __init__(
        self,
        assignment: Assignment,
        *,
        backend: Backend,
        work: Path,
        timing: Timing,
        node: str,
        call: Callable[[], None],
        holds: Callable[[], bool],
    ) -> None:
        self.task = assignment.task
        self.claim = assignment.task.claim or ""
        self._assignment = assignment
        self._backend = backend
        self._folder = work / self.claim
        self._timing = timing
        self._node = node
        self._call = call
        self._holds = holds
        self._turn = Turn()
        self._lock = threading.Lock()
        self._begun = False
        #: time.monotonic() at which a slot took it.
        self._began: float | None = None
        self._running: Running | None = None
        #: time.monotonic() at which it was started.
        self._running_since = 0.0
        self._why: Reason | None = None
        self._abandoned = threading.Event()
        #: Set once someone, not the time-out, wants the attempt to end.
        self._stopped = threading.Event()
        #: time.monotonic() at which the command must have ended; None while it does not run.
        self.deadline: float | None = None
        #: time.monotonic() at which a command that was asked to stop is killed.
        self.kill_at: float | None = None

    @property
    def age(self) -> float:
        """The seconds for which a slot has had it."""
        return time.monotonic() - self._began if self._began is not None else 0.0

    @property
    def retries(self) -> RetryPolicy:
        """What held for tries of the task when it was claimed."""
        return self._assignment.policy.retries

    def withdraw(self) -> bool:
        """Take the execution back from the slots; False if one has begun it."""
        with self._lock:
            if not self._begun:
                self._why = Reason.NODE_LIMIT
            return not self._begun

    def stop(self, why: Reason, *, abandon: bool = False) -> None:
        """Ask the command to end; after a grace, `tick` kills it. `abandon`: the task is given back."""
        with self._lock:
            if abandon:
                self._abandoned.set()
            if why is not Reason.TIMEOUT:
                self._stopped.set()
            if self._why is None:
                self._why = why
                self.kill_at = time.monotonic() + self._timing.grace
                if self._running:
                    self._running.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the command now and publish nothing."""
        self._abandoned.set()
        self._stopped.set()
        with self._lock:
            self._why = self._why or Reason.NODE_LIMIT
            if self._running:
                self._running.signal(signal.SIGKILL)

    def tick(self, now: float) -> None:
        """Enforce the time-out and the end of the grace."""
        if self.deadline is not None and now >= self.deadline:
            self.stop(Reason.TIMEOUT)
        if self.kill_at is not None and now >= self.kill_at and self._running:
            self._running.signal(signal.SIGKILL)
            self.kill_at = None

    def next_tick(self) -> float | None:
        """Return when `tick` has something to do, in time.monotonic()."""
        if self._why is not None:
            return self.kill_at if self._running else None
        return self.deadline

    def sample(self) -> Sample | None:
        """Return what the command uses now."""
        running, since = self._running, self._running_since
        sample = running.sample() if running else None
        return sample._replace(seconds=round(time.monotonic() - since, 1)) if sample else None

    def run(self, turn: Turn) -> Ended | None:
        """Execute the task; None if it was withdrawn.

        The caller has the turn; it is given up while the command runs.
        """
        self._turn = turn
        with self._lock:
            if self._why:
                return None
            self._begun = True
            self._began = time.monotonic()
        try:
            ended = self._run()
        finally:
            outputs.remove(self._folder)
        if ended.attempt:
            return ended
        with suppress(SparklesError, OSError):  # the next attempt brings in its own
            self._backend.objects.discard(self.task.job, self.task.index, self.claim)
        return replace(ended, stopped=self._why)

    def _run(self) -> Ended:
        log = self._backend.objects.open_log(self.task.job, self.task.index, self.claim)
        started = time.time()
        try:
            staged = self._stage()
        except UnreachableError as error:
            say(f"task {self.task.id} goes back: {error}")
            return Ended(self.task)
        except (SparklesError, OSError) as error:
            append(log, f"sparkles: the task's files could not be brought in: {error}\n")
            return self._publish(log, Ending(exit=1), Reason.UPLOAD, started, None)
        if self._why:
            return Ended(self.task)
        started = time.time()
        try:
            ending = self._execute(log)
        except (LaunchError, OSError) as error:
            append(log, f"sparkles: {error}\n")
            code = error.exit if isinstance(error, LaunchError) else 126
            return self._publish(log, Ending(exit=code), Reason.EXIT, started, None)
        reason = self._why or (Reason.OUT_OF_MEMORY if ending.out_of_memory else Reason.EXIT)
        if reason is Reason.OUT_OF_MEMORY:
            append(log, f"sparkles: {self._out_of_memory()}\n")
        if reason is Reason.TIMEOUT:
            append(log, f"sparkles: stopped after {self._assignment.policy.timeout:g} s (timeout)\n")
        return self._publish(log, ending, reason, started, staged)

    def _stage(self) -> outputs.Snapshot:
        """Fill the work directory."""
        definition = self._assignment.definition
        (self._folder / definition.working_dir).mkdir(parents=True, exist_ok=True)
        staging.fill(self._folder, definition.inputs, self._backend, turn=self._turn, stopped=self._stopped)
        return outputs.snapshot(self._folder, [entry.dest for entry in definition.inputs])

    def _execute(self, log: Path) -> Ending:
        definition = self._assignment.definition
        launch = Launch(
            claim=self.claim,
            argv=definition.argv,
            env=self._environment(),
            folder=self._folder / definition.working_dir,
            log=log,
            task=self.task.id,
            image=definition.image,
            work=self._folder,
            memory=self._assignment.policy.memory,
        )
        with self._turn.yielded() if launch.image else nullcontext():  # it takes long, and waits most of it
            running = self._runtime().start(launch)
        with self._lock:
            self._running, self._running_since = running, time.monotonic()
            if self._why:
                running.signal(signal.SIGTERM)
            elif self._assignment.policy.timeout is not None:
                self.deadline = time.monotonic() + self._assignment.policy.timeout
        if self.next_tick() is not None:
            self._call()
        try:
            with self._turn.yielded():
                return running.wait()
        finally:
            with self._lock:
                self._running = self.deadline = self.kill_at = None

    def _out_of_memory(self) -> str:
        if limit := self._assignment.policy.memory:
            return f"stopped because it needed more than {limit >> 20}M of memory; --memory allows it more"
        return "stopped because the machine ran out of memory"

    def _runtime(self) -> Runtime:
        runtime = self._backend.containers if self._assignment.definition.image else self._backend.host
        if runtime is None:
            raise LaunchError("this node has nothing to run the task with", exit=126)
        return runtime

    def _environment(self) -> dict[str, str]:
        definition = self._assignment.definition
        folder = str(self._folder / definition.working_dir)
        return {
            # Nothing of the submitter's shell gets into an image, not even while the job loses its image.
            **({} if definition.image else {**self._assignment.environment, "PWD": folder}),
            "SPARKLES_JOB": self.task.job,
            "SPARKLES_ATTEMPT": str(self.task.attempts + 1),
            **definition.env,
        }

    def _publish(
        self, log: Path, ending: Ending, reason: Reason, started: float, staged: outputs.Snapshot | None
    ) -> Ended:
        """Bring in what there is; without `staged` the command never ran, so there are no outputs."""
        if self._abandoned.is_set():
            return Ended(self.task)
        publisher = Publisher(
            self._assignment,
            backend=self._backend,
            folder=self._folder,
            timing=self._timing,
            node=self._node,
            turn=self._turn,
            stopped=self._stopped,
            holds=self._holds,
        )
        attempt = publisher.publish(log, ending, reason, started=started, staged=staged)
        if attempt.result_generation is None:
            if self._abandoned.is_set():
                return Ended(self.task)
            attempt = replace(attempt, reason=Reason.KILLED if self._stopped.is_set() else Reason.UPLOAD)
        return Ended(self.task, attempt)
