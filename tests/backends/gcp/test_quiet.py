"""Google's libraries print nothing of their own, and tasks are given nothing that makes them so."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

_AGES = """
from datetime import date, timedelta
import sparkles.backends.gcp
from google.api_core import check_python_version
for days in range(0, 6000, 5):
    check_python_version("google", date(2024, 1, 1) + timedelta(days))
"""

_HANDSHAKE = """
import os, sys
before = dict(os.environ)
import sparkles.backends.gcp
assert os.environ == before
import grpc
try:
    grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials()).unary_unary("/a/b")(b"", timeout=20)
except grpc.RpcError as error:
    print(error.code().name)
"""


def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-W", "error::FutureWarning", "-c", script, *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture
def no_tls() -> Iterator[str]:
    """The address of what answers, but not as it should."""

    def answer() -> None:
        with suppress(OSError):
            while True:
                with server.accept()[0] as connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=answer, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_that_python_is_old_is_not_said() -> None:
    done = run(_AGES)

    assert (done.stderr, done.returncode) == ("", 0)


def test_a_connection_that_fails_is_an_error_and_no_line(no_tls) -> None:
    done = run(_HANDSHAKE, no_tls)

    assert (done.stdout, done.stderr) == ("UNAVAILABLE\n", "")


def test_who_wants_to_read_what_grpc_says_can(no_tls, monkeypatch) -> None:
    monkeypatch.setenv("GRPC_VERBOSITY", "DEBUG")

    done = run(_HANDSHAKE, no_tls)

    assert "andshake failed" in done.stderr
