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
        self._names: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._given = self._done = 0

    @property
    def is_busy(self) -> bool:
        """Whether anything is yet to be settled."""
        return self._done < self._given

    def put(self, names: Iterable[str]) -> None:
        """Take over jobs to settle."""
        for name in names:
            self._given += 1
            self._names.put(name)
        if self.is_busy and self._thread is None:  # most nodes could do without it for most of their time
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End when all is settled."""
        self._names.put(None)

    def _run(self) -> None:
        backend = self._reopen()
        while (name := self._names.get()) is not None:
            try:
                settle(name, backend)
            except (SparklesError, OSError) as error:
                say(f"job {name} cannot be settled: {error}")
                time.sleep(_RETRY)
                self._names.put(name)
                continue
            except Exception:  # noqa: BLE001 - one job that cannot be settled must not keep the others from it
                say(f"job {name} cannot be settled:\n{traceback.format_exc()}")
            self._done += 1
            self._call()
        backend.state.close()
