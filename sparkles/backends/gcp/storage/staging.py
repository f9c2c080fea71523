"""Staging: what a node has downloaded, kept for its next tasks as far as there is room for it.

What is kept is known by its content, which never changes: a blob by its sha256, an object of a bucket by
`gs://bucket/object#generation`.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeAlias

from sparkles.backends.replacing import replacing
from sparkles.spec import in_bucket

#: Writes a content to a file, or raises.
Download: TypeAlias = Callable[[str, BinaryIO], None]

#: Bytes that a node keeps for its next tasks, if it is not told.
_ROOM = 10 << 30


class Staging:
    """Copies of contents in a folder that is this process's alone: what an earlier one left there is removed.

    Without a folder nothing is kept.
    """

    def __init__(self, folder: Path | None, *, room: int = _ROOM) -> None:
        self._folder = folder
        self._room = room
        #: Content → bytes, the one used last at the end.
        self._kept: OrderedDict[str, int] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        #: Held by whoever brings in a content, so that others wait for it instead of doing the same.
        self._bringing: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)

    def stage(self, content: str, destination: Path, *, executable: bool, download: Download) -> None:
        """Make a copy of a content at `destination` that may be changed; `download` it if it is not kept."""
        with replacing(destination) as partial:
            if not self._copy(content, partial):
                self._copy_or_bring(content, partial, download)
            partial.chmod(0o755 if executable else 0o644)

    def _copy_or_bring(self, content: str, target: Path, download: Download) -> None:
        with self._lock:
            lock = self._bringing[content]
        with lock:
            if not self._copy(content, target):
                self._bring(content, target, download)
        with self._lock:
            self._bringing.pop(content, None)

    def _copy(self, content: str, target: Path) -> bool:
        """Copy a content that is kept; say whether it is."""
        with self._lock:
            if self._folder is None or content not in self._kept:
                return False
            self._kept.move_to_end(content)
            source = _file(self._folder, content).open("rb")  # once open, it can be read even if it has to go
        with source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        return True

    def _bring(self, content: str, target: Path, download: Download) -> None:
        """Download a content to where it is wanted, and keep a copy if it is not too large."""
        with target.open("wb") as file:
            download(content, file)
        size = target.stat().st_size
        if self._folder is not None and size <= self._room:
            with suppress(OSError):  # a full disk: it does without
                with replacing(_file(self._folder, content)) as partial:
                    shutil.copyfile(target, partial)
                self._keep(self._folder, content, size)

    def _keep(self, folder: Path, content: str, size: int) -> None:
        with self._lock:
            self._kept[content] = size
            self._size += size
            while self._size > self._room:
                oldest, size = self._kept.popitem(last=False)
                self._size -= size
                _file(folder, oldest).unlink(missing_ok=True)


def _file(folder: Path, content: str) -> Path:
    """Return the file that a content is kept in. A URL may be longer than the names of files, and hold anything."""
    return folder / (hashlib.sha256(content.encode()).hexdigest() if in_bucket(content) else content)
