"""Filesystem: what the local backend must know of the disk below SPARKLES_HOME."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from sparkles.errors import RequestError

#: File systems on which SQLite's WAL mode, which needs shared memory and honest locks, does not work.
_NETWORK = frozenset(
    [
        "9p",
        "afs",
        "afpfs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    ]
)


def require_local_disk(folder: Path) -> None:
    """Raise RequestError if `folder` lies on a network file system."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return  # not Linux: there is no portable way to ask
    kind = filesystem_of(folder.resolve(), mounts.splitlines())
    if kind in _NETWORK:
        raise RequestError(
            f"{folder} is on a network file system ({kind}), where the local state cannot be kept; "
            "set SPARKLES_HOME to a folder on a local disk"
        )


def filesystem_of(path: Path, mounts: Iterable[str]) -> str:
    """Return the type of the file system that holds `path`, given the lines of /proc/self/mounts."""
    best, kind = Path(), ""
    for line in mounts:
        _, mount_point, found, *_ = line.split()
        point = Path(mount_point.replace("\\040", " "))
        # The last line for a mount point is the one on top.
        if (path == point or point in path.parents) and len(point.parts) >= len(best.parts):
            best, kind = point, found
    return kind


def make_once(target: Path, make: Callable[[Path], None]) -> None:
    """Make a file that several processes may want at once: one of them does, and none sees half of it."""
    if target.exists():
        return
    folder = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not target.exists():
            partial = target.with_name(f".{os.urandom(8).hex()}")
            make(partial)
            partial.rename(target)
    finally:
        os.close(folder)


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may look into."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unusable(folder, error.strerror) from None


def require_folder(folder: Path) -> None:
    """Raise RequestError if `folder` is not a folder to write to, and cannot become one. Makes nothing."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise _unusable(folder, f"{there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise _unusable(folder, f"you may not write to {there}")


def _unusable(folder: Path, why: str | None) -> RequestError:
    return RequestError(f"{folder}: cannot be used: {why}; set SPARKLES_HOME to a folder that you may write to")
