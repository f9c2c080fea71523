"""Worker lock: the libraries of the worker program, by the sha256 of each file. See `templates/make_worker_lock.py`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sparkles.resources import template_text

#: The file, as pip reads it, in `templates`.
NAME = "worker.lock"

#: A comment that tells the archive for a kind of processor.
_ARCHIVE = re.compile(r"^# (amd64|arm64) ([0-9a-f]{64})$", re.MULTILINE)

_REQUIREMENT = re.compile(r"^[a-z0-9]", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What has been settled on."""

    text: str
    #: Kind of processor, as docker calls it → sha256 of the archive of all files for it.
    archives: Mapping[str, str]
    #: How many files there are for a kind of processor.
    files: int

    @property
    def tag(self) -> str:
        """Return the tag of images that have these libraries."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


def worker_lock() -> Lock:
    """Return the lock of this installation."""
    return read_lock(template_text(NAME))


def read_lock(text: str) -> Lock:
    """Read a lock.

    >>> read_lock(f"# amd64 {64 * 'a'}\\npyyaml==6.0 \\\\\\n    --hash=sha256:{64 * 'b'}\\n").files
    1
    """
    return Lock(text=text, archives=dict(_ARCHIVE.findall(text)), files=len(_REQUIREMENT.findall(text)))
