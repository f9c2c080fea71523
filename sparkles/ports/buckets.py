"""Buckets: objects of Cloud Storage that tasks are given as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFile:
    """An object of a bucket, as it is at one of its generations."""

    #: `gs://bucket/object`.
    url: str
    #: Digits.
    generation: str
    size: int
    #: As Cloud Storage writes it: base64 of the four bytes.
    crc32c: str


class Buckets(Protocol):
    """The objects of buckets that tasks are given. Nothing is ever written there."""

    def find(self, urls: Sequence[str]) -> Mapping[str, Sequence[BucketFile]]:
        """Return what each `gs://bucket/object` stands for: the object of exactly that name, or else all below it.

        With a slash at its end, or without an object, a URL stands only for what is below it: all of the bucket.
        Empty objects whose names end in a slash are left out: they only show folders. Nothing found is an empty
        sequence; URLs of a bucket that does not exist are not in the mapping. Raises RequestError for more
        objects below one URL than a task can be given, and BackendError, with what to do, if it cannot be found out.
        """
        ...

    def missing(self, contents: Sequence[str]) -> set[str]:
        """Return those of `contents` (`gs://bucket/object#generation`) that are not there any more."""
        ...

    def absent(self, buckets: Sequence[str]) -> set[str]:
        """Return those of some buckets, by their names, that do not exist.

        Raises BackendError, with what to do, if what is in one of the others may not be seen.
        """
        ...

    def stage(self, content: str, destination: Path, *, executable: bool) -> None:
        """Make a private, writable copy of `gs://bucket/object#generation` at `destination`, whose folder exists.

        It is there once it is whole. Raises BackendError if that generation is not there any more.
        """
        ...
