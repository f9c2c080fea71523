"""Checkout: the commit that the files of a folder are at, if git keeps them. Writes nothing, not even git's index."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Seconds that git may take.
PATIENCE = 2.0

#: What a repository may not bring with it: a program of its own that is run when somebody looks.
_HARMLESS = ("--no-optional-locks", "-c", "core.fsmonitor=false")

_COMMIT = "# branch.oid "


class Look:
    """A look at a folder, or at none, under way from the beginning, for who has something else to do meanwhile."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._status = self._start("status", "--porcelain=v2", "--branch", "--untracked-files=no")

    def __enter__(self) -> Look:
        """Begin; `seen` is to be called once, or not at all."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what nobody waited for."""
        if self._status and self._status.returncode is None:
            self._status.kill()
            self._status.communicate()

    def seen(self) -> dict[str, Any] | None:
        """Return `commit` and `dirty`; without the latter if git takes too long, None where there is no commit."""
        if self._status is None:
            return None
        text = _output(self._status)
        if text is None:
            head = self._start("rev-parse", "--verify", "--quiet", "HEAD")
            commit = (_output(head) or "").strip() if head else ""
            return {"commit": commit} if commit else None
        lines = text.splitlines()
        commit = next((line.removeprefix(_COMMIT) for line in lines if line.startswith(_COMMIT)), "")
        dirty = any(not line.startswith("#") for line in lines)
        return {"commit": commit, "dirty": dirty} if commit.isalnum() else None  # (initial): nothing is committed yet

    def _start(self, *words: str) -> subprocess.Popen[str] | None:
        """Start git, where there is something for it to look at."""
        if self._folder is None or not is_kept(self._folder):
            return None
        with suppress(OSError):  # there is no git
            return subprocess.Popen(
                ["git", *_HARMLESS, "-C", str(self._folder), *words], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace",
            )  # fmt: skip
        return None


def is_kept(folder: Path) -> bool:
    """Say whether a folder, or one that it is in, looks like a work tree of git's."""
    return any((parent / ".git").exists() for parent in (folder, *folder.parents))


def without_git(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without the commit that is recorded in it: it is no other one because of that.

    >>> without_git({"metadata": {"name": "fit", "git": {"commit": "7"}}})
    {'metadata': {'name': 'fit'}}
    """
    metadata = {name: value for name, value in document["metadata"].items() if name != "git"}
    return {**document, "metadata": metadata}


def with_git(document: Mapping[str, Any], seen: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a document with what was seen of its folder; what has been recorded already stays."""
    metadata = document["metadata"]
    return {**document, "metadata": {**metadata, "git": dict(seen)} if seen and "git" not in metadata else metadata}


def _output(process: subprocess.Popen[str]) -> str | None:
    """Return what git prints; None if it fails or takes too long."""
    try:
        text, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return text if process.returncode == 0 else None
