"""Staging: blobs that a node has downloaded, kept for its next tasks as far as there is room for them."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from sparkles.backends.replacing import replacing
from sparkles.errors import BackendError


class Staging:
    """Copies of blobs in a folder that is this process's alone: what an earlier one left there is removed.

    Without a folder nothing is kept.
    """

    def __init__(self, download: Callable[[str, BinaryIO], None], folder: Path | None, *, room: int) -> None:
        self._download = download
        self._folder = folder
        self._room = room
        #: Digest → bytes, the one used last at the end.
        self._kept: OrderedDict[str, int] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        #: Held by whoever brings in a blob, so that others wait for it instead of doing the same.
        self._bringing: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)

    def stage(self, digest: str, destination: Path, *, executable: bool) -> None:
        """Make a copy of a blob at `destination` that may be changed."""
        with replacing(destination) as partial:
            if not self._copy(digest, partial):
                self._copy_or_bring(digest, partial)
            partial.chmod(0o755 if executable else 0o644)

    def _copy_or_bring(self, digest: str, target: Path) -> None:
        with self._lock:
            lock = self._bringing[digest]
        with lock:
            if not self._copy(digest, target):
                self._bring(digest, target)
        with self._lock:
            self._bringing.pop(digest, None)

    def _copy(self, digest: str, target: Path) -> bool:
        """Copy a blob that is kept; say whether it is."""
        with self._lock:
            if self._folder is None or digest not in self._kept:
                return False
            self._kept.move_to_end(digest)
            source = (self._folder / digest).open("rb")  # once open, it can be read even if it has to go
        with source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        return True

    def _bring(self, digest: str, target: Path) -> None:
        """Download a blob to where it is wanted, and keep a copy if it is not too large."""
        with target.open("wb") as file:
            hashing = _Hashing(file)
            self._download(digest, hashing)  # type: ignore[arg-type] # all that a download does is to write
        if hashing.sha256 != digest:
            raise BackendError(f"what came of the content with sha256 {digest} is damaged; try again")
        size = target.stat().st_size
        if self._folder is not None and size <= self._room:
            with suppress(OSError):  # a full disk: it does without
                with replacing(self._folder / digest) as partial:
                    shutil.copyfile(target, partial)
                self._keep(self._folder, digest, size)

    def _keep(self, folder: Path, digest: str, size: int) -> None:
        with self._lock:
            self._kept[digest] = size
            self._size += size
            while self._size > self._room:
                oldest, size = self._kept.popitem(last=False)
                self._size -= size
                (folder / oldest).unlink(missing_ok=True)


class _Hashing:
    """A file to write to, which knows the sha256 of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def seek(self, offset: int) -> int:
        """Begin anew: the library does where it has to unpack what came."""
        self._hash = hashlib.sha256()
        return self._file.seek(offset)
