"""Logs in a bucket, read while they grow: in chunks as they come in, or from the result that holds the whole.

A log changes its place while it is read: its result is written, then its chunks are removed, and now and then one chunk
takes the place of many. Nothing is returned that does not begin where it was asked to, or that leaves a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from sparkles.backends.gcp.storage.bucket import Bucket
from sparkles.backends.gcp.storage.faults import GoneError
from sparkles.backends.gcp.storage.results import Results
from sparkles.backends.gcp.storage.spool import CHUNK, Attempt
from sparkles.paths import LOG_NAME, Layout


class _Chunk(NamedTuple):
    """A piece of a log."""

    name: str
    start: int
    end: int


class _Whole(NamedTuple):
    """The object that holds all of a log."""

    name: str
    generation: int
    size: int


class Logs:
    """The logs of a bucket."""

    def __init__(self, bucket: Bucket, layout: Layout, results: Results) -> None:
        self._bucket = bucket
        self._layout = layout
        self._results = results

    def read(self, attempt: Attempt, *, start: int, limit: int, whole: bool) -> bytes:
        """Return up to `limit` bytes of a log from byte `start` on; a negative one counts from the end."""
        # Chunks may end earlier than the result does. They are removed when it is there: so it is looked for last.
        places = [self._of_chunks, self._of_result]
        if whole or start < 0:
            places = [self._of_result, *places]
        for place in places:
            if found := place(attempt, start, limit):
                return found
        return b""

    def size(self, attempt: Attempt) -> int:
        """Return how many bytes of a log have come in."""
        places = (self._end_of_result, self._end, self._end_of_result)  # in this order: see above
        return next((end for place in places if (end := place(attempt))), 0)

    def _end_of_result(self, attempt: Attempt) -> int:
        whole = self._whole(attempt)
        return whole.size if whole else 0

    def _whole(self, attempt: Attempt) -> _Whole | None:
        """Return which object holds all of a log, if its result is there."""
        mark = self._results.mark(attempt.job, attempt.index)
        if mark is None or attempt.claim not in (mark.metadata.get("claim"), str(mark.generation)):
            return None
        generation, size = map(int, mark.metadata["log"].split("/"))
        return _Whole(f"{self._layout.result(attempt.job, attempt.index)}/{LOG_NAME}", generation, size)

    def _of_result(self, attempt: Attempt, start: int, limit: int) -> bytes:
        whole = self._whole(attempt)
        if whole is None:
            return b""
        start = start if start >= 0 else max(0, whole.size + start)
        if start >= whole.size:
            return b""
        with suppress(GoneError):  # another attempt brings in its own
            return self._bucket.read_piece(whole.name, generation=whole.generation, start=start, limit=limit)
        return b""

    def _end(self, attempt: Attempt) -> int:
        """Return where the last chunk ends."""
        return max((chunk.end for chunk in self._chunks(attempt, 0)), default=0)

    def _of_chunks(self, attempt: Attempt, start: int, limit: int) -> bytes:
        if start < 0:
            start = max(0, self._end(attempt) + start)
        found = b""
        with suppress(GoneError):  # it has just been replaced by others; what has been read is right
            for chunk in self._chunks(attempt, max(0, start - CHUNK)):
                position = start + len(found)
                if chunk.start > position or len(found) == limit:
                    break
                if chunk.end > position:
                    size = min(chunk.end - position, limit - len(found))
                    found += self._bucket.read_piece(chunk.name, start=position - chunk.start, limit=size)
        return found

    def _chunks(self, attempt: Attempt, start: int) -> Iterator[_Chunk]:
        """Yield the chunks that begin at byte `start` or later, by where they begin."""
        folder = f"{self._layout.log_chunks(*attempt)}/"
        for stored in self._bucket.below(folder, start=str(self._layout.log_chunk(*attempt, start))):
            first = int(stored.name[len(folder) :].partition(".")[0])
            yield _Chunk(stored.name, first, first + stored.size)
