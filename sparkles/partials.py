"""Partials: files on their way into a folder of the user's, until they have the name that they are to have.

Whoever writes one holds it by a lock, which goes with the process, however that ends. So what nobody holds was left by
one that was cut off, and whoever comes next removes it. Where a disk knows no locks, nobody removes any.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sparkles.paths import PARTIAL

_NAME = re.compile(rf"{re.escape(PARTIAL)}[0-9a-f]{{16}}")


def name() -> str:
    """Return a new name for a partial file."""
    return f"{PARTIAL}{os.urandom(8).hex()}"


@contextmanager
def held(partial: Path) -> Iterator[None]:
    """Make a partial file, which nobody removes meanwhile."""
    descriptor = _made(partial)
    try:
        yield
    finally:
        os.close(descriptor)


def _made(partial: Path) -> int:
    """Make a file and lock it; again if someone has found it before it was locked, and removed it."""
    while True:
        descriptor = os.open(partial, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if partial.exists():
            return descriptor
        os.close(descriptor)


def remove_left(folder: Path) -> None:
    """Remove the partial files of a folder that nobody writes any more."""
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if _NAME.fullmatch(entry.name)]:
            _remove_if_left(folder / name)


def _remove_if_left(partial: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(partial, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink()
        finally:
            os.close(descriptor)
