"""Folders: which of many paths are below a folder, or chosen by a reference, without a look at all of them. Pure.

A sweep asks this for each of its rows: ten thousand times, of ten thousand paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sparkles import patterns
from sparkles.references import Reference


class Folders:
    """Paths by the folders that they are in, at any depth."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._below: dict[str, list[str]] = {}
        self._paths = frozenset(paths := list(paths))
        for path in paths:
            for folder in _folders_of(path):
                self._below.setdefault(folder, []).append(path)

    def __contains__(self, path: str) -> bool:
        return path in self._paths

    def below(self, folder: str) -> Sequence[str]:
        """Return the paths below a folder, in their order.

        >>> Folders(["a/b/c", "a/bb", "d"]).below("a/b")
        ['a/b/c']
        """
        return self._below.get(folder, [])

    def chosen(self, refers: Reference) -> list[str]:
        """Return those of the paths, names of results, that a reference chooses: itself, or what is below it."""
        if refers.name in self:
            return [refers.name]
        if refers.name == refers.root:  # a folder
            return list(self.below(refers.root))
        wanted = patterns.any_of((refers.pattern,))
        return [path for path in self.below(refers.root) if wanted(path)]


def _folders_of(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition("/")[0]
        yield path
