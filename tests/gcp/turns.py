"""Where requests and replies begin in the bytes of a connection: in HTTP/1.1 by turns, in HTTP/2 by frames."""

from __future__ import annotations

from collections.abc import Iterator

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER = 9
_HEADERS = 1


class Turns:
    """Who speaks on one connection. Each request has a number, which its reply has, too."""

    def __init__(self) -> None:
        self._frames: tuple[_Frames, _Frames] | None = None
        self._number, self._asking = 0, False

    def asked(self, piece: bytes) -> list[int]:
        """Return the numbers of the requests that begin in what a client sends."""
        if not self._number and self._frames is None and piece.startswith(_PREFACE[:3]):
            self._frames = _Frames(), _Frames()
        if self._frames is not None:
            return list(self._frames[0].streams(piece))
        if self._asking:
            return []
        self._number, self._asking = self._number + 1, True
        return [self._number]

    def answered(self, piece: bytes) -> list[int]:
        """Return the numbers of the requests whose replies begin in what a server sends."""
        if not self._number and self._frames is None:
            self._frames = _Frames(), _Frames()  # only a server of HTTP/2 speaks first
        if self._frames is not None:
            return list(self._frames[1].streams(piece))
        begins, self._asking = self._asking, False
        return [self._number] if begins else []


class _Frames:
    """The frames of one direction, piece by piece."""

    def __init__(self) -> None:
        self._held, self._skip, self._started = b"", 0, False

    def streams(self, piece: bytes) -> Iterator[int]:
        """Yield the streams of which HEADERS begin in a piece."""
        if not self._started:
            self._started, self._skip = True, len(_PREFACE) if piece.startswith(_PREFACE[:3]) else 0
        self._held += piece
        while True:
            skipped = min(self._skip, len(self._held))
            self._held, self._skip = self._held[skipped:], self._skip - skipped
            if len(self._held) < _FRAME_HEADER:
                return
            header, self._held = self._held[:_FRAME_HEADER], self._held[_FRAME_HEADER:]
            self._skip = int.from_bytes(header[:3], "big")
            if header[3] == _HEADERS:
                yield int.from_bytes(header[5:], "big")
