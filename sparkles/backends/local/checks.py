"""What is tried of this machine: the home, its database, and the docker engine."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from contextlib import closing

from sparkles.backends.docker.engine import Engine, reached
from sparkles.backends.local.filesystem import require_folder
from sparkles.backends.local.state import SqliteState
from sparkles.errors import BackendError
from sparkles.paths import Home
from sparkles.quantities import counted, human_bytes
from sparkles.validate import Check, UnknownError

#: Bytes that should be free.
_ROOM = 1 << 30


def checks(home: Home) -> Sequence[Check]:
    """Return all that is tried of a home."""
    return [
        Check(what="home", attempt=lambda: _home(home)),
        Check(what="state", attempt=lambda: _state(home), needs=("home",)),
        Check(what="docker", attempt=_docker),
    ]


def _home(home: Home) -> str:
    if not home.root.exists():
        return _home_to_be(home)
    require_folder(home.root)
    probe = home.root / f"probe-{secrets.token_hex(4)}"
    try:
        probe.write_bytes(b"sparkles validate was here")
        probe.unlink()
        free = shutil.disk_usage(home.root).free
    except OSError as error:
        raise BackendError(
            f"{home.root} cannot be written: {error.strerror}; name another folder with SPARKLES_HOME"
        ) from None
    if free < _ROOM:
        raise BackendError(f"{human_bytes(free)} are free in {home.root}; 'sparkles gc' removes what nobody needs")
    return f"{home.root}, {human_bytes(free)} free"


def _home_to_be(home: Home) -> str:
    """Return that the first job makes the home. Raises BackendError if it may not."""
    parent = next(each for each in home.root.parents if each.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise BackendError(f"{home.root} cannot be made in {parent}; name another folder with SPARKLES_HOME")
    return f"{home.root}, which the first job makes"


def _state(home: Home) -> str:
    with closing(SqliteState(home.state if home.state.exists() else None, lazy=True)) as state:
        return counted(len(state.jobs()), "job")


def _docker() -> str:
    """Return which engine there is. Without one commands run on this machine, which is no fault."""
    engine = Engine()
    try:
        with reached():
            version = engine.api.version()["Version"]
    except BackendError as error:
        raise UnknownError(f"only jobs with an image need it: {error}") from None
    finally:
        engine.close()
    return f"engine {version}"
