"""Threads: many requests under way at once, since each of them mostly waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

#: Requests under way at once. An answer takes some 50 ms, and Python two for each request: more would only wait.
AT_ONCE = 32

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Threads:
    """A number of threads, started as they are needed. What runs on one of them must not use `each` itself."""

    def __init__(self, count: int = AT_ONCE) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="bucket")

    def each(self, do: Callable[[_In], _Out], things: Iterable[_In]) -> list[_Out]:
        """Return what `do` makes of each thing. If one fails, nothing of it runs any more when that is raised."""
        futures = [self._pool.submit(do, thing) for thing in things]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            return [future.result() for future in futures]
        finally:
            self.end(futures)

    def start(self, do: Callable[[], object]) -> Future[object]:
        """Begin something without waiting for it; the process waits for it before it ends."""
        return self._pool.submit(do)

    @staticmethod
    def end(futures: Iterable[Future[_Out]]) -> None:
        """Cancel what has not begun, and wait for what has."""
        begun = [future for future in futures if not future.cancel()]
        wait(begun)
