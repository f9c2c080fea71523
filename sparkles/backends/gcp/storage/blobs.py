"""Blobs: content by its sha256 in a bucket, written once. What is known to be there is neither sent nor asked for."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from sparkles.backends.gcp.storage.bucket import Bucket, Stored
from sparkles.backends.gcp.storage.faults import ChangedError, GoneError
from sparkles.backends.gcp.storage.reading import Reading
from sparkles.backends.gcp.storage.sending import Sending
from sparkles.errors import BackendError
from sparkles.paths import Layout
from sparkles.ports.objects import Moved

#: Up to so many blobs are asked for one by one; of more, names are listed.
_FEW = 100

#: Seconds after which it is noted that a blob is still used, when somebody finds it there and counts on it. What is
#: not used for long is garbage (see `sparkles.garbage`), unless a manifest names it.
_TOUCHED = 2 * 86_400.0


class Known(Protocol):
    """Remembers which blobs a store holds."""

    def among(self, store: str, digests: Sequence[str]) -> set[str]:
        """Return those of `digests` that `store` held not long ago."""
        ...

    def add(self, store: str, digests: Sequence[str]) -> None:
        """Remember that `store` holds `digests`."""
        ...


class Blobs:
    """The content-addressed store of a bucket."""

    def __init__(self, bucket: Bucket, layout: Layout, known: Known, *, touch: bool = False) -> None:
        """Use a bucket; `touch` old blobs that are asked for, so that they stay until they are used."""
        self._touch = touch
        self._bucket = bucket
        self._layout = layout
        self._known = known
        self._store = f"{bucket.address}/{layout.blobs}"

    def missing(self, digests: Sequence[str]) -> set[str]:
        """Return those of `digests` that are not there."""
        unknown = sorted(set(digests) - self._known.among(self._store, digests))
        found = self._staying(self._ask(unknown) if len(unknown) <= _FEW else self._look_through(unknown))
        self._known.add(self._store, sorted(found))
        return set(unknown) - found

    def _staying(self, found: Sequence[Stored]) -> set[str]:
        """Return the digests of blobs that were found and that will stay for a while."""
        old = [stored for stored in found if self._is_old(stored)]
        gone = {stored.name for stored in self._bucket.threads.each(self._lost, old) if stored}
        return {stored.name.rpartition("/")[2] for stored in found if stored.name not in gone}

    def _is_old(self, stored: Stored) -> bool:
        return self._touch and time.time() - stored.used > _TOUCHED

    def _use(self, digest: str) -> None:
        """Count on a blob that is there, although nobody has asked for it before."""
        stored = self._bucket.look(self._name(digest))
        if stored is None or (self._is_old(stored) and self._lost(stored)):
            raise BackendError(f"the content with sha256 {digest} has just been removed, by 'gc' perhaps; try again")

    def _lost(self, stored: Stored) -> Stored | None:
        """Note that a blob is still used. Return it if it is gone."""
        try:
            self._bucket.touch(stored)
        except (ChangedError, GoneError):
            return stored
        return None

    def _ask(self, digests: Sequence[str]) -> list[Stored]:
        found = self._bucket.threads.each(lambda digest: self._bucket.look(self._name(digest)), digests)
        return [stored for stored in found if stored]

    def _look_through(self, digests: Sequence[str]) -> list[Stored]:
        """List what is there: of a small store all at once, of a large one only where something is wanted."""
        found, rest = self._look_at_some(digests)
        shards = [list(some) for _, some in groupby(rest, key=lambda digest: digest[:2])]
        return [*found, *chain.from_iterable(self._bucket.threads.each(self._look_through_shard, shards))]

    def _look_through_shard(self, digests: Sequence[str]) -> list[Stored]:
        found: list[Stored] = []
        while digests:
            some, digests = self._look_at_some(digests)
            found += some
        return found

    def _look_at_some(self, digests: Sequence[str]) -> tuple[list[Stored], Sequence[str]]:
        """List from the first of the sorted `digests` on; return those that are there, and those that come later."""
        first, last = self._name(digests[0]), self._name(digests[-1])
        some, is_all = self._bucket.some(f"{self._layout.blobs}/", start=first, end=f"{last}.")
        wanted = {self._name(digest) for digest in digests}
        rest = [] if is_all or not some else [digest for digest in digests if self._name(digest) > some[-1].name]
        return [stored for stored in some if stored.name in wanted], rest

    def put(self, files: Sequence[tuple[Path, str]]) -> Iterator[Moved]:
        """Store files; yield as they go."""
        known = self._known.among(self._store, [digest for _, digest in files])
        wanted = [(source, digest) for source, digest in files if digest not in known]
        yield Moved(0, len(files) - len(wanted))
        sending = Sending(self._send, self._bucket.threads)
        try:
            yield from sending.send(wanted)
        finally:
            sending.stop()
            self._known.add(self._store, sending.sent)

    def _send(self, source: Path, digest: str, moved: Callable[[int], None]) -> None:
        with source.open("rb") as file:
            reading = Reading(file, named=source, digest=digest, moved=moved)
            try:
                self._bucket.write(self._name(digest), cast("BinaryIO", reading), size=reading.size)
            except ChangedError:  # it is there
                self._use(digest)
            reading.done()

    def read(self, digest: str) -> bytes:
        """Return the content of a small blob."""
        found = self._bucket.read(self._name(digest))
        if found is None:
            raise self._absent(digest)
        return found[0]

    def download(self, digest: str, into: BinaryIO) -> None:
        """Write a blob to a file. Raises BackendError if it is not there, or not what it was."""
        hashing = _Hashing(into)
        try:
            self._bucket.download(self._name(digest), cast("BinaryIO", hashing))
        except GoneError:
            raise self._absent(digest) from None
        if hashing.sha256 != digest:
            raise BackendError(f"what came of the content with sha256 {digest} is damaged; try again")

    def keep(self, name: str, generation: int, digest: str) -> None:
        """Make an object, whose content has this sha256, a blob."""
        try:
            self._bucket.copy(name, self._name(digest), generation=generation)
        except ChangedError:  # it is there
            self._use(digest)
        self._known.add(self._store, [digest])

    def _name(self, digest: str) -> str:
        return str(self._layout.blob(digest))

    def _absent(self, digest: str) -> BackendError:
        return BackendError(f"the content with sha256 {digest} is not in gs://{self._bucket.name}/{self._layout.blobs}")


class _Hashing:
    """A file to write to, which knows the sha256 of what was written. All that a download does is to write."""

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
