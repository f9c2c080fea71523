"""Settler: a thread that does for jobs and clusters what may take long, so that the node's own heartbeat never waits.

To begin a job that waited may take long: results are read, tasks made by the thousand.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sparkles import recover
from sparkles.errors import SparklesError
from sparkles.nodes import staff, start_nodes
from sparkles.ports.backend import Backend
from sparkles.prepare import find_job
from sparkles.settle import settle
from sparkles.worker.speech import say
from sparkles.worker.tenure import prove

#: Seconds after which what failed is tried again.
_RETRY = 1.0


class _Duty(NamedTuple):
    """Something to be done."""

    #: `settle` or `staff` a job, `sweep`, `patrol` or `man` a cluster, or `prove` that a node has work.
    what: str
    name: str

    def do(self, backend: Backend) -> None:
        match self.what:
            case "settle":
                settle(self.name, backend)
            case "staff":
                if job := find_job(backend, self.name):
                    start_nodes(job, backend)
            case "sweep":
                recover.sweep({self.name}, backend)
            case "patrol":
                recover.sweep({self.name}, backend, quiet=backend.timing.silence / 2)
            case "man":
                staff(self.name, backend)
            case "prove":
                prove(self.name, backend)

    def __str__(self) -> str:
        return f"{self.what} {self.name}"


class Settler:
    """Does what it is given, one after the other."""

    def __init__(self, *, reopen: Callable[[], Backend], call: Callable[[], None]) -> None:
        self._reopen = reopen
        self._call = call
        self._queue: queue.SimpleQueue[_Duty | None] = queue.SimpleQueue()
        #: What is in the queue.
        self._queued: set[_Duty] = set()
        self._is_at_work = False
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether anything is yet to be done."""
        return bool(self._queued) or self._is_at_work

    def put(self, names: Iterable[str]) -> None:
        """Take over jobs to settle, each once."""
        self._put(_Duty("settle", name) for name in names)

    def staff(self, names: Iterable[str]) -> None:
        """Take over jobs whose tasks are for other nodes, which have to be started."""
        self._put(_Duty("staff", name) for name in names)

    def sweep(self, cluster: str) -> None:
        """Take over a cluster to sweep."""
        self._put([_Duty("sweep", cluster)])

    def patrol(self, cluster: str) -> None:
        """Take over a cluster to sweep of nodes that have long been quiet: each may do so often, however many."""
        self._put([_Duty("patrol", cluster)])

    def man(self, cluster: str) -> None:
        """Take over a cluster that may have too few nodes."""
        self._put([_Duty("man", cluster)])

    def prove(self, node: str) -> None:
        """Take over a node whose cluster is to know that it has work."""
        self._put([_Duty("prove", node)])

    def _put(self, duties: Iterable[_Duty]) -> None:
        for duty in duties:
            if duty not in self._queued:
                self._queued.add(duty)
                self._queue.put(duty)
        if self._queued and self._thread is None:  # most nodes could do without it for most of their time
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End. What is not done by then is for others."""
        self._queue.put(None)

    def _run(self) -> None:
        backend: Backend | None = None
        while (duty := self._queue.get()) is not None:
            self._is_at_work = True
            self._queued.discard(duty)  # what comes up from here on has to be done again
            try:
                backend = backend or self._reopen()
                duty.do(backend)
            except (SparklesError, OSError) as error:
                say(f"cannot {duty}: {error}")
                time.sleep(_RETRY)
                self._put([duty])
            except Exception:  # noqa: BLE001 - one job that cannot be settled must not keep the others from it
                say(f"cannot {duty}:\n{traceback.format_exc()}")
            self._is_at_work = False
            self._call()
        if backend:
            backend.state.close()
