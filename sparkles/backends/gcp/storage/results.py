"""Results in a bucket, read by generation: what result.json says of a file holds for good, or the file is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from sparkles.backends.gcp.storage.bucket import Bucket, Stored
from sparkles.backends.gcp.storage.faults import ChangedError
from sparkles.errors import BackendError
from sparkles.paths import LOG_NAME, RESULT_NAME, Layout

#: Folders up to which each is listed by itself; of more, the folder of them all is.
_FEW = 100


@dataclass(frozen=True)
class Found:
    """A result as it is in the bucket."""

    folder: str
    generation: int
    #: The content of result.json, as it is and as it is read.
    text: bytes
    document: dict[str, Any]

    def object(self, entry: Mapping[str, Any]) -> str:
        """Return the name of the object that holds a file."""
        return f"{self.folder}/{entry.get('object', entry['name'])}"

    def entry(self, name: str) -> Mapping[str, Any] | None:
        """Return what result.json says of a file."""
        return self.document["log"] if name == LOG_NAME else self._entries.get(name)

    @cached_property
    def _entries(self) -> Mapping[str, Mapping[str, Any]]:
        return {entry["name"]: entry for entry in self.document["files"]}


class Results:
    """The result folders of a bucket."""

    def __init__(self, bucket: Bucket, layout: Layout) -> None:
        self._bucket = bucket
        self._layout = layout

    def indices(self, job: str) -> Sequence[int]:
        """Return the numbers of the folders of a job."""
        return sorted(int(name) for name in self._bucket.folders(f"{self._layout.results(job)}/") if name.isdecimal())

    def jobs(self, prefix: str) -> Sequence[str]:
        """Return the names of the jobs that have folders and are called something that begins so."""
        return [f"{prefix}{rest}" for rest in self._bucket.folders(str(self._layout.results(prefix)))]

    def find(self, job: str, index: int) -> Found | None:
        """Return the result that is there now."""
        folder = str(self._layout.result(job, index))
        read = self._bucket.read(f"{folder}/{RESULT_NAME}")
        if read is None:
            return None
        text, generation = read
        document = json.loads(text)
        if not {"claim", "files", "log"} <= document.keys():
            raise BackendError(f"gs://{self._bucket.name}/{folder}/{RESULT_NAME} was not written by sparkles")
        return Found(folder, generation, text, document)

    def mark(self, job: str, index: int) -> Stored | None:
        """Return what is known of a result.json without reading it: the claim and the log are in its metadata."""
        return self._bucket.look(f"{self._layout.result(job, index)}/{RESULT_NAME}")

    def discard(self, job: str, index: int, claim: str) -> None:
        """Remove a result of this claim, and its files with it."""
        mark, found = self.mark(job, index), self.find(job, index)
        if mark and found and mark.metadata.get("claim") == claim and found.generation == mark.generation:
            with suppress(ChangedError):
                self._bucket.delete(mark.name, mark.generation)
            files = [*found.document["files"], found.document["log"]]
            self._bucket.threads.each(lambda entry: self._drop(found, entry), files)

    def _drop(self, found: Found, entry: Mapping[str, Any]) -> None:
        with suppress(ChangedError):  # another attempt's
            self._bucket.delete(found.object(entry), int(entry["generation"]))

    def remove(self, job: str, indices: Sequence[int] | None) -> None:
        """Remove the folders of these tasks, or of all."""
        if indices is None:
            self._bucket.remove(lambda: self._bucket.below(f"{self._layout.results(job)}/"))
        elif len(indices) <= _FEW:
            self._bucket.remove(lambda: self._below(job, indices))
        else:
            self._bucket.remove(lambda: self._among(job, set(indices)))

    def _below(self, job: str, indices: Sequence[int]) -> Iterator[Stored]:
        folders = [f"{self._layout.result(job, index)}/" for index in indices]
        return chain.from_iterable(self._bucket.threads.each(lambda folder: list(self._bucket.below(folder)), folders))

    def _among(self, job: str, indices: set[int]) -> Iterator[Stored]:
        folder = f"{self._layout.results(job)}/"
        for stored in self._bucket.below(folder):
            index = stored.name[len(folder) :].partition("/")[0]
            if index.isdecimal() and int(index) in indices:
                yield stored
