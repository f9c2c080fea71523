"""Errand: something that takes long and may fail, done in a thread until it is done. The node's heartbeat goes on."""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable

from sparkles.errors import SparklesError
from sparkles.worker.speech import say

#: Seconds between two tries: doubled each time, up to the second number.
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0


class Errand:
    """Begins at once."""

    def __init__(self, what: str, do: Callable[[], None], *, call: Callable[[], None]) -> None:
        """Calls `call` at its end."""
        self._what = what
        self._do = do
        self._call = call
        self._over = threading.Event()
        self._dropped = threading.Event()
        threading.Thread(target=self._run, name=what, daemon=True).start()

    @property
    def is_done(self) -> bool:
        """Whether it has been done."""
        return self._over.is_set()

    def drop(self) -> None:
        """Try no more."""
        self._dropped.set()

    def _run(self) -> None:
        wait = _FIRST_WAIT
        while not self._has_succeeded():
            # Thousands of nodes leave at once.
            if self._dropped.wait(wait * random.uniform(0.5, 1.0)):  # noqa: S311 - it spreads load, no more
                return
            wait = min(2 * wait, _LONGEST_WAIT)
        self._over.set()
        self._call()

    def _has_succeeded(self) -> bool:
        try:
            self._do()
        except (SparklesError, OSError) as error:
            say(f"cannot {self._what}: {error}")
            return False
        except Exception:  # noqa: BLE001 - a node that waited for a thread that has died would stay, and cost, for days
            say(f"cannot {self._what}:\n{traceback.format_exc()}")
            return False
        return True
