"""Silence: whoever waits for a service that does not answer is told so, once, while it is tried again.

It is said through `logging`: on stderr, unless something shows it elsewhere.
"""

from __future__ import annotations

import logging
import threading
import time

from google.api_core.exceptions import DeadlineExceeded
from requests.exceptions import Timeout

#: Seconds of errors after which it is worth a word; and without one, after which the next begins another silence.
_PATIENCE, _GAP = 3.0, 60.0

#: Who got one of these has waited for long already.
_SLOW = (DeadlineExceeded, Timeout)

_LOG = logging.getLogger(__name__)


class Silence:
    """What is known of one service. Any thread may note what it got instead of an answer."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._lock = threading.Lock()
        #: time.monotonic() of the first error of this silence, and of the last one.
        self._first = self._last = float("-inf")
        self._is_said = False

    def note(self, error: Exception) -> None:
        """Take note of an error after which a call is made again."""
        if self._is_worth_a_word(error, time.monotonic()):
            _LOG.warning("%s does not answer; trying again …", self._service)

    def _is_worth_a_word(self, error: Exception, now: float) -> bool:
        with self._lock:
            if now - self._last > _GAP:
                self._first, self._is_said = now, False
            self._last = now
            if self._is_said or not (isinstance(error, _SLOW) or now - self._first >= _PATIENCE):
                return False
            self._is_said = True
            return True


#: Those that are asked again and again.
DATASTORE, STORAGE, COMPUTE = Silence("Datastore"), Silence("Cloud Storage"), Silence("Compute Engine")
