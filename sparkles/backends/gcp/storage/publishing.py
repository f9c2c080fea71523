"""Publishing: bring a result into its folder in a bucket, where others may be at work in the same folder.

1. list the folder;  2. ask whether the lease holds;  3. delete result.json;  4. write each file where nothing, or what
was listed, is;  5. delete what else was listed;  6. write result.json, with the generation of each file.

A zombie, whose lease is over without its knowing, can write only over what it has listed while the lease held. All
that another attempt brings in has a later generation: so nothing of an earlier attempt's is taken over as it is, even
if it has the same content. What this very attempt has written is, so that a try after a lost answer comes to an end.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from sparkles.backends.gcp.storage.bucket import Bucket, Stored
from sparkles.backends.gcp.storage.checksums import checksums
from sparkles.backends.gcp.storage.faults import ChangedError
from sparkles.backends.gcp.storage.naming import object_names
from sparkles.backends.gcp.storage.reading import Reading
from sparkles.backends.result_text import result_text
from sparkles.errors import BackendError
from sparkles.paths import LOG_NAME, RESULT_NAME, Layout
from sparkles.ports.objects import Result

#: Times that a folder is listed anew because others write to it.
_TRIES = 10


class _Brought(NamedTuple):
    """A file as it is in the bucket."""

    stored: Stored
    sha256: str


class Publisher:
    """Brings in results."""

    def __init__(self, bucket: Bucket, layout: Layout) -> None:
        self._bucket = bucket
        self._layout = layout

    def publish(self, result: Result, *, holds: Callable[[], bool]) -> str:
        """Bring in a result; return the generation of its result.json."""
        folder = str(self._layout.result(result.job, result.index))

        def require_lease() -> None:
            if not holds():
                raise BackendError(f"{result.job}.{result.index}: its result may not be stored: the lease has ended")

        for _ in range(_TRIES):
            listed = {stored.name: stored for stored in self._bucket.below(f"{folder}/")}
            require_lease()  # after the list has come: what came into the folder since the lease ended is not in it
            with suppress(ChangedError):
                return _Attempt(self._bucket, result, folder, listed, require_lease).publish()
        raise BackendError(f"gs://{self._bucket.name}/{folder}: cannot be written, since others write to it, too")


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One try to bring in a result over what was listed."""

    bucket: Bucket
    result: Result
    folder: str
    listed: Mapping[str, Stored]
    require_lease: Callable[[], None]

    def publish(self) -> str:
        """Return the generation of result.json. Raises ChangedError if the folder is not as it was listed."""
        mark = f"{self.folder}/{RESULT_NAME}"
        if mark in self.listed:
            self.bucket.delete(mark, self.listed[mark].generation)
        names = object_names(self.folder, (output.name for output in self.result.outputs))
        log = f"{self.folder}/{LOG_NAME}"
        files = [(self.result.log, log), *((output.path, names[output.name]) for output in self.result.outputs)]
        brought = self.bucket.threads.each(lambda file: self._bring(*file), files)
        strays = self.listed.keys() - {mark, log, *names.values()}
        self.bucket.threads.each(self._delete, sorted(strays))
        return self._finish(mark, *brought)

    def _bring(self, path: Path, name: str) -> _Brought:
        self.require_lease()
        there = self.listed.get(name)
        if there and there.metadata.get("claim") == self.result.claim and there.size == path.stat().st_size:
            crc32c, sha256 = checksums(path)
            if crc32c == there.crc32c:
                return _Brought(there, sha256)
        with path.open("rb") as file:
            reading = Reading(file, named=path)
            stored = self.bucket.write(
                name,
                cast("BinaryIO", reading),
                size=reading.size,
                match=there.generation if there else 0,
                metadata={"claim": self.result.claim},
                content_type=_content_type(name),
            )
        return _Brought(stored, reading.sha256)

    def _delete(self, name: str) -> None:
        self.require_lease()
        self.bucket.delete(name, self.listed[name].generation)

    def _finish(self, mark: str, log: _Brought, *outputs: _Brought) -> str:
        """Write result.json, which makes it a result."""
        said = {entry["name"]: entry for entry in self.result.document.get("files", ())}
        names = [output.name for output in self.result.outputs]
        files = [
            {**said.get(name, {}), **self._entry(name, brought)} for name, brought in zip(names, outputs, strict=True)
        ]
        document = {**self.result.document, "files": files, "log": self._entry(LOG_NAME, log)}
        self.require_lease()
        stored = self.bucket.write(
            mark,
            result_text(document),
            metadata={"claim": self.result.claim, "log": f"{log.stored.generation}/{log.stored.size}"},
            content_type=_content_type(mark),
        )
        return str(stored.generation)

    def _entry(self, name: str, brought: _Brought) -> dict[str, Any]:
        """Return what result.json says of a file."""
        stored, sha256 = brought
        entry = {
            "name": name,
            "size": stored.size,
            "generation": str(stored.generation),
            "crc32c": stored.crc32c,
            "sha256": sha256,
        }
        is_its_own = stored.name == f"{self.folder}/{name}"
        return entry if is_its_own else {**entry, "object": stored.name.removeprefix(f"{self.folder}/")}


def _content_type(name: str) -> str:
    """Return what browsers are told of a file."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
