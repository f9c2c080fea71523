"""Handover: what was claimed goes to the slots, with all that its execution needs; what has ended is let go.

One task that cannot be read, or whose result cannot be moved, must not take the worker down.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from sparkles.errors import SparklesError, UnreachableError
from sparkles.lifecycle import Attempt, RetryPolicy
from sparkles.model import Reason, Records, Task
from sparkles.ports.backend import Backend
from sparkles.ports.place import Place
from sparkles.said import said
from sparkles.timing import Timing
from sparkles.worker.ahead import Ahead
from sparkles.worker.attempt import Ended, Execution
from sparkles.worker.definitions import Assignment, Definitions
from sparkles.worker.lease import Lease
from sparkles.worker.slots import Slots, report
from sparkles.worker.speech import say


class Handover:
    """The loop's own."""

    def __init__(
        self,
        backend: Backend,
        place: Place,
        timing: Timing,
        *,
        slots: Slots,
        definitions: Definitions,
        ahead: Ahead,
        lease: Lease,
    ) -> None:
        self._backend = backend
        self._place = place
        self._timing = timing
        self._slots = slots
        self._definitions = definitions
        self._ahead = ahead
        self._lease = lease

    def retries(self, task: Task) -> RetryPolicy:
        """Return what holds now for tries of a task, or else what held when it was claimed."""
        try:
            return self._definitions.policy(task)[0].retries
        except Exception:  # noqa: BLE001 - the job was deleted, and so was the task; or the stores are out of reach
            execution = self._slots.held.get(task.claim or "")
            return execution.retries if execution else RetryPolicy()

    def is_guarded(self, task: Task) -> bool:
        """Say whether a task's job is to be stopped when too many of its tasks have failed."""
        try:
            return self._definitions.policy(task)[0].max_failures is not None
        except Exception:  # noqa: BLE001 - as above; others see to it
            return False

    def forget(self, ended: Sequence[Ended], written: Records) -> None:
        """Let go of what ended; make committed results visible."""
        for end in ended:
            self._slots.held.pop(end.task.claim or "", None)
            if end.attempt is None:
                continue
            self._ahead.note(end.task, end.attempt.ended - end.attempt.started)
            try:
                self._show(end.task, end.attempt, written)
            except (SparklesError, OSError):
                report(end.task)  # it is committed: whoever reads the result moves it into place

    def _show(self, task: Task, attempt: Attempt, written: Records) -> None:
        """Move a result into its place if it is the one that was committed; else drop it."""
        after, generation = written.get(task.key), attempt.result_generation
        if isinstance(after, Task) and generation and after.result_generation == generation:
            self._backend.objects.promote(after.job, after.index, generation)
        else:
            self._backend.objects.discard(task.job, task.index, task.claim or "")

    def take(self, written: Records, tokens: Collection[str]) -> bool:
        """Hand what was claimed by one of the tokens to the slots; say whether there was any."""
        claimed = [task for task in written.values() if isinstance(task, Task) and task.claim in tokens]
        tasks = iter(claimed)
        for task in tasks:
            try:
                self._slots.put(self._execution(self._definitions.assignment(task)))
            except UnreachableError as error:  # noqa: PERF203 - what cannot be read differs from task to task
                say(f"task {task.id} goes back: {error}")
                self._give_back(task, tasks)
            except Exception as error:  # noqa: BLE001 - one unreadable task must not take the worker down
                self._slots.end(self._unreadable(task, error))
        return bool(claimed)

    def _give_back(self, task: Task, others: Iterator[Task]) -> None:
        """Give back a task and all after it. One is enough to wait for: meanwhile nothing says that this node lives."""
        for each in (task, *others):
            self._slots.end(Ended(each))

    def _execution(self, assignment: Assignment) -> Execution:
        return Execution(
            assignment,
            backend=self._backend,
            work=self._place.work,
            timing=self._timing,
            node=self._place.name,
            call=self._place.call,
            holds=self._lease.holds,
        )

    def _unreadable(self, task: Task, error: Exception) -> Ended:
        """Fail a task that cannot even be begun, saying why where people look: in its log."""
        report(task)
        words = f"sparkles: this task cannot be executed: {error}\n"
        with suppress(OSError):
            log = self._backend.objects.open_log(task.job, task.index, task.claim or "")
            log.write_text(words, encoding="utf-8")
        now = time.time()
        attempt = Attempt(
            claim=task.claim or "",
            digest=task.digest,
            reason=Reason.UPLOAD,
            exit=None,
            started=now,
            ended=now,
            said=said(words.encode()),
        )
        return Ended(task, attempt)
