"""Faults that a test arms: the next requests of a method fail, are cut off, or lose their reply. Knows no API."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum

from .errors import ApiError
from .server import Cut

_REASONS = {
    401: ("authError", "Invalid Credentials"),
    403: ("forbidden", "Forbidden"),
    408: ("requestTimeout", "Request timeout"),
    429: ("rateLimitExceeded", "The rate of requests is too high. Please reduce the rate of requests."),
    500: ("internalError", "Internal error encountered."),
    502: ("badGateway", "Bad gateway"),
    503: ("backendError", "Backend Error"),
    504: ("backendError", "Gateway timeout"),
}


class Kind(Enum):
    """What happens to a request."""

    #: It is refused, and has no effect.
    STATUS = "status"
    #: The connection is reset before anything was done.
    RESET = "reset"
    #: It is done, and the connection is reset in place of the reply.
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class _Armed:
    method: str
    part: str | None
    kind: Kind
    status: int


class Faults:
    """The faults that are armed, in order; each strikes once."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()

    def fail(self, method: str, status: int = 503, *, times: int = 1, part: str | None = None) -> None:
        """Refuse the next requests of a method with a status."""
        self._arm(method, Kind.STATUS, times=times, part=part, status=status)

    def reset(self, method: str, *, times: int = 1, part: str | None = None) -> None:
        """Cut off the next requests of a method before they have an effect."""
        self._arm(method, Kind.RESET, times=times, part=part)

    def lose_reply(self, method: str, *, times: int = 1, part: str | None = None) -> None:
        """Do what the next requests of a method ask for, then cut them off instead of replying."""
        self._arm(method, Kind.LOST, times=times, part=part)

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed.clear()

    @property
    def armed(self) -> int:
        """How many have not struck yet."""
        return len(self._armed)

    def before(self, method: str, part: str) -> None:
        """Strike, if a fault that comes before the effect is armed."""
        found = self._take(method, part, (Kind.STATUS, Kind.RESET))
        if found is None:
            return
        if found.kind is Kind.RESET:
            raise Cut
        raise ApiError(found.status, *_REASONS.get(found.status, ("backendError", "Injected fault")))

    def after(self, method: str, part: str) -> None:
        """Strike, if a fault that comes after the effect is armed."""
        if self._take(method, part, (Kind.LOST,)) is not None:
            raise Cut

    def _arm(self, method: str, kind: Kind, *, times: int, part: str | None, status: int = 0) -> None:
        with self._lock:
            self._armed += [_Armed(method=method, part=part, kind=kind, status=status)] * times

    def _take(self, method: str, part: str, kinds: tuple[Kind, ...]) -> _Armed | None:
        if not self._armed:
            return None
        with self._lock:
            for place, armed in enumerate(self._armed):
                if armed.kind in kinds and armed.method == method and armed.part in (None, part):
                    return self._armed.pop(place)
        return None
