"""Process: what the operating system can say about processes and this boot.

Written for Linux; other Unixes are asked what they can tell.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from sparkles.model import Sample

_PROC = Path("/proc")


@cache
def boot_id() -> str:
    """Return a name for the time since the machine started; empty where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def time_awake() -> float:
    """Return the seconds of a clock that stands while the machine sleeps."""
    return time.monotonic()


def time_passed() -> float:
    """Return the seconds of a clock that goes on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def identity(pid: int) -> str | None:
    """Return what tells this process from a later one of the same number; None if there is no such process."""
    if _PROC.joinpath("self/stat").exists():
        try:
            text = _PROC.joinpath(str(pid), "stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        # The name in parentheses may hold anything; the start time is the 20th field after it.
        return f"{boot_id()} {text.rpartition(')')[2].split()[19]}"
    import subprocess  # not needed on Linux

    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def was_in_this_boot(identity: str) -> bool:
    """Say whether an identity was taken since the machine started, as far as that can be known."""
    return not boot_id() or identity.startswith(boot_id())


def session_members(session: int) -> list[int]:
    """Return the processes of a session that are not zombies."""
    if _PROC.joinpath("self/stat").exists():
        return [int(process.name) for process, fields in _processes() if fields[3] == str(session)]
    import subprocess  # not needed on Linux

    shown = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=False)
    processes = [line.split() for line in shown.stdout.splitlines()]
    return [int(process) for process, state in processes if state[0] != "Z" and _session_of(int(process)) == session]


def _session_of(process: int) -> int | None:
    try:
        return os.getsid(process)
    except OSError:  # it ended meanwhile
        return None


def sample_group(group: int) -> Sample | None:
    """Return what the processes of a process group use now; None where that cannot be known."""
    return sample_of([int(process.name) for process, _ in _members(group)])


def sample_of(processes: Sequence[int]) -> Sample | None:
    """Return what processes use now; None where that cannot be known."""
    page = os.sysconf("SC_PAGE_SIZE")
    found = []
    for process in processes:
        with suppress(OSError):  # it ended meanwhile
            found.append([int(number) * page for number in (_PROC / str(process) / "statm").read_text().split()])
    if not found:
        return None
    size, resident, shared, _, _, data, *_ = (sum(column) for column in zip(*found, strict=True))
    return Sample(processes=len(found), total=size, data=data, shared=shared, resident=resident)


def _members(group: int) -> Iterator[tuple[Path, str]]:
    """Yield (folder in /proc, state) of the processes of a group."""
    return ((process, fields[0]) for process, fields in _processes() if fields[2] == str(group))


def _processes() -> Iterator[tuple[Path, list[str]]]:
    """Yield (folder in /proc, [state, parent, group, session, …]) of all processes that are not zombies."""
    for process in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            text = (process / "stat").read_text(encoding="ascii", errors="replace")
            fields = text.rpartition(")")[2].split()
            if fields[0] not in "ZX":
                yield process, fields
