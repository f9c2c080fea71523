"""The local backend, put together."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.images import DockerImages
from sparkles.backends.local.compute import LocalCompute
from sparkles.backends.local.environments import PrivateEnvironments
from sparkles.backends.local.filesystem import require_folder
from sparkles.backends.local.hashes import HashCache
from sparkles.backends.local.objects import DirectoryObjects
from sparkles.backends.local.runtime import HostRuntime
from sparkles.backends.local.state import SqliteState
from sparkles.paths import Home
from sparkles.ports.backend import Backend
from sparkles.ports.runtime import Runtime
from sparkles.timing import timing

#: Seconds that a node at home waits for more work.
LINGER = 60.0


def home_folder() -> Path:
    """Return SPARKLES_HOME, or its default."""
    return Path(os.environ.get("SPARKLES_HOME") or Path.home() / ".local" / "state" / "sparkles").absolute()


def local_backend(
    home: Home,
    *,
    write: bool,
    slots: int | None = None,
    host: Runtime | None = None,
    containers: Runtime | None = None,
    worker: Callable[[], str] | None = None,
) -> Backend:
    """Return the backend of this machine. Nothing is made before the first write; without `write` nothing at all.

    Only a node has runtimes of its own to give: `host` and `containers`.
    """
    if write:
        require_folder(home.root)
    worker = worker or cache(program_digest)
    times = timing()
    hashes = HashCache(home.hashes, write=write)
    return Backend(
        name="local",
        state=SqliteState(home.state if write or home.state.exists() else None, lazy=True),
        objects=DirectoryObjects(home, hashes),
        compute=LocalCompute(home, times),
        hashes=hashes,
        reopen=lambda: local_backend(home, write=write, slots=slots, host=host, containers=containers, worker=worker),
        worker=worker,
        timing=times,
        host=host or HostRuntime(home.root),
        environments=PrivateEnvironments(home),
        containers=containers,
        images=DockerImages(Engine()),
        default_slots=slots or os.cpu_count() or 1,
        default_linger=LINGER,
        most_nodes=1,  # more slots do what more processes would
    )


def program_digest() -> str:
    """Return a name for this very installation, and the docker engine it uses: others have nodes of their own."""
    import hashlib  # a twentieth of what `status` takes, which needs no hash

    package = Path(__file__).resolve().parents[2]
    facts = sorted(
        (str(path.relative_to(package)), status.st_size, status.st_mtime_ns)
        for path in package.rglob("*.py")
        for status in [path.stat()]
    )
    engine = [os.environ.get(name) for name in ("DOCKER_HOST", "DOCKER_CONTEXT")]
    return hashlib.sha256(repr([facts, engine]).encode()).hexdigest()[:12]
