"""A bucket, ours or anybody's: what may be done with its objects, each in one guarded request.

Nobody else calls Google's library. Every change names the generation that it expects, so that the library may send it
again if no answer came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timezone
from io import BytesIO
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from google.api_core.exceptions import RequestRangeNotSatisfiable
from google.api_core.retry import Retry
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY

from sparkles.backends.gcp import silence
from sparkles.backends.gcp.storage.faults import OURS, ChangedError, GoneError, reaching
from sparkles.backends.gcp.threads import Threads
from sparkles.errors import BackendError

#: Seconds to wait for a connection, and for an answer. Seconds after which a request is not sent again.
_TIME_LIMITS, PATIENCE = (10.0, 30.0), 60.0

#: Bytes that are sent at once of what is large; a multiple of 256 KiB.
PIECE = 16 << 20

#: Deletions in one request: as many as Cloud Storage takes.
_BATCH = 100

#: Times that a folder is looked through for what is left of it.
_ROUNDS = 5

_FIELDS = "items(name,generation,metageneration,size,crc32c,metadata,timeCreated,customTime),nextPageToken"


class Stored(NamedTuple):
    """An object as it is in the bucket."""

    name: str
    generation: int
    size: int
    #: As Google writes it: base64 of four bytes.
    crc32c: str
    metadata: Mapping[str, str]
    #: Wall clock, seconds, by Google's: when it was made, or last touched.
    used: float
    #: Counts what was said of it.
    metageneration: int


class Bucket:
    """The objects of a bucket. Safe to share among threads.

    Raises ChangedError and GoneError where an object is not what was expected, and BackendError for all else.
    """

    def __init__(self, client: Client, name: str, *, patience: float = PATIENCE, role: str = OURS) -> None:
        """Use a bucket. Requests are sent again for up to `patience` seconds; who lacks a right needs the `role`."""
        self.name = name
        #: Names the bucket among all of all services.
        self.address = f"{client.api_endpoint}/{name}"
        self.threads = Threads()
        self._client = client
        self._role = role
        self._bucket = client.bucket(name)
        self._care: dict[str, Any] = {"timeout": _TIME_LIMITS, "retry": _retry(patience)}

    def _reaching(self, name: str = "") -> AbstractContextManager[None]:
        return reaching(self.name, name, role=self._role)

    def write(
        self,
        name: str,
        content: bytes | BinaryIO,
        *,
        size: int | None = None,
        match: int = 0,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/octet-stream",
    ) -> Stored:
        """Write an object whose generation is `match`, or 0 if there is none. A stream must say its `size`.

        The object is whole, with the right checksum, or it is not there.
        """
        stream = BytesIO(content) if isinstance(content, bytes) else content
        blob = self._bucket.blob(name, chunk_size=PIECE)
        blob.metadata = dict(metadata or {})
        with self._reaching(name):
            blob.upload_from_file(
                stream, size=len(content) if isinstance(content, bytes) else size, content_type=content_type,
                if_generation_match=match, checksum="crc32c", **self._care,
            )  # fmt: skip
        return _stored(blob)

    def look(self, name: str, *, generation: int | None = None) -> Stored | None:
        """Return what there is of a name, or of a generation of it."""
        blob = self._bucket.blob(name, generation=generation)
        with suppress(GoneError), self._reaching(name):
            blob.reload(**self._care)
            return _stored(blob)
        return None

    def read(self, name: str) -> tuple[bytes, int] | None:
        """Return the content of a small object and its generation."""
        blob = self._bucket.blob(name)
        with suppress(GoneError), self._reaching(name):
            content: bytes = blob.download_as_bytes(checksum="crc32c", **self._care)
            return content, int(blob.generation)
        return None

    def read_at(self, name: str, *, generation: int) -> bytes:
        """Return the content of a small object of this generation."""
        blob = self._bucket.blob(name, generation=generation)
        with self._reaching(name):
            content: bytes = blob.download_as_bytes(checksum="crc32c", **self._care)
        return content

    def read_piece(self, name: str, *, generation: int | None = None, start: int, limit: int) -> bytes:
        """Return up to `limit` bytes from byte `start` on."""
        blob = self._bucket.blob(name, generation=generation)
        with self._reaching(name):
            try:
                found: bytes = blob.download_as_bytes(start=start, end=start + limit - 1, checksum=None, **self._care)
            except RequestRangeNotSatisfiable:  # nothing there
                return b""
        return found

    def download(self, name: str, into: BinaryIO, *, generation: int | None = None) -> None:
        """Append the content of an object to a file. Whoever must be certain of it checks it once more."""
        blob = self._bucket.blob(name, generation=generation)
        with self._reaching(name):
            blob.download_to_file(into, checksum="crc32c", **self._care)

    def copy(self, name: str, target: str, *, generation: int) -> None:
        """Copy an object to a name that there is nothing of, within the bucket."""
        source, copied = self._bucket.blob(name, generation=generation), self._bucket.blob(target)
        token = None
        with self._reaching(name):
            while True:
                token, _, _ = copied.rewrite(source, token=token, if_generation_match=0, **self._care)
                if token is None:
                    return

    def touch(self, stored: Stored) -> None:
        """Note that an object is used now. Raises GoneError or ChangedError if it is not that one any more."""
        blob = self._bucket.blob(stored.name)
        blob.custom_time = datetime.now(timezone.utc)
        with self._reaching(stored.name):
            blob.patch(if_generation_match=stored.generation, **self._care)

    def delete(self, name: str, generation: int) -> None:
        """Delete an object of this generation, if it is still there."""
        with suppress(GoneError), self._reaching(name):
            self._bucket.blob(name).delete(if_generation_match=generation, **self._care)

    def delete_unused(self, stored: Stored) -> None:
        """Delete an object, if it is still there and nobody has touched it since it was looked at."""
        with suppress(GoneError, ChangedError), self._reaching(stored.name):
            self._bucket.blob(stored.name).delete(
                if_generation_match=stored.generation, if_metageneration_match=stored.metageneration, **self._care
            )

    def below(self, prefix: str, *, start: str = "", end: str = "") -> Iterator[Stored]:
        """Yield the objects below a prefix by name: those from `start` on, and before `end`."""
        return chain.from_iterable(self.pages(prefix, start=start, end=end))

    def pages(self, prefix: str = "", *, start: str = "", end: str = "") -> Iterator[list[Stored]]:
        """Yield the same, as many objects at once as a request brings."""
        with self._reaching():
            found = self._listing(prefix, start_offset=start or None, end_offset=end or None, fields=_FIELDS)
            for page in found.pages:
                yield [_stored(blob) for blob in page]

    def some(self, prefix: str, *, start: str, end: str = "", most: int | None = None) -> tuple[list[Stored], bool]:
        """Return the next objects below a prefix, as many as come at once or at `most`, and whether that is all."""
        with self._reaching():
            found = self._listing(prefix, start_offset=start, end_offset=end or None, page_size=most, fields=_FIELDS)
            some = next(([_stored(blob) for blob in page] for page in found.pages if page.num_items), [])
            return some, found.next_page_token is None

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders right below a prefix."""
        with self._reaching():
            for page in self._listing(prefix, delimiter="/", fields="prefixes,nextPageToken").pages:
                yield from (name[len(prefix) : -1] for name in page.prefixes)

    def _listing(self, prefix: str, **options: Any) -> Any:
        return self._client.list_blobs(self._bucket, prefix=prefix, **options, **self._care)

    def remove(self, find: Callable[[], Iterable[Stored]]) -> None:
        """Delete all that `find` finds. Again and again until it finds nothing, since a deletion may fail unnoticed."""
        for _ in range(_ROUNDS):
            if not self.threads.each(self._delete_batch, _batches(find())):
                return
        for stored in find():
            self.delete(stored.name, stored.generation)

    def _delete_batch(self, doomed: Iterable[Stored]) -> None:
        whatever = suppress(BackendError, ChangedError, GoneError)
        with whatever, self._reaching(), self._client.batch(raise_exception=False):
            for stored in doomed:
                self._bucket.blob(stored.name).delete(if_generation_match=stored.generation, timeout=_TIME_LIMITS)


def _retry(patience: float) -> Retry:
    """Return the library's own way to send a request again, at our pace, and not without a word."""
    usual = DEFAULT_RETRY._predicate
    return Retry(
        predicate=usual, initial=0.5, maximum=8.0, multiplier=2.0, timeout=patience, on_error=silence.STORAGE.note
    )


def _batches(found: Iterable[Stored]) -> Iterator[list[Stored]]:
    rest = iter(found)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _stored(blob: Any) -> Stored:
    made = blob.time_created
    return Stored(
        blob.name,
        int(blob.generation),
        int(blob.size),
        blob.crc32c or "",
        blob.metadata or {},
        max(made, blob.custom_time or made).timestamp() if made else 0.0,
        int(blob.metageneration or 0),
    )
