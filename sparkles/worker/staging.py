"""Staging: fills the work directory of an attempt with the task's files."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from sparkles.compile import Input
from sparkles.errors import BackendError
from sparkles.ports.backend import Backend
from sparkles.spec import in_bucket
from sparkles.worker.turn import Turn

#: Objects of buckets that are brought in at once: each of them waits most of its time.
_STREAMS = 8

#: Seconds between two looks at whether the attempt has been stopped meanwhile.
_LOOK = 0.5


def fill(folder: Path, inputs: Sequence[Input], backend: Backend, *, turn: Turn, stopped: threading.Event) -> None:
    """Put each input in its place below `folder`, until `stopped`.

    Raises SparklesError or OSError if one cannot be had. The caller has the turn, which is given up while files come
    in from afar.
    """
    far = []
    for entry in inputs:
        target = folder / entry.dest
        target.parent.mkdir(parents=True, exist_ok=True)
        if in_bucket(entry.content) or backend.objects.streams > 1:
            far.append(entry)
        else:
            backend.objects.stage(entry.content, target, executable=entry.executable)
    if far:
        if backend.buckets is None and any(in_bucket(entry.content) for entry in far):
            raise BackendError("this node has no way to files of buckets")
        with turn.yielded():
            _Fetch(folder, far, backend).run(stopped)


class _Fetch:
    """Files on their way into a work directory, from afar."""

    def __init__(self, folder: Path, objects: Sequence[Input], backend: Backend) -> None:
        self._folder = folder
        self._backend = backend
        self._left = len(objects)
        self._over = threading.Event()
        self._objects: SimpleQueue[Input] = SimpleQueue()
        #: For each object that has come in None, else why it has not.
        self._ends: SimpleQueue[Exception | None] = SimpleQueue()
        for entry in objects:
            self._objects.put(entry)

    def run(self, stopped: threading.Event) -> None:
        """Bring in all of them. What is under way when that is stopped, or fails, is left to itself."""
        for _ in range(min(_STREAMS, self._left)):
            threading.Thread(target=self._stream, daemon=True).start()
        try:
            while self._left and not stopped.is_set():
                with suppress(Empty):
                    self._take(self._ends.get(timeout=_LOOK))
        finally:
            self._over.set()

    def _take(self, error: Exception | None) -> None:
        if error:
            raise error
        self._left -= 1

    def _stream(self) -> None:
        with suppress(Empty):
            while not self._over.is_set():
                self._bring(self._objects.get_nowait())

    def _bring(self, entry: Input) -> None:
        try:
            store = self._backend.buckets if in_bucket(entry.content) else self._backend.objects
            assert store
            store.stage(entry.content, self._folder / entry.dest, executable=entry.executable)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self._ends.put(error)
        else:
            self._ends.put(None)
