"""A socket in front of a docker engine that a test can cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path


class Cuttable:
    """Passes on what comes in at `path`, until it is cut; then there is nobody there, until it is mended."""

    def __init__(self, path: Path, engine: str) -> None:
        self.address = f"unix://{path}"
        self._path = path
        self._engine = engine.removeprefix("unix://")
        self._open: list[socket.socket] = []
        self.mend()

    def mend(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        threading.Thread(target=self._serve, args=[self._listener], daemon=True).start()

    def cut(self) -> None:
        self._path.unlink(missing_ok=True)
        for one in [self._listener, *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._open.clear()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._engine)
                self._open += [client, engine]
                for ends in ((client, engine), (engine, client)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with source, suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
