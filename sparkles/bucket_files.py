"""Bucket files: the objects of buckets that a manifest names, each fixed by its generation. Reads; writes nothing.

All of them are asked for at once, and each text once, however many rows have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sparkles.errors import BackendError, RequestError
from sparkles.ports.backend import Backend
from sparkles.ports.buckets import BucketFile
from sparkles.spec import object_content

_URL = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]*)(?:/[^\r\n]*)?")


def require_scheme(src: str, where: str) -> None:
    """Refuse what is meant to be a URL of a bucket and is none: it would be taken for a file here."""
    if src.lower().startswith("gs:/") and not src.startswith("gs://"):
        raise RequestError(f"{where}: {src!r}: expected gs://BUCKET/OBJECT")


class BucketFiles:
    """The objects of buckets that a manifest names; says what is wrong with them through `problem`."""

    def __init__(self, backend: Backend, problem: Callable[[str, str], None]) -> None:
        self._backend = backend
        self._problem = problem
        self._found: Mapping[str, Sequence[BucketFile]] = {}
        self._missing: set[str] = set()

    def look(self, urls: Sequence[str], contents: Sequence[str]) -> None:
        """Ask for the objects at URLs, and whether contents that are fixed already are still there."""
        buckets = self._backend.buckets
        if buckets and (urls or contents):
            found = buckets.find([url for url in urls if _URL.fullmatch(url)])
            self._found = {url: tuple(files) for url, files in found.items()}
            self._missing = buckets.missing(contents)

    def below(self, url: str, where: str) -> Sequence[BucketFile]:
        """Return the objects that a URL stands for, which was asked for: itself, or all below it."""
        self._require_backend(url, where)
        files = self._found.get(url)
        if not files:
            self._problem(where, _nothing(url, bucket_is_there=files is not None))
        return files or ()

    def require(self, file: Mapping[str, Any], where: str) -> None:
        """See to it that an object whose generation is written down, and was asked for, is still there."""
        url, generation = file["src"], file.get("generation")
        self._require_backend(url, where)
        if generation is None or "sha256" in file:
            self._problem(where, f"{url}: an object of a bucket is fixed by its generation, not by its sha256")
        elif object_content(url, generation) in self._missing:
            self._problem(
                where,
                f"{url}: its generation {generation} is not there any more: the object was replaced or deleted; to "
                "take it as it is now, apply a manifest without that generation",
            )

    def require_buckets(self, mounts: Sequence[str]) -> None:
        """See to it that there are the buckets that tasks are to find as folders. At home they find none."""
        buckets = self._backend.buckets
        absent = buckets.absent(list(dict.fromkeys(mounts))) if mounts and buckets else ()
        for number, bucket in enumerate(mounts):
            if bucket in absent:
                self._problem(f"spec.resources.mounts[{number}].bucket", f"there is no bucket {bucket!r}")

    def _require_backend(self, url: str, where: str) -> None:
        if self._backend.buckets is None:
            raise BackendError(f"{where}: {url}: files of a bucket need the gcp backend")


def pinned_objects(files: Iterable[BucketFile], entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a pinned manifest says of each object of an entry. Cloud Storage knows no programs, so that does."""
    for file in files:
        yield {"src": file.url, "generation": file.generation, "executable": entry.get("executable", False)}


def _nothing(url: str, *, bucket_is_there: bool) -> str:
    """Say why a URL stands for nothing."""
    found = _URL.fullmatch(url)
    if found is None:
        return f"{url!r} is no URL of a bucket: expected gs://BUCKET/OBJECT"
    if not bucket_is_there:
        return f"{url}: there is no bucket {found['bucket']!r}"
    hint = "; patterns are not looked up: name the folder to have all of it" if "*" in url else ""
    return f"nothing is at {url}: no object of that name, and none below it{hint}"
