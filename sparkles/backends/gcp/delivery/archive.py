"""Archive: files in a zip archive whose bytes depend on their names and content alone."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

#: Archives know no earlier moment.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)

#: The system that files come from, and their mode there, wherever they really come from.
_UNIX, _MODE = 3, 0o100644


def archive(files: Iterable[tuple[str, Path]]) -> tuple[bytes, str]:
    """Return the archive of files, each with its name in it; and the sha256 of that.

    Nothing is compressed: what comes of that is another thing with each version of zlib.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as into:
        for name, path in sorted(files):
            into.writestr(_entry(name), path.read_bytes())
    return content.getvalue(), hashlib.sha256(content.getbuffer()).hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.create_system = _UNIX
    entry.external_attr = _MODE << 16
    return entry
