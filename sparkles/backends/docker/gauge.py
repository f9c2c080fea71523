"""Gauge: what a container uses, read from the control group that its first process is in.

Where the engine's processes cannot be seen, as with Docker Desktop's virtual machine, nothing is known.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sparkles.backends.process import sample_of
from sparkles.model import Sample

_GROUPS = Path("/sys/fs/cgroup")

#: The highest use so far, in version 1 and 2 of control groups.
_PEAKS = ("memory.max_usage_in_bytes", "memory.peak")


class Gauge:
    """Measures one container."""

    def __init__(self, container: str, pid: int) -> None:
        """`container`: its id; `pid`: its first process, as the engine numbers it, 0 if it has ended.

        This machine may number otherwise, or see other processes. So the process must be in the container's group.
        """
        folder = _memory_group(pid) if pid else None
        self._folder = folder if folder and container in str(folder) else None
        self._end = _end_of(pid) if self._folder else None

    @property
    def end(self) -> int | None:
        """A file descriptor that becomes readable when the first process ends; None if that cannot be had."""
        return self._end

    def has_ended(self) -> bool:
        """Say whether the first process is known to have ended, and so all of the container."""
        if self._end is None:
            return False
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(0))

    def peak(self) -> int | None:
        """Return the most bytes used so far, cached files included, as the kernel counts them."""
        for path in [self._folder / name for name in _PEAKS] if self._folder else []:
            with suppress(OSError, ValueError):
                return int(path.read_text())
        return None

    def sample(self) -> Sample | None:
        """Return what the processes use now."""
        if self._folder is None:
            return None
        with suppress(OSError):
            return sample_of([int(pid) for pid in (self._folder / "cgroup.procs").read_text().split()])
        return None

    def close(self) -> None:
        """Give back what is held open."""
        if self._end is not None:
            os.close(self._end)
            self._end = None


def _memory_group(pid: int) -> Path | None:
    """Return the folder of the control group that limits the memory of a process."""
    return next((folder for folder in _groups(pid) if (folder / "cgroup.procs").exists()), None)


def _groups(pid: int) -> Iterator[Path]:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                yield _GROUPS / "memory" / path.lstrip("/")
            elif not controllers:
                yield _GROUPS / path.lstrip("/")


def _end_of(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or it has ended
        return None
