"""The first process of a VM that is a tree of processes: it runs the startup script, and ends all that the VM runs.

A program of its own, of the standard library alone, so that it starts at once. It adopts whatever loses its parent
(PR_SET_CHILD_SUBREAPER), so nothing that was started in the VM escapes it. It reads orders from its standard input: a
number is the button, with so many seconds of grace; the end of the input, which comes too when the simulator dies, is
the power. SIGTERM is the button pressed from inside: `poweroff`.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER

#: Seconds between looks at processes that are to end.
_LOOK = 0.02

#: Seconds of grace when the button is pressed from inside.
_GRACE = 90.0


def adopt_orphans() -> None:
    """Become the parent of all descendants that lose theirs."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> list[int]:
    """Return the processes below a process."""
    below = _families()
    found, front = [], [pid]
    while front:
        front = [child for parent in front for child in below.get(parent, ())]
        found += front
    return found


def _families() -> dict[int, list[int]]:
    """Return the children of each process; zombies are none."""
    below: dict[int, list[int]] = {}
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", each, "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if words[0] != "Z":
            below.setdefault(int(words[1]), []).append(int(each))
    return below


def kill_descendants() -> None:
    """Kill all processes below this one; return when none is left."""
    while found := descendants(os.getpid()):
        signal_all(found, signal.SIGKILL)
        reap()
        time.sleep(_LOOK / 4)
    reap()


def signal_all(found: list[int], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may be gone."""
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def reap() -> None:
    """Let zombies go."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _shut_down(grace: float) -> None:
    """Tell all to end, once; and what a process started just before it ended, too."""
    deadline = time.monotonic() + grace
    told = set(descendants(os.getpid()))
    signal_all([*told], signal.SIGTERM)
    told |= {_start("shutdown-script")}
    while descendants(os.getpid()) and time.monotonic() < deadline:
        orphans = set(_families().get(os.getpid(), ())) - told
        signal_all([*orphans], signal.SIGTERM)
        told |= orphans
        reap()
        time.sleep(_LOOK)


def _start(script: str) -> int:
    """Start a script, if there is one; return its process, or 0."""
    if not Path(script).exists():
        return 0
    words = ["/bin/bash", "-c", f"exec ./{script}"]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True).pid


def _orders(woken: int) -> float | None:
    """Wait for an order: seconds of grace; None for the power."""
    parent = os.getppid()
    while True:
        ready = select.select([0, woken], [], [], 1.0)[0]
        reap()
        if os.getppid() != parent:
            return None
        if 0 in ready:
            line = os.read(0, 100)
            return float(line.split()[0]) if line else None
        if woken in ready and signal.SIGTERM in os.read(woken, 4096):
            return _GRACE


def main() -> None:
    """Be the VM, in the current folder."""
    adopt_orphans()
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _start("startup-script")
    grace = _orders(read)
    if grace is not None:
        _shut_down(grace)
    kill_descendants()


if __name__ == "__main__":
    main()
    sys.exit(0)
