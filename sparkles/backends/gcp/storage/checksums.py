"""Checksums: what Cloud Storage knows content by, and what sparkles does."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import google_crc32c

_PIECE = 1 << 20


def crc32c_of(path: Path) -> str:
    """Return the crc32c of a file's content, as Google writes it."""
    crc32c = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            crc32c = google_crc32c.extend(crc32c, piece)
    return _text(crc32c)


def checksums(path: Path) -> tuple[str, str]:
    """Return the crc32c of a file's content, as Google writes it, and its sha256."""
    crc32c, sha256 = 0, hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            crc32c = google_crc32c.extend(crc32c, piece)
            sha256.update(piece)
    return _text(crc32c), sha256.hexdigest()


def _text(crc32c: int) -> str:
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()
