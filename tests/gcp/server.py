"""A small HTTP/1.1 server: what comes in is a value, what goes out is a value. Knows no API.

Made for one client's many requests: connections stay open, nothing waits for Nagle, nothing is logged. A body is
read by whoever answers, as it comes; what was left of it is drained before the reply, or the client would read the
reply as that of its next request. A thread serves each connection.
"""

from __future__ import annotations

import io
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import parse_qsl

#: More than this of an unwanted body is not worth reading: the connection is closed.
_DRAINED = 64 << 20

_PIECE = 1 << 20
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {308: "Resume Incomplete"}


class Cut(Exception):  # noqa: N818 - an order, not an error
    """Reset the connection instead of replying."""


class ShortBody(Exception):  # noqa: N818 - the client went, which may be what a test wants
    """The client left before its body was whole."""


class Body(Protocol):
    """The body of a request."""

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request."""

    verb: str
    #: As it came, still encoded.
    path: str
    query: tuple[tuple[str, str], ...] = ()
    #: Names in small letters.
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = field(default_factory=io.BytesIO)

    @classmethod
    def of(cls, verb: str, target: str, headers: Mapping[str, str], body: Body) -> Request:
        """Return the request of a request line, headers and a body."""
        path, _, query = target.partition("?")
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        return cls(verb=verb, path=path, query=pairs, headers=headers, body=body)

    @property
    def host(self) -> str:
        """Whom the client asked: not this server, if something stands between."""
        return self.headers.get("host", "localhost")

    def whole_body(self) -> bytes:
        """Read the body to its end."""
        return b"".join(iter(lambda: self.body.read(_PIECE), b""))


@dataclass(frozen=True, kw_only=True)
class FileSlice:
    """A part of an open file, which is closed when nobody wants it any more: sent, or given up on the way."""

    file: BinaryIO
    start: int
    size: int

    def __del__(self) -> None:
        self.file.close()


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FileSlice = b""


class Server:
    """Serves requests at a free port of this machine, until it is closed."""

    def __init__(self, answer: Callable[[Request], Reply], *, port: int = 0) -> None:
        self._answer = answer
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, name="http-accept", daemon=True).start()

    def close(self) -> None:
        """Stop listening and end all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="http", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb", buffering=1 << 16) as stream:
                while self._serve_one(connection, stream):
                    pass
        except (Cut, ShortBody):
            reset(connection)
        except OSError:
            pass
        finally:
            self._open.discard(connection)
            connection.close()

    def _serve_one(self, connection: socket.socket, stream: BinaryIO) -> bool:
        words = stream.readline().decode("latin-1").split()
        if len(words) != 3:
            return False
        verb, target, version = words
        headers = read_headers(stream)
        if headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = _incoming(stream, headers)
        reply = self._answer(Request.of(verb, target, headers, body))
        stays = drain(body) and version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        _send(connection, reply, stays=stays)
        return stays


def read_headers(stream: BinaryIO) -> dict[str, str]:
    """Read header lines up to the empty one; the names become small letters."""
    headers = {}
    while line := stream.readline().rstrip(b"\r\n"):
        name, _, value = line.partition(b":")
        headers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
    return headers


def drain(body: Body) -> bool:
    """Read what is left of a body; say whether it came to its end."""
    read = 0
    while piece := body.read(_PIECE):
        read += len(piece)
        if read > _DRAINED:
            return False
    return True


def reset(connection: socket.socket) -> None:
    """End a connection so that the other side is told it was reset."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def open_slice(path: Path, start: int, size: int) -> FileSlice:
    """Open a file to send a part of it: what is open is sent whole even if the file is removed meanwhile."""
    return FileSlice(file=path.open("rb"), start=start, size=size)


def _send(connection: socket.socket, reply: Reply, *, stays: bool) -> None:
    size = reply.body.size if isinstance(reply.body, FileSlice) else len(reply.body)
    lines = [f"HTTP/1.1 {reply.status} {_PHRASES.get(reply.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    if reply.status not in (204, 304):
        lines.append(f"Content-Length: {size}")
    lines.append("Connection: keep-alive" if stays else "Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if isinstance(reply.body, bytes):
        connection.sendall(head if reply.status == 304 else head + reply.body)
        return
    connection.sendall(head)
    if size:
        connection.sendfile(reply.body.file, reply.body.start, size)


def _incoming(stream: BinaryIO, headers: Mapping[str, str]) -> Body:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _Chunked(stream)
    return _Counted(stream, int(headers.get("content-length") or 0))


class _Counted:
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        piece = self._stream.read(wanted) if wanted else b""
        if wanted and not piece:
            raise ShortBody
        self._left -= len(piece)
        return piece


class _Chunked:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._left, self._ended = stream, 0, False

    def read(self, size: int) -> bytes:
        if not self._left and not self._ended:
            self._next_chunk()
        piece = self._stream.read(min(size, self._left)) if self._left else b""
        if self._left and not piece:
            raise ShortBody
        self._left -= len(piece)
        if piece and not self._left:
            self._stream.readline()
        return piece

    def _next_chunk(self) -> None:
        line = self._stream.readline()
        if not line:
            raise ShortBody
        self._left = int(line.partition(b";")[0], 16)
        if not self._left:
            self._ended = True
            while self._stream.readline().strip():
                pass
