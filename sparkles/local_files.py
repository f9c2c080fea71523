"""Local files: those that a manifest names, read relative to its folder, by content.

What is wrong with them is collected, so that all of it can be said at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sparkles.errors import ProblemsError, RequestError
from sparkles.ports import Backend


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

    def problem(self, where: str, text: str) -> None:
        """Note that something at `where` is wrong."""
        self._problems.append(f"{where}: {text}")

    def missing(self, where: str, name: str) -> None:
        """Note that a file is not there, naming the folder that it was looked for in."""
        self.problem(where, f"no file {name!r} in {self.base}")

    def raise_problems(self) -> None:
        """Raise ProblemsError if anything was noted."""
        if self._problems:
            raise ProblemsError(dict.fromkeys(self._problems))

    def read(self, name: str, where: str) -> bytes:
        """Return the content of a file that is needed to go on at all."""
        try:
            return (self.base / name).read_bytes()
        except FileNotFoundError:
            raise RequestError(f"{where}: no file {name!r} in {self.base}") from None
        except OSError as error:
            raise RequestError(f"{where}: {name}: {error.strerror}") from None

    def sha256(self, name: str, where: str) -> str | None:
        """Return the hash of a file that will be uploaded; None after noting why there is none."""
        path = self.base / name
        try:
            digest = self._backend.hashes.sha256(path)
        except OSError as error:
            self.problem(where, f"{name}: {error.strerror}")
            return None
        self.named.add(str(path))
        self.digests.add(digest)
        self.sources[digest] = path
        return digest

    def is_executable(self, name: str) -> bool:
        """Say whether a file can be run as a program by its owner."""
        return bool((self.base / name).stat().st_mode & 0o100)

    def require(self, digest: str, name: str, where: str) -> None:
        """See to it that content which is pinned already can be had: from the store, or from the file."""
        self.named.add(str(self.base / name))
        self.digests.add(digest)
        if not self._backend.objects.missing([digest]):
            return
        path = self.base / name
        if path.is_file() and self._backend.hashes.sha256(path) == digest:
            self.sources[digest] = path
        else:
            self.problem(where, f"the content of {name!r} (sha256 {digest}) is neither stored nor at {path}")

    def blob(self, digest: str) -> bytes:
        """Return content that is pinned already."""
        if digest in self.sources:
            return self.sources[digest].read_bytes()
        return self._backend.objects.read_blob(digest)

    def below(self, name: str, where: str) -> Iterator[str]:
        """Yield the files that an upload's src stands for: itself, or all below it."""
        path = self.base / name
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
        try:
            status = (self.base / name).stat()
            entries = sorted(path.name for path in (self.base / name).iterdir())
        except OSError as error:
            self.problem(where, f"{name}: {error.strerror}")
            return
        this = status.st_dev, status.st_ino
        if this in within:
            return
        for entry in entries:
            below = f"{name}/{entry}"
            path = self.base / below
            if not _is_text(entry):
                self.problem(where, f"{name}: the name {entry!r} is not text in UTF-8; rename it")
            elif path.is_dir():
                yield from self._walk(below, where, within=(*within, this))
            elif path.is_file():
                yield below
            else:  # editors and sockets leave such things lying about
                self.warnings.append(f"{below!r} is neither a file nor a folder; left out")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
