"""Survey: names that are looked for, and a listing of their bucket, in; what they stand for out. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sparkles.ports.buckets import BucketFile


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it."""

    name: str
    file: BucketFile

    @property
    def is_folder(self) -> bool:
        """Whether it is only there to show a folder."""
        return self.name.endswith("/") and not self.file.size


class Survey:
    """What a listing, in the order of names, has told so far of the names that are looked for."""

    def __init__(self, names: Sequence[str]) -> None:
        #: Whether the listing is at its end.
        self.is_complete = False
        self._names = names
        self._exact = {name for name in names if not name.endswith("/")}
        self._ends = sorted(map(_end, names))
        self._objects: dict[str, BucketFile] = {}
        self._below: dict[str, list[BucketFile]] = {_folder(name): [] for name in names}
        #: The last name that was listed.
        self._reached = ""

    @property
    def start(self) -> str:
        """The first name that matters."""
        return min(self._names)

    @property
    def end(self) -> str:
        """A name that comes after all that matter."""
        return self._ends[-1]

    @property
    def settled(self) -> int:
        """How many of the names are certain by now, at least."""
        return bisect_right(self._ends, self._reached)

    def add(self, listed: Iterable[Listed]) -> None:
        """Take the next objects of the listing."""
        for found in listed:
            self._reached = found.name
            if found.name in self._exact:
                self._objects[found.name] = found.file
            if not found.is_folder:
                for folder in _folders(found.name):
                    if folder in self._below:
                        self._below[folder].append(found.file)

    def found(self) -> dict[str, Sequence[BucketFile]]:
        """Return what the names stand for of which that is certain by now."""
        certain = [name for name in self._names if self.is_complete or _end(name) <= self._reached]
        below = {name: tuple(self._below[_folder(name)]) for name in certain}
        return {**below, **{name: (file,) for name, file in self._objects.items()}}


def _folder(name: str) -> str:
    return name if name.endswith("/") else name + "/"


def _folders(name: str) -> list[str]:
    """Return all folders that an object is below.

    >>> _folders("a/b/c.txt")
    ['a/', 'a/b/']
    """
    return [name[: place + 1] for place, letter in enumerate(name) if letter == "/" and place + 1 < len(name)]


def _end(name: str) -> str:
    """Return the first name after all that are below a name: 0 comes next to the slash.

    >>> _end("a/b")
    'a/b0'
    """
    return _folder(name)[:-1] + "0"
