"""Process: what the operating system can say about processes and this boot. Linux first, other Unixes as far as they go."""

from __future__ import annotations

import os
import subprocess
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


def identity(pid: int) -> str | None:
    """Return what tells this process from a later one of the same number; None if there is no such process."""
    if _PROC.joinpath("self/stat").exists():
        try:
            text = _PROC.joinpath(str(pid), "stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        # The name in parentheses may hold anything; the start time is the 20th field after it.
        return f"{boot_id()} {text.rpartition(')')[2].split()[19]}"
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def group_lives(group: int) -> bool:
    """Say whether a process group has members that are not zombies."""
    try:
        names = [name for name in os.listdir(_PROC) if name.isdecimal()]
    except OSError:
        names = []
    if not names:  # no /proc here
        try:
            os.killpg(group, 0)
        except OSError:
            return False
        return True
    for name in names:
        try:
            fields = _PROC.joinpath(name, "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
        except OSError:
            continue
        state, _, its_group, *_ = fields.split()
        if int(its_group) == group and state not in "ZX":
            return True
    return False


def sample_group(group: int) -> Sample | None:
    """Return what the processes of a process group use now; None where that cannot be known."""
    page = os.sysconf("SC_PAGE_SIZE")
    found: list[list[int]] = []
    try:
        names = [name for name in os.listdir(_PROC) if name.isdecimal()]
    except OSError:
        return None
    for name in names:
        try:
            stat = _PROC.joinpath(name, "stat").read_text(encoding="ascii", errors="replace")
            if int(stat.rpartition(")")[2].split()[2]) == group:
                found.append([int(n) * page for n in _PROC.joinpath(name, "statm").read_text().split()])
        except OSError:
            continue  # it ended meanwhile
    if not found:
        return None
    size, resident, shared, _, _, data, *_ = (sum(column) for column in zip(*found, strict=True))
    return Sample(processes=len(found), total=size, data=data, shared=shared, resident=resident)
