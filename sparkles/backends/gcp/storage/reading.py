"""Reading: a file that is hashed while it is sent, and whose last piece is withheld until its hash is known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import BinaryIO

from sparkles.errors import BackendError


class Reading:
    """A file for Google's library to read from, piece by piece, and to go back within the last piece.

    Each byte is taken from the file once, so what is hashed is what is sent. Calls `moved` with the bytes that must
    have arrived by now: those before the piece that is asked for.
    """

    def __init__(
        self, file: BinaryIO, *, named: object, digest: str | None = None, moved: Callable[[int], None] = lambda _: None
    ) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._named = named
        self._digest = digest
        self._moved = moved
        self._hash = hashlib.sha256()
        #: The last piece, and where it begins.
        self._piece, self._start = b"", 0
        self._position = 0

    def __len__(self) -> int:
        return self.size

    @property
    def sha256(self) -> str:
        """The sha256 of what has been read."""
        return self._hash.hexdigest()

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go back in the last piece, or forth to where it ends."""
        if whence == os.SEEK_END:
            offset += self.size
        if not self._start <= offset <= self._start + len(self._piece):
            raise BackendError(f"{self._named}: sending it was interrupted; try again")
        self._position = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises BackendError instead of the last of them if the content has another hash."""
        if self._position < self._start + len(self._piece):
            found = self._piece[self._position - self._start :][: size if size >= 0 else None]
        else:
            found = self._next(self.size - self._position if size < 0 else size)
        self._position += len(found)
        return found

    def _next(self, size: int) -> bytes:
        self._moved(len(self._piece))
        self._start, self._piece = self._position, self._file.read(min(size, self.size - self._position))
        self._hash.update(self._piece)
        end = self._start + len(self._piece)
        is_short = len(self._piece) < min(size, self.size - self._start)
        if is_short or (end == self.size and self._digest not in (None, self.sha256)):
            raise BackendError(f"{self._named}: changed while it was read; submit again when it is complete")
        return self._piece

    def done(self) -> None:
        """Take note that all of it has arrived."""
        self._moved(len(self._piece))
        self._piece = b""
