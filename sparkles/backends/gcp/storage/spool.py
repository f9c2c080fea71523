"""Spool: logs on a node's disk, and the thread that brings what they have grown by to the bucket, as chunks.

A chunk is named by the place of its first byte, and written once: no object may be written every two seconds. What
cannot be brought in now is brought in later, and nobody waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import NamedTuple

from sparkles.backends.gcp.storage.bucket import Bucket, Stored
from sparkles.backends.gcp.storage.faults import ChangedError
from sparkles.backends.gcp.threads import Threads
from sparkles.paths import Layout

#: Bytes of a chunk, at most; and chunks of one log that are brought in before it is the next one's turn.
CHUNK, _CHUNKS_A_TURN = 1 << 20, 16

#: Chunks within the same megabyte after which one takes the place of them all.
_SMALL_CHUNKS = 32

#: Logs that are brought in at the same time.
_AT_ONCE = 4


class Attempt(NamedTuple):
    """Whose log it is."""

    job: str
    index: int  # type: ignore[assignment] # the word of the docs; nobody needs tuple.index of an attempt
    claim: str


class Log:
    """The log of an attempt: a file that grows, and how much of it is in the bucket."""

    def __init__(self, path: Path, bucket: Bucket, layout: Layout, attempt: Attempt) -> None:
        self.path = path
        #: Set once nothing more will come: when all is in the bucket the log can be forgotten.
        self.is_complete = False
        #: What brings it in now.
        self.shipping: Future[object] | None = None
        self._bucket = bucket
        self._layout = layout
        self._attempt = attempt
        #: The bytes that are in the bucket; the chunks that hold the last of them, and where these begin.
        self._shipped = 0
        self._run: list[Stored] = []
        self._run_start = 0
        self._is_removed = False
        self._lock = threading.Lock()

    @property
    def has_grown(self) -> bool:
        """Say whether there is something to bring in."""
        return self._size > self._shipped

    @property
    def _size(self) -> int:
        try:
            return 0 if self._is_removed else self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def ship(self) -> None:
        """Bring in the next chunks."""
        with self._lock:
            end = min(self._size, self._shipped + _CHUNKS_A_TURN * CHUNK)  # what comes meanwhile comes next time
            while self._shipped < end:
                self._ship_next(end)

    def ship_all(self) -> None:
        """Bring in all that there is."""
        with self._lock:
            while self._shipped < (end := self._size):
                self._ship_next(end)

    def _ship_next(self, end: int) -> None:
        content = self._content(self._shipped, min(end, self._shipped + CHUNK))
        is_full = self._shipped + len(content) > self._run_start + CHUNK
        if is_full or len(self._run) == _SMALL_CHUNKS:
            self._merge()
        if is_full:
            self._run, self._run_start = [], self._shipped
        stored = self._written(self._layout.log_chunk(*self._attempt, self._shipped), content)
        self._run.append(stored)
        self._shipped += stored.size

    def _merge(self) -> None:
        """Put one chunk in the place of many small ones: readers would have to fetch them one by one."""
        if len(self._run) > 1:
            name = self._layout.log_chunk(*self._attempt, self._run_start, self._shipped)
            merged = self._written(name, self._content(self._run_start, self._shipped))
            for stored in self._run:
                self._bucket.delete(stored.name, stored.generation)
            self._run = [merged]

    def _content(self, start: int, end: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def _written(self, path: Path, content: bytes) -> Stored:
        """Write a chunk. If an earlier try did so after all, it holds what there was then: less, perhaps."""
        try:
            return self._bucket.write(str(path), content)
        except ChangedError:
            if stored := self._bucket.look(str(path)):
                return stored
            raise

    def remove(self) -> None:
        """Remove the file, and from the bucket what was brought in."""
        with self._lock:
            self._is_removed = True
            self.path.unlink(missing_ok=True)
            if self._run:
                folder = f"{self._layout.log_chunks(*self._attempt)}/"
                self._bucket.remove(lambda: self._bucket.below(folder))


class Spool:
    """The logs of the attempts that run on a node."""

    def __init__(self, bucket: Bucket, layout: Layout, folder: Path, *, period: float) -> None:
        self._bucket = bucket
        self._layout = layout
        self._folder = folder
        self._period = period
        self._logs: dict[Attempt, Log] = {}
        self._threads = Threads(_AT_ONCE)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def open(self, attempt: Attempt) -> Path:
        """Return the file that an attempt writes to. It is brought in from now on."""
        path = self._folder / f"{attempt.job}.{attempt.index}.{attempt.claim}"
        with self._lock:
            self._logs.setdefault(attempt, Log(path, self._bucket, self._layout, attempt))
            if self._thread is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
                self._thread.start()
        path.touch()
        return path

    def remove(self, attempt: Attempt) -> None:
        """Forget a log that is whole elsewhere, and remove its chunks; nobody waits for that."""
        with self._lock:
            log = self._logs.pop(attempt, None)
        if log:
            self._threads.start(log.remove)

    def complete(self, attempt: Attempt, *, then: Callable[[], None]) -> bool:
        """Bring in the rest of a log that will be nowhere else, do what comes then, and forget it.

        Nobody waits for that. If bringing it in fails, it goes on later. Returns False if the log is not here.
        """
        log = self._logs.get(attempt)
        if log is None:
            return False

        def complete() -> None:
            log.ship_all()
            then()

        log.shipping = self._threads.start(complete)
        log.is_complete = True
        return True

    def wait(self, patience: float) -> None:
        """Wait for logs that are complete to be brought in, for so many seconds at most."""
        with self._lock:
            logs = list(self._logs.values())
        wait([log.shipping for log in logs if log.is_complete and log.shipping], timeout=patience)

    def _forget(self, attempt: Attempt) -> None:
        with self._lock:
            log = self._logs.pop(attempt, None)
        if log:
            log.path.unlink(missing_ok=True)

    def _run(self) -> None:
        """Bring in what has grown, again and again, as long as there are logs."""
        while True:
            time.sleep(self._period)
            with self._lock:
                if not self._logs:
                    self._thread = None
                    return
                logs = dict(self._logs)
            for attempt, log in logs.items():
                if log.has_grown:
                    if log.shipping is None or log.shipping.done():
                        log.shipping = self._threads.start(log.ship)
                elif log.is_complete:
                    self._forget(attempt)
