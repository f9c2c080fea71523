"""Here: the current folder. It may not be there any more: somebody has removed it, or made it anew."""

from __future__ import annotations

import os
from pathlib import Path

from sparkles.errors import RequestError


def folder() -> Path:
    """Return the current folder, or where it was: settings in the folders above it count as before."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        if (was := _was()) is None:
            raise RequestError(_words(was)) from None
        return was


def gone() -> str | None:
    """Return what is to be said of the current folder if it is not there any more: what is relative leads nowhere."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return _words(_was())
    return None


def _was() -> Path | None:
    """Return where the current folder was; None if the shell does not tell."""
    path = os.environ.get("PWD", "")
    return Path(path) if path.startswith("/") else None


def _words(was: Path | None) -> str:
    if was and was.exists():
        return (
            f"the current folder, {was}, was removed and made anew; what works: cd '{was}', which goes to the new one"
        )
    return f"the current folder{f', {was},' if was else ''} is not there any more; what works: cd to one that is"
