"""Local runtime: commands as processes of this machine, each the leader of a process group of its own.

They are started by posix_spawn: a fork of this process, with all its threads and pages, costs more than a small command
does. But nothing can be written about a process that is spawned before it runs. So what is written, before each start,
is the session that the command will belong to: the worker's own. A worker leads a session; all that it starts is born
in it. Whoever finds the worker dead kills the whole session, and knows by their records which commands had begun: there
is no moment at which a command runs that would not be found. (As with any group or session, a process that
leaves it on purpose is on its own.)
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from sparkles.backends.launching import launch_error
from sparkles.backends.process import identity, sample_group, session_members, was_in_this_boot
from sparkles.errors import BackendError, LaunchError
from sparkles.model import Sample
from sparkles.ports.runtime import Ending, Launch, Running

#: ru_maxrss counts kilobytes, but bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024

#: Seconds that killed processes may take to be gone.
_DEATH = 10.0

#: Signals that Python or the node ignores, which commands expect at their defaults.
_DEFAULTS = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGINT") if hasattr(signal, name)]


def lead_session() -> None:
    """Make this process the leader of a session, unless it is. Who finds it dead will kill all of that session."""
    if os.getsid(0) != os.getpid():
        os.setsid()


class HostRuntime:
    """Runtime without an image."""

    def __init__(self, running: Path) -> None:
        """Keep a record of each command that runs in the folder `running`."""
        self._running = running
        # One thread at a time: a process has one current folder, which is the one that its commands start in.
        self._spawning = threading.Lock()

    def start(self, launch: Launch) -> Running:
        """See Runtime."""
        record = self._running / launch.claim
        with self._spawning:
            os.link(self._session, record)
        try:
            log = os.open(launch.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                pid = self._spawn(launch, log)
            finally:
                os.close(log)
        except BaseException:
            record.unlink()
            raise
        return HostProcess(pid, record)

    def _spawn(self, launch: Launch, log: int) -> int:
        """Start the command; return its process id."""
        try:
            program = _find(launch)
            with self._inside(launch.folder):
                return os.posix_spawn(
                    program,
                    list(launch.argv),
                    launch.env,
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, self._null, 0),
                        (os.POSIX_SPAWN_DUP2, log, 1),
                        (os.POSIX_SPAWN_DUP2, log, 2),
                    ],
                    setpgroup=0,
                    setsigdef=_DEFAULTS,
                )
        except OSError as error:
            raise launch_error(error.errno or errno.EIO, launch.argv[0], launch.folder) from None
        except ValueError as error:  # no program can be given such words or such an environment
            raise LaunchError(f"{launch.argv[0]}: {error}", exit=126) from None

    @contextmanager
    def _inside(self, folder: Path) -> Iterator[None]:
        """Make `folder` the current one. Nothing else in a worker depends on which that is."""
        with self._spawning:
            here = self._here
            os.chdir(folder)
            try:
                yield
            finally:
                os.fchdir(here)

    @cached_property
    def _session(self) -> Path:
        """The record of every command that is started here: each has a link to it, since making files costs more.

        If this process leads no session, there will be none to kill.
        """
        record = self._running.with_name("session")
        record.write_text(json.dumps({"session": os.getpid(), "identity": identity(os.getpid())}), encoding="ascii")
        return record

    @cached_property
    def _here(self) -> int:
        return os.open(".", os.O_RDONLY)

    @cached_property
    def _null(self) -> int:
        return os.open(os.devnull, os.O_RDONLY)


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


def _find(launch: Launch) -> str:
    """Return the path of the program, looked for as execvpe does.

    Looking comes first because it can take long, where programs are far away, and spawning would hold up all threads.
    """
    program = launch.argv[0]
    path = launch.env.get("PATH", os.defpath)
    code = errno.ENOENT
    for folder in [""] if "/" in program else path.split(os.pathsep):
        found = os.path.join(folder, program)  # noqa: PTH118 - a Path would not keep it as it is written
        place = os.path.join(launch.folder, found)  # noqa: PTH118
        if os.access(place, os.X_OK) and not os.path.isdir(place):  # noqa: PTH112
            return found
        if os.path.exists(place):  # noqa: PTH110
            code = errno.EACCES
    raise OSError(code, os.strerror(code))


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # gone; macOS says EPERM of a group of zombies
        os.killpg(group, number)


def kill_recorded(records: Sequence[Path]) -> frozenset[str]:
    """Kill what a dead worker left running; return its claims. Processes that only share a number are spared."""
    sessions = {content for record in records if (content := _read(record))}
    for session, its_identity in sessions:
        now = identity(session)
        # With the leader gone, the number stays reserved for as long as its session has members; till the next boot.
        if now == its_identity or (now is None and was_in_this_boot(its_identity)):
            _kill_session(session)
    return frozenset(record.name for record in records)


def _read(record: Path) -> tuple[int, str] | None:
    try:
        content = json.loads(record.read_bytes())
    except (ValueError, FileNotFoundError):
        return None
    # An older version started each command as the leader of a session of its own.
    return content.get("session", content.get("group")), content["identity"]


def _kill_session(session: int) -> None:
    deadline = time.monotonic() + _DEATH
    while members := session_members(session):  # some may be born while the others are killed
        if time.monotonic() > deadline:
            raise BackendError(f"processes {members}, left by a dead worker, cannot be killed")
        for process in members:
            with suppress(ProcessLookupError, PermissionError):  # it is another user's; the deadline will say so
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)
