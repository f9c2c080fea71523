"""Copies: the files of results as they come to this machine, each of the generation that result.json names.

What came is checked by its crc32c, and so is what is there already: it need not come again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from sparkles.backends.gcp.storage.bucket import Bucket
from sparkles.backends.gcp.storage.checksums import crc32c_of
from sparkles.backends.gcp.storage.faults import GoneError
from sparkles.backends.gcp.storage.results import Found
from sparkles.backends.replacing import replacing
from sparkles.errors import BackendError
from sparkles.paths import RESULT_NAME
from sparkles.ports.objects import Fetched, Moved

#: Is told what has come.
Tell = Callable[[Moved], None]


class _Wanted(NamedTuple):
    """A file that is wanted: what result.json says of it, and where it is to be."""

    entry: Mapping[str, Any]
    target: Path


class Copies:
    """Copies from a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def fetch(self, found: Found, place: Callable[[str], Path | None], moved: Tell) -> Fetched | None:
        """Copy the files of a result, see ObjectStore; None if one of them is gone: the result has been replaced."""
        entries = [*found.document["files"], found.document["log"]]
        wanted = [_Wanted(entry, target) for entry in entries if (target := place(entry["name"]))]
        try:
            copied = self._bucket.threads.each(lambda file: self._copy(found, file, moved), wanted)
        except GoneError:
            return None
        fetched = sum(copied, Fetched())
        target = place(RESULT_NAME)
        return fetched + _write(found.text, target, moved) if target else fetched

    def _copy(self, found: Found, file: _Wanted, moved: Tell) -> Fetched:
        entry, target = file
        if _is_same(target, entry):
            moved(Moved(0, 1))
            return Fetched(there=1)
        with replacing(target, held=True) as partial:
            with partial.open("wb") as writer:
                into = cast("BinaryIO", _Telling(writer, moved))
                self._bucket.download(found.object(entry), into, generation=int(entry["generation"]))
            if crc32c_of(partial) != entry["crc32c"]:
                raise BackendError(f"{target}: what came of it is damaged; try again")
            if entry.get("executable"):
                partial.chmod(0o755)
        moved(Moved(0, 1))
        return Fetched(files=1, size=entry["size"])


class _Telling:
    """A file that tells what is written to it."""

    def __init__(self, file: BinaryIO, moved: Tell) -> None:
        self._file = file
        self._moved = moved

    def write(self, content: bytes) -> int:
        self._moved(Moved(len(content), 0))
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _is_same(target: Path, entry: Mapping[str, Any]) -> bool:
    """Say whether a file is there with the content that result.json tells of."""
    try:
        is_file = target.is_file() and not target.is_symlink()
        return is_file and target.stat().st_size == entry["size"] and crc32c_of(target) == entry["crc32c"]
    except OSError:
        return False


def _write(text: bytes, target: Path, moved: Tell) -> Fetched:
    """Write result.json, if it is not there as it is."""
    is_there = target.is_file() and not target.is_symlink() and target.read_bytes() == text
    if not is_there:
        with replacing(target, held=True) as partial:
            partial.write_bytes(text)
    moved(Moved(0 if is_there else len(text), 1))
    return Fetched(there=1) if is_there else Fetched(files=1, size=len(text))
