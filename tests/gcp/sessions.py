"""A resumable upload: which bytes are there, and which of a new part are still wanted. Knows no objects."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any

from .content import Incoming
from .errors import ApiError, invalid
from .server import Body, Reply, Request

#: Of a part that is not the last, or that broke off, whole multiples of this are kept.
GRAIN = 256 * 1024

_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True, kw_only=True)
class Span:
    """Where a part lies in the whole. None where the request does not say."""

    first: int | None
    last: int | None
    total: int | None

    @classmethod
    def of(cls, request: Request) -> Span:
        """Read the Content-Range header; without one the body is all there is."""
        text = request.headers.get("content-range")
        if text is None:
            return cls(first=0, last=None, total=None)
        found = _RANGE.fullmatch(text)
        if found is None:
            raise invalid(f"Failed to parse Content-Range header: {text}")
        first, last, total = (None if group in (None, "*") else int(group) for group in found.groups())
        return cls(first=first, last=last, total=total)


class Session:
    """What came in of an upload."""

    def __init__(self, incoming: Incoming, *, total: int | None) -> None:
        #: Requests for one upload come one after the other, or wait for each other.
        self.lock = threading.Lock()
        self.incoming, self._total = incoming, total
        #: How it ended: a resource, or why not. It ends once.
        self.outcome: Any = None

    def take(self, span: Span, body: Body) -> bool:
        """Take what a request brings; say whether all is there now."""
        self._learn(span.total)
        if span.first is not None:
            self._take_part(span, body)
        return self.incoming.size == self._total

    def incomplete(self, *, plain: bool) -> Reply:
        """Return the reply that says how much is there; `plain` without a status that others use otherwise."""
        size = self.incoming.size
        headers = {"Range": f"bytes=0-{size - 1}"} if size else {}
        if plain:
            return Reply(status=200, headers={**headers, "X-HTTP-Status-Code-Override": "308"})
        return Reply(status=308, headers=headers)

    def fail(self, error: ApiError) -> ApiError:
        """End without an object."""
        self.outcome = error
        self.incoming.discard()
        return error

    def _learn(self, total: int | None) -> None:
        if self._total is None:
            self._total = total
        elif total not in (None, self._total):
            raise invalid(f"The upload was said to have {self._total} bytes, now {total}.")

    def _take_part(self, span: Span, body: Body) -> None:
        size, first = self.incoming.size, span.first or 0
        if first > size:
            raise invalid(
                f"Invalid request. According to the Content-Range header, the upload offset is {first} byte(s), "
                f"which exceeds already uploaded size of {size} byte(s)."
            )
        _read(body, size - first)
        while self._wants(span) and (piece := _read(body, GRAIN)):
            self.incoming.write(piece)
        if span.last is None:
            self._learn(self.incoming.size)

    def _wants(self, span: Span) -> bool:
        """Say whether the next grain of a part is wanted: a broken one only if it is the last of all."""
        size = self.incoming.size
        return span.last is None or size + GRAIN <= span.last + 1 or size <= span.last == (self._total or 0) - 1


def _read(body: Body, size: int) -> bytes:
    """Read so many bytes, or all up to the end."""
    pieces, left = [], size
    while left and (piece := body.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
