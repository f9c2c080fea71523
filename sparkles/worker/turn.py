"""Turn: a courtesy among the threads of a worker.

What a slot does before and after its command is many short system calls, and so is what the loop does. Threads that do
that at the same time fight for the interpreter at each of them, which costs several times the work itself. So they
take turns. Nobody waits for long: a slot that copies a huge file must not hold up the heartbeat.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

#: Seconds to wait for the turn before going ahead without it.
_COURTESY = 0.05


class Turn:
    """A context manager. Not reentrant; each thread uses one of its own, made by `share`."""

    def __init__(self, lock: threading.Lock | None = None) -> None:
        self._lock = lock or threading.Lock()
        self._mine = False

    def share(self) -> Turn:
        """Return the same turn for another thread."""
        return Turn(self._lock)

    @contextmanager
    def yielded(self) -> Iterator[None]:
        """Let others have the turn while this thread only waits."""
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()

    def __enter__(self) -> None:
        self._mine = self._lock.acquire(timeout=_COURTESY)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._mine:
            self._mine = False
            self._lock.release()
