"""Sending: many files at once, the small ones on all threads and the large ones on a few; and how far they are."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from sparkles.backends.gcp.threads import Threads
from sparkles.ports.objects import Moved

#: A file of more bytes is large: it is sent in pieces, and only so many of them at once. So memory stays below some
#: three times threads x small + large at once x piece.
_SMALL, _LARGE_AT_ONCE = 1 << 20, 4

#: Seconds after which someone who waits for bytes to move is told that none have.
_SILENCE = 0.5

#: Sends a file of a hash, and calls back with the bytes that have moved.
Send = Callable[[Path, str, Callable[[int], None]], None]


class StoppedError(Exception):
    """Nobody waits for this file any more."""


class Sending:
    """Files on their way."""

    def __init__(self, send: Send, threads: Threads) -> None:
        #: The hashes of the files that have arrived.
        self.sent: list[str] = []
        self._send = send
        self._threads = threads
        self._few_threads = Threads(_LARGE_AT_ONCE)
        self._moves: queue.SimpleQueue[Moved | BaseException] = queue.SimpleQueue()
        self._futures: Sequence[Future[object]] = ()
        self._is_stopped = threading.Event()

    def send(self, files: Iterable[tuple[Path, str]]) -> Iterator[Moved]:
        """Send files; yield as bytes move. Raises what the first one raises that cannot be sent."""
        self._futures = [
            self._threads_for(source).start(partial(self._one, source, digest)) for source, digest in files
        ]
        left = len(self._futures)
        while left:
            moved = self._next()
            left -= moved.files
            yield moved

    def stop(self) -> None:
        """Send no more; return when nothing is sent any more."""
        self._is_stopped.set()
        Threads.end(self._futures)

    def _threads_for(self, source: Path) -> Threads:
        try:
            return self._few_threads if source.stat().st_size > _SMALL else self._threads
        except OSError:  # whoever opens it says why
            return self._threads

    def _one(self, source: Path, digest: str) -> None:
        try:
            self._send(source, digest, self._moved)
            self.sent.append(digest)
            self._moves.put(Moved(0, 1))
        except BaseException as error:  # noqa: BLE001 - it is raised where the moves are awaited
            self._moves.put(error)

    def _moved(self, size: int) -> None:
        if self._is_stopped.is_set():
            raise StoppedError
        self._moves.put(Moved(size, 0))

    def _next(self) -> Moved:
        try:
            moved = self._moves.get(timeout=_SILENCE)
        except queue.Empty:
            return Moved(0, 0)
        if isinstance(moved, BaseException):
            raise moved
        return moved
