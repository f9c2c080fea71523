"""Outputs: single files of results, which other jobs take: read, hashed and kept by generation."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from sparkles.backends.gcp.storage.blobs import Blobs
from sparkles.backends.gcp.storage.bucket import Bucket
from sparkles.backends.gcp.storage.faults import GoneError
from sparkles.backends.gcp.storage.results import Found, Results
from sparkles.errors import BackendError
from sparkles.paths import RESULT_NAME

#: Results that are remembered: most is asked of a result right after it has been read.
_REMEMBERED = 256

_What = TypeVar("_What")


class _File(NamedTuple):
    """The object that holds a file, and what it holds."""

    name: str
    generation: int
    sha256: str


class Outputs:
    """The files of results."""

    def __init__(self, bucket: Bucket, results: Results, blobs: Blobs) -> None:
        self._bucket = bucket
        self._results = results
        self._blobs = blobs
        self._remembered: OrderedDict[tuple[str, int], Found] = OrderedDict()

    def remember(self, job: str, index: int, found: Found) -> None:
        """Take note of a result that has just been read."""
        self._remembered.pop((job, index), None)
        self._remembered[job, index] = found
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    def read(self, job: str, index: int, name: str) -> bytes:
        """Return the content of a small file."""
        return self._of(job, index, name, lambda file: self._bucket.read_at(file.name, generation=file.generation))

    def sha256(self, job: str, index: int, name: str) -> str:
        """Return the sha256 of a file."""
        return self._of(job, index, name, lambda file: file.sha256)

    def keep(self, job: str, index: int, name: str, digest: str) -> None:
        """Make a file a blob, if it has this sha256."""

        def keep(file: _File) -> None:
            if file.sha256 != digest:
                raise GoneError
            self._blobs.keep(file.name, file.generation, digest)

        self._of(job, index, name, keep)

    def _of(self, job: str, index: int, name: str, use: Callable[[_File], _What]) -> _What:
        """Use a file; of the result that there is now, if what is remembered of it does not hold any more."""
        remembered = self._remembered.get((job, index))  # it stays: others may use other files of it meanwhile
        for found in (remembered, None):
            found = found or self._results.find(job, index)
            file = _file(found, name) if found else None
            if found is None or file is None:
                continue
            try:
                used = use(file)
            except GoneError:
                continue
            self.remember(job, index, found)
            return used
        raise BackendError(f"the result of {job}.{index} has no file {name!r} any more")


def _file(found: Found, name: str) -> _File | None:
    if name == RESULT_NAME:
        return _File(f"{found.folder}/{name}", found.generation, hashlib.sha256(found.text).hexdigest())
    entry = found.entry(name)
    return _File(found.object(entry), int(entry["generation"]), entry["sha256"]) if entry else None
