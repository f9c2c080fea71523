"""The bytes of objects: one file each, hashed as they come in, never as a whole in memory."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from .errors import invalid
from .server import Body

_PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Content:
    """Bytes that came in whole."""

    path: Path
    size: int
    #: Both in base64, as Google's API has them. What was put together of others has no MD5.
    crc32c: str
    md5: str | None


class Incoming:
    """Bytes that come in, piece by piece."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._crc32c, self._md5 = google_crc32c.Checksum(), hashlib.md5()

    def write(self, piece: bytes) -> None:
        """Append. Nothing stays open: an upload may be given up without a word."""
        with self.path.open("ab") as file:
            file.write(piece)
        self._crc32c.update(piece)
        self._md5.update(piece)
        self.size += len(piece)

    def take(self, body: Body) -> Incoming:
        """Append a body to its end."""
        while piece := body.read(_PIECE):
            self.write(piece)
        return self

    def done(self, *expected: Mapping[str, str]) -> Content:
        """Return the content; refuse it if it is not what the client said of it."""
        self.path.touch()
        found = Content(
            path=self.path, size=self.size, crc32c=_text(self._crc32c.digest()), md5=_text(self._md5.digest())
        )
        for sums in expected:
            _compare(sums, found)
        return found

    def discard(self) -> None:
        """Forget what came in."""
        self.path.unlink(missing_ok=True)


class ContentFolder:
    """The folder of all files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)

    def incoming(self) -> Incoming:
        """Return a place for bytes that come in."""
        return Incoming(self._new_path())

    def same(self, content: Content) -> Content:
        """Return the same content once more, at no cost."""
        path = self._new_path()
        os.link(content.path, path)
        return Content(path=path, size=content.size, crc32c=content.crc32c, md5=content.md5)

    def joined(self, contents: Iterable[Content]) -> Content:
        """Return contents one after the other. Google knows no MD5 of such."""
        incoming = self.incoming()
        for content in contents:
            with content.path.open("rb") as file:
                incoming.take(file)
        whole = incoming.done()
        return Content(path=whole.path, size=whole.size, crc32c=whole.crc32c, md5=None)

    def _new_path(self) -> Path:
        return self._folder / str(next(self._numbers))


def sums_of_header(text: str) -> dict[str, str]:
    """Read `crc32c=…,md5=…`."""
    pairs = (part.strip().partition("=") for part in text.split(",") if part.strip())
    return {name: value for name, _, value in pairs}


def _compare(expected: Mapping[str, str], found: Content) -> None:
    for name, actual in (("crc32c", found.crc32c), ("md5", found.md5)):
        if expected.get(name) not in (None, actual):
            found.path.unlink(missing_ok=True)
            label = "CRC32C" if name == "crc32c" else "MD5 hash"
            raise invalid(f'Provided {label} "{expected[name]}" doesn\'t match calculated {label} "{actual}".')


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
