"""Processes that do not outlive the one that started them, however that ends."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence

#: Becomes the program that follows, and is killed when its parent ends.
_DIES_WITH_PARENT = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
if hasattr(ctypes.CDLL(None), "prctl"):
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def dying_with_parent(words: Sequence[str]) -> list[str]:
    """Return the words of a command that runs this one until the process that starts it ends."""
    return [sys.executable, "-c", _DIES_WITH_PARENT, str(os.getpid()), *words]


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody had just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
