"""Publisher: brings in what an attempt left: its log, its files, and how it ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from sparkles.errors import SparklesError
from sparkles.lifecycle import Attempt
from sparkles.model import Reason
from sparkles.ports.backend import Backend
from sparkles.ports.objects import Output, Result
from sparkles.ports.runtime import Ending
from sparkles.said import END, said
from sparkles.timing import Timing
from sparkles.worker import outputs
from sparkles.worker.definitions import Assignment
from sparkles.worker.speech import say
from sparkles.worker.turn import Turn

#: Seconds between two tries to bring in a result: doubled each time, up to the second number.
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0


class Publisher:
    """That of one attempt. Whoever uses it has the turn; it is given up while nothing but waiting is to be done."""

    def __init__(
        self,
        assignment: Assignment,
        *,
        backend: Backend,
        folder: Path,
        timing: Timing,
        node: str,
        turn: Turn,
        stopped: threading.Event,
        holds: Callable[[], bool],
    ) -> None:
        self._assignment = assignment
        self._task = assignment.task
        self._claim = assignment.task.claim or ""
        self._backend = backend
        self._folder = folder
        self._timing = timing
        self._node = node
        self._turn = turn
        self._stopped = stopped
        self._holds = holds
        #: Why the result could not be stored, once that is given up.
        self._trouble: str | None = None

    def publish(
        self, log: Path, ending: Ending, reason: Reason, *, started: float, staged: outputs.Snapshot | None
    ) -> Attempt:
        """Bring in what there is; without `staged` the command never ran, so there are no outputs.

        Tries for long, or until it is `stopped`; what could not be brought in has no result generation.
        """
        ended = time.time()
        found = outputs.NOTHING if staged is None else self._found(staged, log)
        has_succeeded = reason is Reason.EXIT and ending.exit == 0
        words = None if has_succeeded else _said(log)
        result = Result(
            job=self._task.job,
            index=self._task.index,
            claim=self._claim,
            log=log,
            outputs=found.outputs,
            document=self._document(ending, reason, started, ended, found),
            spare=self._spare(found, staged),
        )
        generation = self._insist(lambda: self._bring_in(result))
        return Attempt(
            claim=self._claim,
            digest=self._task.digest,
            reason=reason,
            exit=ending.exit,
            started=started,
            ended=ended,
            peak_memory=ending.peak_memory,
            said=words if self._trouble is None else said(self._trouble.encode()),
            result_generation=generation,
        )

    def _found(self, staged: outputs.Snapshot, log: Path) -> outputs.Found:
        policy = self._assignment.policy
        try:
            return outputs.find(
                self._folder, staged, include=policy.include, exclude=policy.exclude, always=policy.always
            )
        except OSError as error:  # paths that are too long for the system, for example
            note = f"its files could not be looked through, so none is kept: {error.strerror}"
            append(log, f"sparkles: {note}\n")
            return outputs.Found((), [note])

    def _spare(self, found: outputs.Found, staged: outputs.Snapshot | None) -> Path | None:
        """Return the work directory, if it is empty and certain to be ours: what ran in an image may have taken it."""
        is_empty = staged is not None and found is outputs.NOTHING
        return self._folder if is_empty and self._assignment.definition.image is None else None

    def _bring_in(self, result: Result) -> str:
        """Publish a result, once the one that is to be replaced by it is in its place for certain."""
        objects = self._backend.objects
        with self._turn.yielded() if objects.streams > 1 else nullcontext():
            if self._task.result_generation:
                objects.promote(result.job, result.index, self._task.result_generation)
            return objects.publish(result, holds=self._holds)

    def _insist(self, publish: Callable[[], str]) -> str | None:
        """Try for a long time: hours of compute must not be lost to a full disk or a broken network."""
        deadline = time.monotonic() + self._timing.upload_patience
        wait = _FIRST_WAIT
        while True:
            try:
                return publish()
            except (SparklesError, OSError) as error:
                if time.monotonic() + wait > deadline:
                    say(f"task {self._task.id}: its result cannot be stored: {error}")
                    self._trouble = f"sparkles: the task's result could not be stored: {error}"
                    return None
            with self._turn.yielded():
                if self._stopped.wait(wait):
                    return None
            wait = min(2 * wait, _LONGEST_WAIT)

    def _document(
        self, ending: Ending, reason: Reason, started: float, ended: float, found: outputs.Found
    ) -> dict[str, Any]:
        document: dict[str, Any] = {
            "job": self._task.job,
            "index": self._task.index,
            "claim": self._claim,
            "command": list(self._assignment.definition.argv),
            "parameters": dict(self._assignment.row),
            "attempt": self._task.attempts + 1,
            "exit": ending.exit,
            "reason": reason.value,
            "started": started,
            "ended": ended,
            "peakMemory": ending.peak_memory,
            "node": self._node,
            "host": os.uname().nodename,
            "image": self._assignment.definition.image,
            "files": [_listed(output) for output in found.outputs],
        }
        whole, notes = self._assignment.policy.whole, list(found.notes)
        return document | ({"whole": whole} if whole else {}) | ({"notes": notes} if notes else {})


def append(log: Path, text: str) -> None:
    """Write a line of ours at the end of a task's log, if it can be."""
    with suppress(OSError), log.open("a", encoding="utf-8") as file:  # a full disk, or the job is gone
        file.write(text)


def _said(log: Path) -> str | None:
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - END))
        return said(file.read(END))
    return None


def _listed(output: Output) -> dict[str, Any]:
    """Return what result.json says of a file."""
    listed: dict[str, Any] = {"name": output.name, "size": output.size}
    return {**listed, "executable": True} if os.access(output.path, os.X_OK) else listed
