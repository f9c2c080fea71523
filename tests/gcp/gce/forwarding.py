"""Passes connections on to ports of this machine, to one or another by whom they come from."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

_PIECE = 1 << 16


class Forwarder:
    """Listens at an address; `port_for(address of who connects)` says which port of 127.0.0.1 serves it, if any."""

    def __init__(self, address: tuple[str, int], port_for: Callable[[str], int | None]) -> None:
        self._port_for = port_for
        self._listener = socket.create_server(address, backlog=512)
        threading.Thread(target=self._accept, name="forward-accept", daemon=True).start()

    def close(self) -> None:
        """Stop listening. Connections that are stay until one of their ends closes them."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, (address, _) = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client, address), name="forward", daemon=True).start()

    def _join(self, client: socket.socket, address: str) -> None:
        port = self._port_for(address)
        with client:
            if port is None:
                return
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
                back = threading.Thread(target=_pump, args=(server, client), name="forward-back", daemon=True)
                back.start()
                _pump(client, server)
                back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on all that comes, and then that nothing more comes."""
    with suppress(OSError):
        sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
