"""Replacing: files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from sparkles import partials


@contextmanager
def replacing(target: Path, *, held: bool = False) -> Iterator[Path]:
    """Yield a new path beside `target`, which becomes `target` when all went well.

    One that is `held` is told, if this process is cut off, from those that somebody writes: see `partials`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # The target's own name may be as long as names get.
    partial = target.with_name(partials.name() if held else f".{os.urandom(8).hex()}")
    try:
        with partials.held(partial) if held else nullcontext():
            yield partial
            partial.replace(target)
    except OSError as error:
        if str(error.filename) == str(partial):  # of which nobody has heard
            error.filename = str(target)
        raise
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
