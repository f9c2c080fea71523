"""Tail: the output of one attempt, line by line as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sparkles import results
from sparkles.model import Node, Records, Sample, Task
from sparkles.ports.backend import Backend
from sparkles.ports.objects import LOG_PIECE

#: Bytes that are shown of a line that has not ended.
_GLIMPSE = 4096


class Tail:
    """Reads what an attempt has written since it was read last."""

    def __init__(self, task: Task, backend: Backend, *, start: int = 0) -> None:
        """Read from byte `start` on."""
        self.task = task
        #: The last sample of its memory that was seen.
        self.sample: Sample | None = None
        self._backend = backend
        self._position = start
        self._rest = b""

    def is_over(self) -> bool:
        """Say whether the attempt has ended."""
        return self.is_over_in(self._backend.state.read([self.task.key]))

    def is_over_in(self, records: Records) -> bool:
        """Say the same by records that have been read."""
        current = records.get(self.task.key)
        return not isinstance(current, Task) or current.claim != self.task.claim or current.state.is_final

    def lines(self, *, over: bool) -> Iterator[str]:
        """Yield the new lines; an unfinished one only when the attempt is `over`."""
        # Only whole lines are decoded, so no character is ever cut.
        return (line.decode("utf-8", "replace") for line in self.raw_lines(over=over))

    def raw_lines(self, *, over: bool) -> Iterator[bytes]:
        """Yield the same as it was written."""
        for piece in results.read_whole_log(self.task, self._backend, start=self._position):
            self._position += len(piece)
            *whole, self._rest = (self._rest + piece).split(b"\n")
            yield from whole
            if len(self._rest) > LOG_PIECE:  # no line that a person would read
                yield self._rest
                self._rest = b""
        if over and self._rest:
            yield self._rest
            self._rest = b""

    @property
    def unfinished(self) -> str:
        """The end of what it has written of a line that has not ended."""
        return self._rest[-_GLIMPSE:].decode("utf-8", "replace")

    def new_sample(self, nodes: Sequence[Node]) -> Sample | None:
        """Return the latest sample of the attempt's memory if it is another one than the last."""
        for node in nodes:
            sample = node.samples.get(self.task.claim or "")
            if sample and (self.sample is None or sample.use != self.sample.use):
                self.sample = sample
                return sample
        return None
