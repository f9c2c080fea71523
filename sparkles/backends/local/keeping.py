"""What this machine keeps that may outlive its use: blobs, what was to be removed, and the folders of nodes."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from sparkles.paths import Home, Layout
from sparkles.ports.keeping import Kept


class DirectoryKeeper:
    """Keeper of the folder that stands for a bucket."""

    def __init__(self, home: Home) -> None:
        self._layout = Layout(home.objects)

    def kept(self) -> Iterator[Kept]:
        """See Keeper."""
        for kind, folder in (("blob", self._layout.blobs), ("trash", self._layout.trash)):
            for path in _inside(folder):
                yield Kept(kind=kind, name=path.name, age=_age(path), size=_size(path), place=path)

    def drop(self, things: Sequence[Kept]) -> None:
        """See Keeper."""
        for thing in things:
            self._drop(thing.place, thing.age)

    def _drop(self, path: Path, age: float) -> None:
        """Take something away, and then see whether it was touched before that: nobody can do so any more."""
        doomed = self._layout.trash / os.urandom(8).hex()
        doomed.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.rename(doomed)
        except FileNotFoundError:
            return
        if _age(doomed) < age:
            doomed.rename(path)
        else:
            _remove(doomed)


class HomeKeeper:
    """Keeper of what nodes on this machine have left, whichever backend they work for."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def kept(self) -> Iterator[Kept]:
        """See Keeper. A node that lives holds its lock; what a dead one may have left running is for a sweep."""
        names = {path.name for folder in self._folders() for path in _inside(folder)}
        for name in sorted(names):
            if not self._is_in_use(name):
                paths = self._of(name)
                age = min(map(_age, paths), default=0.0)
                yield Kept(kind="node folder", name=name, age=age, size=sum(map(_size, paths)))

    def drop(self, things: Sequence[Kept]) -> None:
        """See Keeper."""
        for thing in things:
            if not self._is_in_use(thing.name):
                for path in self._of(thing.name):
                    _remove(path)

    def _folders(self) -> Sequence[Path]:
        return [
            self._home.nodes,
            self._home.work("x").parent,
            self._home.spool("x").parent,
            self._home.cache("x").parent,
        ]

    def _of(self, name: str) -> list[Path]:
        return [folder / name for folder in self._folders() if (folder / name).exists()]

    def _is_in_use(self, name: str) -> bool:
        folder = self._home.node(name)
        return _is_locked(folder / "lock") or any(
            path for kind in ("running", "containers") for path in _inside(folder / kind)
        )


def _is_locked(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _inside(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from sorted(folder.iterdir())


def _age(path: Path) -> float:
    """Return the seconds since something was last written to, or touched; 0 if it is gone."""
    try:
        return time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(path: Path) -> int:
    total = 0
    for each in [path, *path.rglob("*")]:
        with suppress(FileNotFoundError):
            total += each.lstat().st_size if not each.is_dir() else 0
    return total


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
