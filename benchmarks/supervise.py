"""Supervise: run one command and all that it leaves running; say what they took. A program, run by `measure`.

It adopts orphans, so that it also reaps what a command has detached, such as a node: whatever is reaped here has in its
usage all that it has waited for itself. It is small, since the kernel counts peak memory from the size of the parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

#: From linux/prctl.h.
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

#: Where all that is printed goes.
_OUTPUT = "output.txt"


class Failed(Exception):  # noqa: N818 - as subprocess says it
    """A command has failed, or taken too long."""


class Tally:
    """Sums up what the processes took that are reaped here."""

    def __init__(self) -> None:
        self.cpu = 0.0
        self.peak = 0

    def reap(self) -> tuple[int, int, float]:
        """Wait for any child; return its id, its status and its seconds of CPU."""
        pid, status, usage = os.wait4(-1, 0)
        seconds = usage.ru_utime + usage.ru_stime
        self.cpu += seconds
        self.peak = max(self.peak, usage.ru_maxrss * 1024)
        return pid, status, seconds

    def run(self, command: list[str]) -> float:
        """Run a command to its end, which must be a good one; return its own seconds of CPU."""
        started = _start(command)
        while True:
            pid, status, seconds = self.reap()
            if pid == started:
                break
        if code := os.waitstatus_to_exitcode(status):
            raise Failed(f"exit {code}: {_tail()}")
        return seconds


def supervise(*, before: list[list[str]], command: list[str], times: int, ends: bool) -> dict[str, float]:
    """Run the commands `before`, then measure `command`, done so many `times`, with all that it leaves running."""
    for step in before:
        Tally().run(step)
    tally = Tally()
    started = time.monotonic()
    own = sum(tally.run(command) for _ in range(times))
    wall = time.monotonic() - started
    with suppress(ChildProcessError):  # there is none any more
        while True:
            if ends:
                _end_children()
            tally.reap()
    return {"wall": wall, "cpu": tally.cpu, "own": own, "peak": tally.peak}


def _start(command: list[str]) -> int:
    kept = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, _OUTPUT, kept, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawnp(command[0], command, os.environ, file_actions=files)


def _tail() -> str:
    return Path(_OUTPUT).read_text(encoding="utf-8", errors="replace")[-500:].strip()


def _children() -> list[int]:
    me = str(os.getpid())
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has gone meanwhile
            # After the name, which is in brackets and may hold anything: the state and the parent.
            if path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1] == me:
                found.append(int(path.parent.name))
    return found


def _end_children() -> None:
    """Kill the children there are; theirs are then ours, and come next."""
    for pid in _children():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _end_all() -> None:
    with suppress(ChildProcessError):
        while True:
            _end_children()
            os.wait()


def _out_of_time(*_: Any) -> None:
    raise Failed(f"not done in time: {_tail()}")


def _nobody_cares(*_: Any) -> None:
    sys.exit(1)


def main() -> None:
    """Do what the first argument says, in JSON; print what it took, or what went wrong."""
    asked = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.signal(signal.SIGTERM, _nobody_cares)
    signal.alarm(asked.pop("limit"))
    try:
        answer: dict[str, Any] = supervise(**asked)
    except (Failed, OSError) as error:
        answer = {"failed": str(error)}
    finally:
        signal.alarm(0)
        _end_all()
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
