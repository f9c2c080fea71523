"""Commands that need not load anything: each is forked from a process that has loaded sparkles, and done nothing.

To load it, and Google's libraries, takes longer than most commands do. What a person runs is a process of its own: so
are the commands that tests `start`, those of the pages (test_docs) and those of an installed sparkles (test_package).
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

_ROOT = str(Path(__file__).resolve().parents[1])

_LIBRARIES = ("jsonschema", "rich", "yaml")
#: Where jobs are in the cloud. At home they are left out: a large process takes longer to fork.
GOOGLES = ("google.cloud.datastore_v1", "google.cloud.storage", "grpc")

#: What a process looks at when it begins to run Python, and never again.
_EARLY = ("LANG", "LC_ALL", "TZ")

_NUMBER = struct.Struct("!i")


class Forker:
    """Runs `python -m MODULE WORD…`."""

    def __init__(self, *libraries: str) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *libraries],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
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
        if not _is_usual(env):
            return subprocess.run(
                argv, cwd=cwd, env=env, input=input, timeout=timeout, capture_output=True, check=False
            )
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


def _is_usual(env: Mapping[str, str]) -> bool:
    """Whether Python would begin in this environment as it has done here."""
    of_python = {name: value for name, value in env.items() if name.startswith("PYTHON")}
    return of_python == {"PYTHONPATH": _ROOT} and all(env.get(name) == os.environ.get(name) for name in _EARLY)


def _load(libraries: Sequence[str]) -> None:
    for library in (*_LIBRARIES, *libraries):
        importlib.import_module(library)
    sys.path.insert(0, _ROOT)
    from sparkles.cli import COMMANDS

    for module, _ in COMMANDS.values():
        importlib.import_module(f"sparkles.cli.{module}")


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
    _load(sys.argv[2:])
    gc.freeze()  # or each process would copy all of it, only to look for garbage
    _, _, module, *words = _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.argv[1:] = words
    sys.path[:1] = ["", *os.environ["PYTHONPATH"].split(":")]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
