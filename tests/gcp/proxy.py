"""A bad network between a client and a server: it refuses, swallows, delays, cuts, and loses exactly one reply.

It stands in front of any TCP server and knows only where a request and its reply begin, in HTTP/1.1 and in HTTP/2
(and so gRPC). What it does can be changed at any time from the test.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from .server import reset
from .turns import Turns

_PIECE = 1 << 16


class Mode(Enum):
    """What becomes of bytes, and of who comes."""

    PASS = "pass"
    REFUSE = "refuse"
    BLACKHOLE = "blackhole"


class Fault(Enum):
    """What one request meets, once."""

    #: The connection is reset before the request reaches the server.
    BEFORE = "before"
    #: The server gets the request and does it; the connection is reset in place of the reply.
    AFTER = "after"


@dataclass(eq=False)
class _Link:
    client: socket.socket
    server: socket.socket
    turns: Turns = field(default_factory=Turns)
    #: The request whose reply is to be lost.
    doomed: int | None = None
    swallowed: bool = False
    #: Directions in which bytes may still come.
    open: int = 2
    ended: bool = False

    def end(self, *, abruptly: bool) -> None:
        """End both sides. Whoever waits for bytes of one is woken, without a word to the other end of it."""
        self.ended = True
        for side in (self.client, self.server):
            if abruptly:
                reset(side)
            with suppress(OSError):
                side.shutdown(socket.SHUT_RD if abruptly else socket.SHUT_RDWR)
            side.close()


class Proxy:
    """Forwards connections to a server, well or badly."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._mode, self._seconds = Mode.PASS, 0.0
        self._armed: dict[int, Fault] = {}
        #: How many requests it has seen.
        self.requests = 0
        self.port = 0
        self._listen()

    @property
    def host(self) -> str:
        """Where it listens: `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it listens, for HTTP."""
        return f"http://{self.host}"

    @property
    def armed(self) -> int:
        """How many faults have not struck yet."""
        return len(self._armed)

    def pass_all(self) -> None:
        """Be a good network again. A connection that lost bytes is reset: its ends would wait for ever."""
        was_refusing, self._mode, self._seconds = self._mode is Mode.REFUSE, Mode.PASS, 0.0
        for link in self._all():
            if link.swallowed:
                self._end(link)
        if was_refusing:
            self._listen()

    def pass_new(self) -> None:
        """Be a good network for whoever connects now. Connections that lost bytes go on swallowing, without a word."""
        self._mode, self._seconds = Mode.PASS, 0.0

    def refuse(self) -> None:
        """Refuse new connections; those that are stay."""
        self._mode = Mode.REFUSE
        self._close_listener()

    def blackhole(self) -> None:
        """Accept and swallow everything, in both directions."""
        self._mode = Mode.BLACKHOLE

    def delay(self, seconds: float) -> None:
        """Forward each piece so much later."""
        self._seconds = seconds

    def reset(self) -> None:
        """Reset all connections that are."""
        for link in self._all():
            self._end(link)

    def cut(self) -> None:
        """Close all connections that are, as if both sides had hung up."""
        for link in self._all():
            self._end(link, abruptly=False)

    def arm(self, fault: Fault, *, skip: int = 0) -> None:
        """Let so many requests through from now on; the one after them meets the fault."""
        with self._lock:
            self._armed[self.requests + skip + 1] = fault

    def close(self) -> None:
        """Stop listening and reset all."""
        self._mode = Mode.REFUSE
        self._close_listener()
        self.reset()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), name="proxy-accept", daemon=True).start()

    def _close_listener(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                reset(client)
                client.close()
                continue
            self._join(_Link(client, server))

    def _join(self, link: _Link) -> None:
        with self._lock:
            self._links.add(link)
        for side in (link.client, link.server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pump in (self._pump_up, self._pump_down):
            threading.Thread(target=self._run, args=(pump, link), name="proxy", daemon=True).start()

    def _run(self, pump: Callable[[_Link], None], link: _Link) -> None:
        try:
            pump(link)
        except OSError:
            self._end(link)
        with self._lock:
            link.open -= 1
        if not link.open:
            self._end(link, abruptly=False)

    def _pump_up(self, link: _Link) -> None:
        while piece := link.client.recv(_PIECE):
            if self._lost(link):
                continue
            if self._strikes_before(link, piece):
                return self._end(link)
            link.server.sendall(piece)
        return _hang_up(link, link.server)

    def _pump_down(self, link: _Link) -> None:
        while piece := link.server.recv(_PIECE):
            if self._lost(link):
                continue
            if link.doomed in link.turns.answered(piece):
                return self._end(link)
            link.client.sendall(piece)
        return _hang_up(link, link.client)

    def _lost(self, link: _Link) -> bool:
        """Wait as long as bytes are delayed; say whether they are swallowed."""
        if self._seconds:
            time.sleep(self._seconds)
        link.swallowed = link.swallowed or self._mode is Mode.BLACKHOLE
        return link.swallowed

    def _strikes_before(self, link: _Link, piece: bytes) -> bool:
        """Count the requests that begin here; say whether one must not reach the server."""
        with self._lock:
            for number in link.turns.asked(piece):
                self.requests += 1
                fault = self._armed.pop(self.requests, None)
                if fault is Fault.BEFORE:
                    return True
                if fault is Fault.AFTER:
                    link.doomed = number
        return False

    def _all(self) -> list[_Link]:
        with self._lock:
            return list(self._links)

    def _end(self, link: _Link, *, abruptly: bool = True) -> None:
        with self._lock:
            self._links.discard(link)
            if not link.ended:
                link.end(abruptly=abruptly)


def _hang_up(link: _Link, side: socket.socket) -> None:
    """Tell one side that the other said all it had to say."""
    if not link.ended:
        side.shutdown(socket.SHUT_WR)
