"""Buckets: objects of Cloud Storage, anybody's, that tasks are given: found by name, fixed and read by generation."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from google.api_core.exceptions import Forbidden, NotFound
from google.cloud.storage import Client

from sparkles.backends.gcp.refusals import readable
from sparkles.backends.gcp.survey import Listed, Survey
from sparkles.errors import BackendError, RequestError
from sparkles.ports import BucketFile

#: Requests that are under way at once.
_STREAMS = 16

#: Objects that can be asked for, one by one, in the time that a page of a listing takes.
_PAGE_WORTH = 100

#: More objects than that below one URL are no upload.
_MOST = 100_000

_FIELDS = "items(name,generation,size,crc32c),nextPageToken"

Item = TypeVar("Item")
Found = TypeVar("Found")


class CloudBuckets:
    """All buckets that the client's account may read."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, urls: Sequence[str]) -> Mapping[str, Sequence[BucketFile]]:
        """See Buckets."""
        found: dict[str, Sequence[BucketFile]] = {}
        for bucket, names in _by_bucket({url: url for url in urls}).items():
            with readable(f"gs://{bucket}", bucket=bucket), suppress(NotFound):
                files = _Search(self._client, bucket).find(list(dict.fromkeys(names.values())))
                found |= {url: files[name] for url, name in names.items()}
        return found

    def missing(self, contents: Sequence[str]) -> set[str]:
        """See Buckets."""
        gone: set[str] = set()
        for bucket, names in _by_bucket({content: _parts(content)[0] for content in contents}).items():
            with readable(f"gs://{bucket}", bucket=bucket):
                gone.update(_Search(self._client, bucket).missing(names))
        return gone

    def stage(self, content: str, destination: Path, *, executable: bool) -> None:
        """See Buckets."""
        partial = destination.with_name(f".{os.urandom(8).hex()}")
        try:
            with partial.open("xb") as file:
                self.download(content, file)
            partial.chmod(0o755 if executable else 0o644)
            partial.rename(destination)
        finally:
            partial.unlink(missing_ok=True)

    def download(self, content: str, file: BinaryIO) -> None:
        """Write `gs://bucket/object#generation` to a file, piece by piece.

        The library compares the checksum, and goes on from where it was cut off.
        """
        url, generation = _parts(content)
        bucket, name = _place(url)
        with readable(url, bucket=bucket):
            try:
                self._client.bucket(bucket).blob(name, generation=int(generation)).download_to_file(
                    file, checksum="crc32c"
                )
            except NotFound:
                raise BackendError(
                    f"{url}: generation {generation} is not there any more: the object was replaced or deleted since "
                    "the job was submitted; submit it again to take it as it is now"
                ) from None


class _Search:
    """Looks for names in a bucket, with as few requests as it takes. Raises NotFound without such a bucket."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._client = client
        self._bucket = client.bucket(bucket)

    def find(self, names: Sequence[str]) -> Mapping[str, Sequence[BucketFile]]:
        """Return what the names stand for."""
        found = self._listed([name for name in names if name])
        rest = [name for name in names if name not in found]
        return {**found, **dict(zip(rest, _at_once(self._at, rest), strict=True))}

    def missing(self, names: Mapping[str, str]) -> list[str]:
        """Return those contents, given with their names, that are not there any more."""
        with suppress(NotFound):
            listed = self._listed(list(dict.fromkeys(names.values())))
            present = {f"{file.url}#{file.generation}" for files in listed.values() for file in files}
            names = {content: name for content, name in names.items() if content not in present}
        there = _at_once(self._is_there, names)
        return [content for content, is_there in zip(names, there, strict=True) if not is_there]

    def _listed(self, names: Sequence[str]) -> Mapping[str, Sequence[BucketFile]]:
        """Return what a listing tells of names, as long as it is quicker than asking for each of them."""
        if len(names) < _PAGE_WORTH:
            return {}
        survey = Survey(names)
        with suppress(Forbidden):  # who may not list may still read
            for number, page in enumerate(self._pages(start_offset=survey.start, end_offset=survey.end), start=1):
                survey.add(page)
                if survey.settled < number * _PAGE_WORTH:
                    return survey.found()
            survey.is_complete = True
        return survey.found()

    def _at(self, name: str) -> Sequence[BucketFile]:
        """Return the object of a name, or else all below it."""
        if name and not name.endswith("/"):
            blob = self._bucket.get_blob(name)
            if blob:
                return (_listed(blob).file,)
        found: list[BucketFile] = []
        for page in self._pages(prefix=f"{name.removesuffix('/')}/" if name else ""):
            found += [listed.file for listed in page if not listed.is_folder]
            if len(found) > _MOST:
                url = f"gs://{self._bucket.name}/{name}"
                raise RequestError(
                    f"{url}: more than {_MOST:,} objects are below it; name what the tasks need more closely, or let "
                    "them see the bucket as a folder: resources.mounts"
                )
        return tuple(found)

    def _is_there(self, content: str) -> bool:
        url, generation = _parts(content)
        return bool(self._bucket.blob(_place(url)[1], generation=int(generation)).exists())

    def _pages(self, **which: str) -> Iterator[Iterator[Listed]]:
        for page in self._client.list_blobs(self._bucket, fields=_FIELDS, **which).pages:
            yield map(_listed, page)


def _at_once(ask: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
    """Ask for all items at once; the first trouble ends it."""
    with ThreadPoolExecutor(_STREAMS) as pool:
        try:
            return list(pool.map(ask, items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _listed(blob: Any) -> Listed:
    url = f"gs://{blob.bucket.name}/{blob.name}"
    file = BucketFile(url=url, generation=str(blob.generation), size=blob.size or 0, crc32c=blob.crc32c or "")
    return Listed(blob.name, file)


def _by_bucket(urls: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    """Return for each bucket what has its URL there, with the name of the object."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for key, url in urls.items():
        bucket, name = _place(url)
        found[bucket][key] = name
    return found


def _place(url: str) -> tuple[str, str]:
    """Return bucket and name of a URL."""
    bucket, _, name = url.removeprefix("gs://").partition("/")
    return bucket, name


def _parts(content: str) -> tuple[str, str]:
    """Return URL and generation of a content."""
    url, _, generation = content.rpartition("#")
    return url, generation
