"""Output: what a container writes, from the engine's stream into a log file, as it comes."""

from __future__ import annotations

import os
import re
import select
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sparkles.backends.docker.gauge import Gauge

if TYPE_CHECKING:
    from docker import APIClient

_PIECE = 1 << 16

#: Before each piece of output: its stream, three zeros, its length in four bytes.
_HEADER = 8

#: Seconds after which a full disk is tried again.
_PAUSE = 1.0


class Frames:
    """Takes the engine's stream apart, however it is cut into pieces."""

    def __init__(self) -> None:
        self._header = b""
        #: Bytes still to come of the present frame.
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """Return the output that these bytes of the stream hold.

        >>> frames = Frames()
        >>> frames.feed(bytes([1, 0, 0, 0, 0, 0, 0, 3]) + b"ab"), frames.feed(b"c")
        (b'ab', b'c')
        """
        output = bytearray()
        while data:
            if self._left:
                output += data[: self._left]
                data, self._left = data[self._left :], max(0, self._left - len(data))
                continue
            wanted = _HEADER - len(self._header)
            self._header, data = self._header + data[:wanted], data[wanted:]
            if len(self._header) == _HEADER:
                self._left = int.from_bytes(self._header[4:], "big")
                self._header = b""
        return bytes(output)


class OutputCopy:
    """Copies the output of one container, from before its start to its end, in a thread of its own."""

    def __init__(self, api: APIClient, container: str, log: Path) -> None:
        self._stream = api.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1})
        self._log = log
        log.touch()
        self._start = log.stat().st_size
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
        frames = Frames()
        poll = select.poll()
        poll.register(self._stream.fileno(), select.POLLIN)
        if gauge.end is not None:
            poll.register(gauge.end, select.POLLIN)
        with closing(self), self._log.open("ab", buffering=0) as log:
            while True:
                for descriptor, _ in poll.poll():
                    if descriptor == gauge.end:  # its control group goes in a moment
                        self._peak = gauge.peak()
                        poll.unregister(descriptor)
                    elif data := self._read():
                        self._write(log.fileno(), frames.feed(data))
                    else:
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
