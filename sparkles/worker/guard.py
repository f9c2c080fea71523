"""Guard: ends what a node runs when its lease is over, whatever its loop is waiting for.

The loop asks the clock itself before it does anything. But a store that does not answer may hold it up for longer than
the lease lasts, and others may by then begin to run what is still running here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

#: Seconds between two looks at the clock, at most: what waits does not notice that the machine was asleep.
_PAUSE = 5.0


class Guard:
    """Calls `act`, once, when no time is left."""

    def __init__(self, left: Callable[[], float], act: Callable[[], None]) -> None:
        """`left`: the seconds that are left; it may grow again until there are none."""
        self._left = left
        self._act = act
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)

    def __enter__(self) -> Guard:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, without a deed."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while (left := self._left()) > 0:
            if self._is_over.wait(min(left, _PAUSE)):
                return
        self._act()
