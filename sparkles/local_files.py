"""Local files: those that a manifest names, read relative to its folder, by content.

What is wrong with them is collected, so that all of it can be said at once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sparkles.errors import ProblemsError, RequestError
from sparkles.ports.backend import Backend
from sparkles.references import shipped_name
from sparkles.resources import template


class LocalFiles:
    """The local files that a manifest names; collects what is wrong with them."""

    def __init__(self, base: Path, backend: Backend) -> None:
        self.base = base
        self.sources: dict[str, Path] = {}
        self.digests: set[str] = set()
        self.named: set[str] = set()
        self.warnings: list[str] = []
        self._backend = backend
        self._problems: list[str] = []
        #: (sha256, name, where) of content that is pinned already, and has not been looked for yet.
        self._required: list[tuple[str, str, str]] = []

    def _path(self, name: str) -> Path:
        """Return where a file is: what sparkles ships is in its installation, all else below the base."""
        ours = shipped_name(name)
        return self.base / name if ours is None else template(ours)

    def problem(self, where: str, text: str) -> None:
        """Note that something at `where` is wrong."""
        self._problems.append(f"{where}: {text}")

    def missing(self, where: str, name: str) -> None:
        """Note that a file is not there, naming the folder that it was looked for in."""
        self.problem(where, f"no file {name!r} in {self.base}")

    def raise_problems(self) -> None:
        """Raise ProblemsError if anything was noted, or content that is required cannot be had."""
        self._look_for_required()
        if self._problems:
            raise ProblemsError(dict.fromkeys(self._problems))

    def read(self, name: str, where: str) -> bytes:
        """Return the content of a file that is needed to go on at all."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            raise RequestError(f"{where}: no file {name!r} in {self.base}") from None
        except OSError as error:
            raise RequestError(f"{where}: {name}: {error.strerror}") from None

    def pinned(self, name: str, where: str) -> tuple[str, bool]:
        """Return the hash of a file that will be uploaded, and whether its owner can run it as a program.

        The hash is one that no file has after noting why there is none.
        """
        path = self._path(name)
        try:
            digest = self._backend.hashes.sha256(path)
            executable = bool(path.stat().st_mode & stat.S_IXUSR)
        except OSError as error:
            self.problem(where, f"{name}: {error.strerror}")
            return "0" * 64, False
        self.named.add(str(path))
        self.digests.add(digest)
        self.sources[digest] = path
        return digest, executable

    def require(self, digest: str, name: str, where: str) -> None:
        """See to it that content which is pinned already can be had, when problems are raised."""
        self.named.add(str(self._path(name)))
        self.digests.add(digest)
        self._required.append((digest, name, where))

    def _look_for_required(self) -> None:
        """Look for all required content at once: in the store, and what that lacks in its file."""
        if not self._required:
            return
        missing = self._backend.objects.missing([digest for digest, _, _ in self._required])
        for digest, name, where in self._required:
            path = self._path(name)
            if digest in missing and path.is_file() and self._backend.hashes.sha256(path) == digest:
                self.sources[digest] = path
            elif digest in missing:
                self.problem(where, f"the content of {name!r} (sha256 {digest}) is neither stored nor at {path}")
        self._required.clear()

    def blob(self, digest: str) -> bytes:
        """Return content that is pinned already."""
        if digest in self.sources:
            return self.sources[digest].read_bytes()
        return self._backend.objects.read_blob(digest)

    def below(self, name: str, where: str) -> Iterator[str]:
        """Yield the files that an upload's src stands for: itself, or all below it."""
        path = self._path(name)
        if path.is_dir():
            found = list(self._walk(name.rstrip("/"), where, within=()))
            if not found:
                self.problem(where, f"the folder {name!r} in {self.base} holds no file")
            yield from found
        elif path.is_file():
            yield name
        elif path.exists():
            self.problem(where, f"{name!r} is neither a file nor a folder")
        else:
            self.missing(where, name)

    def _walk(self, name: str, where: str, *, within: tuple[tuple[int, int], ...]) -> Iterator[str]:
        """Yield the files below a folder. Links are followed, but never back into a folder that they are in."""
        folder = self._path(name)
        try:
            status = folder.stat()
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            self.problem(where, f"{name}: {error.strerror}")
            return
        this = status.st_dev, status.st_ino
        if this in within:
            return
        for entry in entries:
            below = f"{name}/{entry.name}"
            # What a link leads to has to be looked up, which an entry does not do for all of them.
            found = Path(entry.path) if entry.is_symlink() else entry
            if not _is_text(entry.name):
                self.problem(where, f"{name}: the name {entry.name!r} is not text in UTF-8; rename it")
            elif found.is_dir():
                yield from self._walk(below, where, within=(*within, this))
            elif found.is_file():
                yield below
            else:  # editors and sockets leave such things lying about
                self.warnings.append(f"{below!r} is neither a file nor a folder; left out")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
