"""Output: what a container writes, from the engine's stream into a log file, as it comes."""

from __future__ import annotations

import os
import re
import select
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sparkles.backends.docker.gauge import Gauge

if TYPE_CHECKING:
    from docker import APIClient

_PIECE = 1 << 16

#: Before each piece of output: its stream, three zeros, its length in four bytes.
_HEADER = 8

#: Seconds, and bytes, for which the beginning of a line is held back.
_HOLD, _LONGEST = 0.1, 1 << 16

#: Seconds after which a full disk is tried again.
_PAUSE = 1.0


class Frames:
    """Takes the engine's stream apart, however it is cut into pieces."""

    def __init__(self) -> None:
        self._header = b""
        #: Bytes still to come of the present frame.
        self._left = 0
        #: What it is a piece of: 1 stdout, 2 stderr.
        self._source = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the pieces of output that these bytes of the stream hold, each with its source.

        >>> frames = Frames()
        >>> [*frames.feed(bytes([1, 0, 0, 0, 0, 0, 0, 3]) + b"ab"), *frames.feed(b"c")]
        [(1, b'ab'), (1, b'c')]
        """
        while data:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                yield self._source, piece
                continue
            wanted = _HEADER - len(self._header)
            self._header, data = self._header + data[:wanted], data[wanted:]
            if len(self._header) == _HEADER:
                self._source, self._left = self._header[0], int.from_bytes(self._header[4:], "big")
                self._header = b""


class Lines:
    """Keeps the lines of stdout whole among those of stderr, and the other way round.

    The engine hands out pieces of a fixed size, which end anywhere. The beginning of a line is held back until more of
    it comes, but not for long. Times are arguments, in seconds.
    """

    def __init__(self) -> None:
        self._begun: dict[int, bytes] = {}
        #: When something was first held back since nothing was.
        self._since = 0.0

    def feed(self, source: int, piece: bytes, *, now: float) -> bytes:
        """Return the lines that have ended."""
        if not self._begun:
            self._since = now
        whole, newline, rest = (self._begun.pop(source, b"") + piece).rpartition(b"\n")
        if len(rest) > _LONGEST:
            return whole + newline + rest
        if rest:
            self._begun[source] = rest
        return whole + newline

    def patience(self, *, now: float) -> float | None:
        """Return for how long what is held back may be held still; None if there is nothing."""
        return max(0.0, self._since + _HOLD - now) if self._begun else None

    def rest(self) -> bytes:
        """Return the beginnings that were held back."""
        rest = b"".join(self._begun.values())
        self._begun.clear()
        return rest


class OutputCopy:
    """Copies the output of one container, from before its start to its end, in a thread of its own."""

    def __init__(self, api: APIClient, container: str, log: Path) -> None:
        log.touch()
        self._log = log
        self._start = log.stat().st_size
        self._stream = api.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1})
        self._given_up = threading.Event()
        self._peak: int | None = None
        self._thread: threading.Thread | None = None

    def begin(self, gauge: Gauge) -> None:
        """Copy what comes, now that the container has started, and take its peak of memory when it ends."""
        self._thread = threading.Thread(target=self._copy, args=[gauge], daemon=True)
        self._thread.start()

    def end(self) -> int | None:
        """Wait until all has been copied; return the peak of memory, in bytes, if that could be known."""
        assert self._thread
        self._thread.join()
        return self._peak

    def _copy(self, gauge: Gauge) -> None:
        frames, lines = Frames(), Lines()
        poll = select.poll()
        poll.register(self._stream.fileno(), select.POLLIN)
        if gauge.end is not None:
            poll.register(gauge.end, select.POLLIN)
        with closing(self), self._log.open("ab", buffering=0) as log:
            while True:
                patience = lines.patience(now=time.monotonic())
                if patience == 0:
                    self._write(log.fileno(), lines.rest())
                    patience = None
                for descriptor, _ in poll.poll(None if patience is None else patience * 1000):
                    if descriptor == gauge.end:  # its control group goes in a moment
                        self._peak = gauge.peak()
                        poll.unregister(descriptor)
                    elif stream := self._read():
                        now = time.monotonic()
                        output = [lines.feed(*piece, now=now) for piece in frames.feed(stream)]
                        self._write(log.fileno(), b"".join(output))
                    else:
                        self._write(log.fileno(), lines.rest())
                        return

    def close(self) -> None:
        """Give back the connection, which cannot be used for anything else."""
        self._stream._response.close()
        self._stream.close()

    def _read(self) -> bytes:
        """Return what has come; nothing at the end, and if the engine is gone."""
        try:
            return os.read(self._stream.fileno(), _PIECE)
        except ConnectionError:
            return b""

    def _write(self, log: int, output: bytes) -> None:
        """Append to the log. A full disk makes the container wait, as it would wait for a slow one."""
        while output:
            written = _written(log, output)
            output = output[written:]
            if not written and self._given_up.wait(_PAUSE):
                return

    def let_go(self) -> None:
        """Give up what cannot be written: the container is being killed."""
        self._given_up.set()

    def take_back(self, pattern: re.Pattern[bytes], longest: int) -> re.Match[bytes] | None:
        """If all that was written matches, remove it from the log and return the match."""
        with self._log.open("r+b") as log:
            log.seek(self._start)
            found = pattern.fullmatch(log.read(longest + 1))
            if found:
                log.truncate(self._start)
        return found


def _written(log: int, output: bytes) -> int:
    """Write what can be written; return how much that was."""
    try:
        return os.write(log, output)
    except OSError:
        return 0
