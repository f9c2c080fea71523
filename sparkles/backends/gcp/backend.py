"""The gcp backend, put together: state in Datastore, files in Cloud Storage."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import cache

from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.images import DockerImages
from sparkles.backends.gcp.datastore import Datastore
from sparkles.backends.gcp.state import DatastoreState
from sparkles.backends.local.backend import LINGER, home_folder, program_digest
from sparkles.backends.local.environments import PrivateEnvironments
from sparkles.backends.local.filesystem import require_folder
from sparkles.backends.local.hashes import HashCache
from sparkles.backends.local.runtime import HostRuntime
from sparkles.backends.local.sharing import SharingCompute
from sparkles.config import Gcp, require
from sparkles.errors import BackendError
from sparkles.paths import Home
from sparkles.ports import Backend, Runtime
from sparkles.timing import Timing, timing

#: The variable that tells the process of a node that its stores are in the cloud, and where there.
NODE_VARIABLE = "SPARKLES_NODE"

#: Seconds that a client, and a worker, asks Datastore again and again. A worker has a lease to keep.
_CLIENT_PATIENCE, _WORKER_PATIENCE = 60.0, 10.0

#: Characters that a namespace may have.
_NAMESPACE = 100


def gcp_backend(
    gcp: Gcp,
    *,
    write: bool,
    slots: int | None = None,
    patience: float = _CLIENT_PATIENCE,
    host: Runtime | None = None,
    containers: Runtime | None = None,
    worker: Callable[[], str] | None = None,
) -> Backend:
    """Return the backend in the cloud that the settings describe. Nothing is made there before the first write.

    Raises BackendError if a setting is missing, or if nobody is logged in.
    """
    require(gcp)
    if write and gcp.compute != "local":
        raise BackendError(
            "nodes on Compute Engine are not built yet; with SPARKLES_COMPUTE=local, or 'compute: local' in "
            ".sparkles.yaml, the tasks of this backend run on this machine"
        )
    home = Home(home_folder())
    if write:
        require_folder(home.root)
    assert gcp.project
    assert gcp.bucket
    worker = worker or cache(program_digest)
    times = cloud_timing()
    return Backend(
        name="gcp",
        state=DatastoreState(
            Datastore(project=gcp.project, database=gcp.database, namespace=namespace_of(gcp.bucket), patience=patience)
        ),
        objects=bucket_objects(gcp, home, write=write),
        compute=SharingCompute(home, times, env={NODE_VARIABLE: json.dumps(asdict(gcp))}),
        hashes=HashCache(home.hashes, write=write),
        reopen=lambda: gcp_backend(
            gcp, write=write, slots=slots, patience=patience, host=host, containers=containers, worker=worker
        ),
        worker=worker,
        timing=times,
        host=host or HostRuntime(home.root),
        environments=PrivateEnvironments(home),
        containers=containers,
        images=DockerImages(Engine()),
        default_slots=slots or os.cpu_count() or 1,
        default_linger=LINGER,
    )


def cloud_timing() -> Timing:
    """Return the seconds of the protocol where each commit and each look costs money."""
    return timing(
        beat=20.0, commit_gap=1.0, idle_look=60.0, sweep=45.0, hung=150.0, heal=10.0, poll=2.0, longest_poll=10.0
    )


def namespace_of(bucket: str) -> str:
    """Return the namespace of Datastore that goes with a bucket, and perhaps a folder in it.

    A job's state and its files belong together: who has a bucket of their own has jobs of their own.

    >>> namespace_of("my-bucket"), namespace_of("my-bucket/lab one")
    ('my-bucket', 'my-bucket.lab_one-d8a75c79')
    """
    plain = re.sub(r"[^0-9A-Za-z._-]", "_", bucket.replace("/", "."))
    if plain == bucket and len(plain) <= _NAMESPACE:
        return plain
    mark = hashlib.sha256(bucket.encode()).hexdigest()[:8]
    return f"{plain[: _NAMESPACE - 9]}-{mark}"
