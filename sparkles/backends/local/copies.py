"""Copies: the files of a result as they come to a folder of the user's, each with its time.

By size and time a file is known that is there already: to compare the contents would take as long as to copy them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_IMODE, S_ISREG

from sparkles.backends.local.hashes import PIECE
from sparkles.backends.replacing import replacing
from sparkles.paths import RESULT_NAME
from sparkles.ports.objects import Fetched, Moved


def copy_result(folder: Path, place: Callable[[str], Path | None], moved: Callable[[Moved], None]) -> Fetched | None:
    """Copy the files of a result folder, see ObjectStore; None if one is gone: the result has been replaced."""
    fetched = Fetched()
    for name in sorted(_names(folder), key=lambda name: (name == RESULT_NAME, name)):
        if target := place(name):
            copied = _copy(folder / name, target, moved)
            if copied is None:
                return None
            fetched += copied
    return fetched


def _names(folder: Path) -> Iterator[str]:
    """Yield the names of the files below a folder."""
    for current, _, names in os.walk(folder):
        yield from (str((Path(current) / name).relative_to(folder)) for name in names)


def _copy(source: Path, target: Path, moved: Callable[[Moved], None]) -> Fetched | None:
    try:
        reader = source.open("rb")
    except FileNotFoundError:
        return None
    with reader:
        status = os.fstat(reader.fileno())
        if _is_same(target, status):
            moved(Moved(0, 1))
            return Fetched(there=1)
        with replacing(target, held=True) as partial:
            with partial.open("wb") as writer:
                while piece := reader.read(PIECE):
                    writer.write(piece)
                    moved(Moved(len(piece), 0))
            partial.chmod(S_IMODE(status.st_mode))
            os.utime(partial, ns=(status.st_atime_ns, status.st_mtime_ns))
        moved(Moved(0, 1))
        return Fetched(files=1, size=status.st_size)


def _is_same(path: Path, status: os.stat_result) -> bool:
    """Say whether a path is a regular file of the size and the time that another has."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
