"""Replacing: files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a new path beside `target`, which becomes `target` when all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{os.urandom(8).hex()}")  # the target's own name may be as long as names get
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        if str(error.filename) == str(partial):  # of which nobody has heard
            error.filename = str(target)
        raise
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
