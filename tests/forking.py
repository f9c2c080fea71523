"""Commands that need not load Google's libraries: each is forked from a process that has done so, and nothing else.

To load them takes longer than most commands do. All of sparkles is loaded anew by each command, as ever.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_LIBRARIES = ("click", "google.cloud.datastore_v1", "google.cloud.storage", "grpc", "jsonschema", "rich", "yaml")

_NUMBER = struct.Struct("!i")


class Forker:
    """Runs `python -m MODULE WORD…`."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        input: bytes,  # noqa: A002 - the word of subprocess.run
        timeout: float,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, as subprocess.run does."""
        asked = json.dumps({"argv": argv, "cwd": str(cwd), "env": dict(env)}).encode()
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            stdin.write(input)
            stdin.seek(0)
            files = [file.fileno() for file in (stdin, out, err)]
            socket.send_fds(self._socket, [_NUMBER.pack(len(asked))], files)
            self._socket.sendall(asked)
            code = self._wait(argv, timeout)
            return subprocess.CompletedProcess(argv, code, _whole(out), _whole(err))

    def _wait(self, argv: Sequence[str], timeout: float) -> int:
        (pid,) = _NUMBER.unpack(_received(self._socket, _NUMBER.size))
        self._socket.settimeout(timeout)
        try:
            (status,) = _NUMBER.unpack(_received(self._socket, _NUMBER.size))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self._socket.settimeout(None)
            _received(self._socket, _NUMBER.size)
            raise subprocess.TimeoutExpired(argv, timeout) from None
        self._socket.settimeout(None)
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """End the process that forks."""
        self._socket.close()
        self._process.wait()


def _received(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def _whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _serve(connection: socket.socket) -> Sequence[str]:
    """Fork for each command that is asked for. Returns in the new process, with the words of the command."""
    while True:
        size, files, _, _ = socket.recv_fds(connection, _NUMBER.size, 3)
        if not size:
            sys.exit()
        asked = json.loads(_received(connection, *_NUMBER.unpack(size)))
        if not (pid := os.fork()):
            connection.close()
            _become(asked, files)
            return asked["argv"]
        connection.sendall(_NUMBER.pack(pid))
        for file in files:
            os.close(file)
        _, status = os.waitpid(pid, 0)
        connection.sendall(_NUMBER.pack(status))


def _become(asked: Mapping[str, object], files: Sequence[int]) -> None:
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])


if __name__ == "__main__":
    for library in _LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # or each process would copy all of it, only to look for garbage
    _, _, module, *words = _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.argv[1:] = words
    sys.path[:1] = ["", *os.environ["PYTHONPATH"].split(":")]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
