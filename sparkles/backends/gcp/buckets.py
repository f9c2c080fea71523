"""Buckets: objects of Cloud Storage, anybody's, that tasks are given: found by name, fixed and read by generation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO

from google.cloud.storage import Client

from sparkles.backends.gcp.storage.bucket import PATIENCE, Bucket, Stored
from sparkles.backends.gcp.storage.faults import OTHERS, GoneError, NoBucketError, NoRightError
from sparkles.backends.gcp.storage.staging import Staging
from sparkles.backends.gcp.storage.survey import Listed, Survey
from sparkles.errors import BackendError, RequestError
from sparkles.ports.buckets import BucketFile
from sparkles.spec import object_content

#: Objects that can be asked for, one by one, in the time that a page of a listing takes.
_PAGE_WORTH = 100

#: More objects than that below one URL are no upload.
_MOST = 100_000


class CloudBuckets:
    """All buckets that the client's account may read. Safe to share among threads."""

    def __init__(self, client: Client, *, staging: Staging, patience: float = PATIENCE) -> None:
        """Requests are sent again for up to `patience` seconds; what tasks are given is kept in `staging`."""
        self._staging = staging
        self._bucket = cache(partial(Bucket, client, patience=patience, role=OTHERS))

    def find(self, urls: Sequence[str]) -> Mapping[str, Sequence[BucketFile]]:
        """See Buckets."""
        found: dict[str, Sequence[BucketFile]] = {}
        for bucket, names in _by_bucket({url: url for url in urls}).items():
            with suppress(NoBucketError):
                files = _Search(self._bucket(bucket)).find(list(dict.fromkeys(names.values())))
                found |= {url: files[name] for url, name in names.items()}
        return found

    def missing(self, contents: Sequence[str]) -> set[str]:
        """See Buckets."""
        buckets = _by_bucket({content: _parts(content)[0] for content in contents})
        return {content for bucket, names in buckets.items() for content in self._missing(bucket, names)}

    def _missing(self, bucket: str, names: Mapping[str, str]) -> Iterable[str]:
        try:
            return _Search(self._bucket(bucket)).missing(names)
        except NoBucketError:
            return names

    def absent(self, buckets: Sequence[str]) -> set[str]:
        """See Buckets."""
        return {name for name in buckets if not self._exists(name)}

    def _exists(self, bucket: str) -> bool:
        try:
            self._bucket(bucket).some("", start="", most=1)
        except NoBucketError:
            return False
        return True

    def stage(self, content: str, destination: Path, *, executable: bool) -> None:
        """See Buckets."""
        self._staging.stage(content, destination, executable=executable, download=self._download)

    def _download(self, content: str, into: BinaryIO) -> None:
        """Write `gs://bucket/object#generation` to a file. The library compares the checksum."""
        url, generation = _parts(content)
        bucket, name = _place(url)
        try:
            self._bucket(bucket).download(name, into, generation=generation)
        except (GoneError, NoBucketError):
            raise BackendError(
                f"{url}: generation {generation} is not there any more: the object was replaced or deleted since "
                "the job was submitted; submit it again to take it as it is now"
            ) from None


class _Search:
    """Looks for names in a bucket, with as few requests as it takes."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def find(self, names: Sequence[str]) -> Mapping[str, Sequence[BucketFile]]:
        """Return what the names stand for."""
        found = self._told([name for name in names if name])
        rest = [name for name in names if name not in found]
        return {**found, **dict(zip(rest, self._bucket.threads.each(self._at, rest), strict=True))}

    def missing(self, names: Mapping[str, str]) -> list[str]:
        """Return those contents, given with their names, that are not there any more."""
        told = self._told(list(dict.fromkeys(names.values())))
        present = {object_content(file.url, file.generation) for files in told.values() for file in files}
        unsure = [content for content in names if content not in present]
        there = self._bucket.threads.each(self._is_there, unsure)
        return [content for content, is_there in zip(unsure, there, strict=True) if not is_there]

    def _told(self, names: Sequence[str]) -> Mapping[str, Sequence[BucketFile]]:
        """Return what a listing tells of names, as long as it is quicker than asking for each of them."""
        if len(names) < _PAGE_WORTH:
            return {}
        survey = Survey(names)
        with suppress(NoRightError):  # who may not list may still read
            for number, page in enumerate(self._pages(start=survey.start, end=survey.end), start=1):
                survey.add(page)
                if survey.settled < number * _PAGE_WORTH:
                    return survey.found()
            survey.is_complete = True
        return survey.found()

    def _at(self, name: str) -> Sequence[BucketFile]:
        """Return the object of a name, or else all below it."""
        if name and not name.endswith("/") and (stored := self._bucket.look(name)):
            return (self._listed(stored).file,)
        found: list[BucketFile] = []
        for page in self._pages(f"{name.removesuffix('/')}/" if name else ""):
            found += [listed.file for listed in page if not listed.is_folder]
            if len(found) > _MOST:
                url = f"gs://{self._bucket.name}/{name}"
                raise RequestError(
                    f"{url}: more than {_MOST:,} objects are below it; name what the tasks need more closely"
                )
        return tuple(found)

    def _is_there(self, content: str) -> bool:
        url, generation = _parts(content)
        return self._bucket.look(_place(url)[1], generation=generation) is not None

    def _pages(self, prefix: str = "", *, start: str = "", end: str = "") -> Iterator[Iterator[Listed]]:
        for page in self._bucket.pages(prefix, start=start, end=end):
            yield map(self._listed, page)

    def _listed(self, stored: Stored) -> Listed:
        url = f"gs://{self._bucket.name}/{stored.name}"
        file = BucketFile(url=url, generation=str(stored.generation), size=stored.size, crc32c=stored.crc32c)
        return Listed(stored.name, file)


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


def _parts(content: str) -> tuple[str, int]:
    """Return URL and generation of a content."""
    url, _, generation = content.rpartition("#")
    return url, int(generation)
