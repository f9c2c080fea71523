"""Naming: which object holds a file of a result. Nearly always it has the file's name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

#: Bytes that the name of an object may have.
_LONGEST = 1024

#: Line breaks, which no name may have, and what is no better in a URL or in XML.
_IMPOSSIBLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

#: Characters of a file's own name that are kept in one that is made for it, and those that are replaced.
_KEPT, _HARMFUL = 80, re.compile(r"[^\w.+=@-]", re.ASCII)


def object_names(folder: str, files: Iterable[str]) -> dict[str, str]:
    """Return (file → name of its object) for the files of the result at `folder`.

    Cloud Storage takes no line breaks and no long names: such a file goes under a name that is made of its own, and
    result.json says so.
    """
    named = {file: f"{folder}/{file}" for file in files}
    return {file: name if _is_possible(name) else f"{folder}/{_made(file)}" for file, name in named.items()}


def _is_possible(name: str) -> bool:
    return not _IMPOSSIBLE.search(name) and len(name.encode()) <= _LONGEST


def _made(file: str) -> str:
    readable = _HARMFUL.sub("_", file.rpartition("/")[2])[-_KEPT:]
    return f"{hashlib.sha256(file.encode()).hexdigest()[:12]}~{readable}"
