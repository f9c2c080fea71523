"""Settler: a thread that settles jobs, so that the node's heartbeat never waits for it.

To begin a job that waited may take long: results are read, tasks made by the thousand.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable

from sparkles.errors import SparklesError
from sparkles.ports import Backend
from sparkles.settle import settle
from sparkles.worker.speech import say

#: Seconds after which what failed is tried again.
_RETRY = 1.0


class Settler:
    """Settles the jobs that it is given, one after the other."""

    def __init__(self, *, reopen: Callable[[], Backend], call: Callable[[], None]) -> None:
        self._reopen = reopen
        self._call = call
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        #: The names in the queue.
        self._queued: set[str] = set()
        self._is_at_work = False
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether anything is yet to be settled."""
        return bool(self._queued) or self._is_at_work

    def put(self, names: Iterable[str]) -> None:
        """Take over jobs to settle, each once."""
        for name in names:
            if name not in self._queued:
                self._queued.add(name)
                self._queue.put(name)
        if self._queued and self._thread is None:  # most nodes could do without it for most of their time
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End. What is not settled by then is for others."""
        self._queue.put(None)

    def _run(self) -> None:
        backend: Backend | None = None
        while (name := self._queue.get()) is not None:
            self._is_at_work = True
            self._queued.discard(name)  # what becomes of the job from here on has to be settled again
            try:
                backend = backend or self._reopen()
                settle(name, backend)
            except (SparklesError, OSError) as error:
                say(f"job {name} cannot be settled: {error}")
                time.sleep(_RETRY)
                self.put([name])
            except Exception:  # noqa: BLE001 - one job that cannot be settled must not keep the others from it
                say(f"job {name} cannot be settled:\n{traceback.format_exc()}")
            self._is_at_work = False
            self._call()
        if backend:
            backend.state.close()
