"""Local runtime: commands as processes of this machine, each the leader of a session of its own.

Before a command is executed, a file with its process group is written. So whoever finds this worker dead knows
exactly what it left running.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

from sparkles.backends.launching import launch_error
from sparkles.backends.local.process import group_lives, identity, sample_group, was_in_this_boot
from sparkles.errors import BackendError
from sparkles.model import Sample
from sparkles.ports import Ending, Launch, Running

#: ru_maxrss counts kilobytes, but bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024

#: Seconds that killed processes may take to be gone.
_DEATH = 10.0

#: Signals that Python or the node ignores, which commands expect at their defaults.
_DEFAULTS = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGINT") if hasattr(signal, name)]


class HostRuntime:
    """Runtime without an image."""

    def __init__(self, running: Path) -> None:
        self._running = running
        # One at a time: a child that waits at its gate must not hold the gate of another one open.
        self._spawning = threading.Lock()

    def start(self, launch: Launch) -> Running:
        """See Runtime."""
        record = self._running / launch.claim
        try:
            log = os.open(launch.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                with self._spawning:
                    pid = _spawn(launch, log, record)
            finally:
                os.close(log)
        except BaseException:
            with suppress(FileNotFoundError):
                record.unlink()
            raise
        return HostProcess(pid, record)


class HostProcess:
    """A command that runs on this machine."""

    def __init__(self, pid: int, record: Path) -> None:
        self._pid = pid
        self._record = record
        self._ended = threading.Lock()
        self._is_over = False

    def wait(self) -> Ending:
        """See Running."""
        # The dead leader is not reaped yet, so its number cannot belong to anyone else.
        os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        with self._ended:
            self._is_over = True
            _signal_group(self._pid, signal.SIGKILL)
            _, status, usage = os.wait4(self._pid, 0)
        with suppress(FileNotFoundError):
            self._record.unlink()
        code = os.waitstatus_to_exitcode(status)
        return Ending(exit=code if code >= 0 else 128 - code, peak_memory=_peak(usage.ru_maxrss))

    def signal(self, number: int) -> None:
        """See Running."""
        with self._ended:
            if not self._is_over:
                _signal_group(self._pid, number)

    def sample(self) -> Sample | None:
        """See Running."""
        return None if self._is_over else sample_group(self._pid)


def _peak(maxrss: int) -> int | None:
    """Return the bytes of a child's peak, or None if it is no more than this worker's own.

    The kernel lets a child inherit the peak of the process that it was forked from, so less cannot be seen.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return maxrss * _RSS_UNIT if maxrss > own else None


def _spawn(launch: Launch, log: int, record: Path) -> int:
    """Start the command; return its process id. It is executed only after `record` was written."""
    with ExitStack() as stack:
        gate, opener = _pipe(stack)
        report, reporter = _pipe(stack)
        null = os.open(os.devnull, os.O_RDONLY)
        stack.callback(os.close, null)
        pid = os.fork()
        if pid == 0:
            os.close(opener)
            _become(launch, gate=gate, null=null, log=log, reporter=reporter)
        try:
            record.write_text(json.dumps({"group": pid, "identity": identity(pid)}), encoding="ascii")
            os.write(opener, b"!")
        except BaseException:
            os.kill(pid, signal.SIGKILL)  # it still waits at the gate
            os.waitpid(pid, 0)
            raise
        os.dup2(null, reporter, inheritable=False)  # only the child may hold the other end of `report`
        failure = os.read(report, 16)
    if failure:
        os.waitpid(pid, 0)
        raise launch_error(int(failure), launch.argv[0], launch.folder)
    return pid


def _pipe(stack: ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        stack.callback(os.close, end)
    return ends


def _become(launch: Launch, *, gate: int, null: int, log: int, reporter: int) -> NoReturn:
    """Turn the forked child into the command."""
    code = errno.EIO
    try:
        os.setsid()
        if os.read(gate, 1):
            for number in _DEFAULTS:
                signal.signal(number, signal.SIG_DFL)
            os.dup2(null, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(launch.folder)
            os.execvpe(launch.argv[0], list(launch.argv), dict(launch.env))  # noqa: S606 - argv, no shell
    except OSError as error:
        code = error.errno or code
    finally:
        os.write(reporter, str(code).encode())
        os._exit(127)


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # gone; macOS says EPERM of a group of zombies
        os.killpg(group, number)


def kill_recorded(records: Sequence[Path]) -> frozenset[str]:
    """Kill what a dead worker left running; return its claims. Processes that only share a number are spared."""
    claims = set()
    for record in records:
        claims.add(record.name)
        try:
            content = json.loads(record.read_text(encoding="ascii"))
        except (ValueError, FileNotFoundError):
            continue  # the worker died while it wrote: the gate was still shut
        now = identity(content["group"])
        # With the leader gone, the number stays reserved for as long as its group has members; till the next boot.
        if now == content["identity"] or (now is None and was_in_this_boot(content["identity"])):
            _kill_group(content["group"])
    return frozenset(claims)


def _kill_group(group: int) -> None:
    _signal_group(group, signal.SIGKILL)
    deadline = time.monotonic() + _DEATH
    while group_lives(group):
        if time.monotonic() > deadline:
            raise BackendError(f"process group {group}, left by a dead worker, cannot be killed")
        time.sleep(0.01)
