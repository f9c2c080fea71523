"""The gcp backend, put together: state in Datastore, files in Cloud Storage."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from sparkles import model
from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.images import DockerImages
from sparkles.backends.gcp.datastore import Datastore
from sparkles.backends.gcp.state import DatastoreState
from sparkles.backends.gcp.storage.staging import Staging
from sparkles.backends.local.backend import LINGER, home_folder, program_digest
from sparkles.backends.local.environments import PrivateEnvironments
from sparkles.backends.local.filesystem import require_folder
from sparkles.backends.local.hashes import HashCache
from sparkles.backends.local.runtime import HostRuntime
from sparkles.backends.local.sharing import SharingCompute, this_machine
from sparkles.config import Gcp, require
from sparkles.paths import Home
from sparkles.ports.backend import Backend
from sparkles.ports.buckets import Buckets
from sparkles.ports.objects import ObjectStore
from sparkles.ports.runtime import Runtime
from sparkles.timing import Timing, timing

if TYPE_CHECKING:
    from google.cloud import storage

    from sparkles.backends.gcp.buckets import CloudBuckets
    from sparkles.backends.gcp.objects import BucketObjects
    from sparkles.backends.gcp.storage.bucket import Bucket

#: The variable that tells the process of a node that its stores are in the cloud, and where there.
NODE_VARIABLE = "SPARKLES_NODE"

#: Seconds that a client, and a worker, asks Datastore again and again. A worker has a lease to keep.
_CLIENT_PATIENCE, _WORKER_PATIENCE = 30.0, 10.0

#: And Cloud Storage: its loop must not wait for long, and what slots bring in they try for half an hour.
_WORKER_STORAGE_PATIENCE = 15.0

#: Characters that a namespace may have.
_NAMESPACE = 100


def gcp_backend(
    gcp: Gcp,
    *,
    write: bool,
    slots: int | None = None,
    node: Node | None = None,
) -> Backend:
    """Return the backend in the cloud that the settings describe, as a client uses it or the process of a `node`.

    Nothing is made there before the first write. Raises BackendError if a setting is missing or nobody is logged in.
    """
    require(gcp)
    gc.freeze()  # at the end nobody need look for garbage in Google's libraries, which takes a tenth of a second
    home = Home(home_folder())
    if write:
        require_folder(home.root)
    stores = _Stores(gcp, home, write=write, node=node)
    if gcp.compute == "vm":
        return _on_vms(gcp, home, stores, write=write, slots=slots, node=node)
    times = cloud_timing()
    backend = Backend(
        name="gcp",
        state=stores.state(),
        objects=cast("ObjectStore", _Later(stores.objects)),
        buckets=cast("Buckets", _Later(stores.buckets)),
        compute=SharingCompute(home, times, env={NODE_VARIABLE: json.dumps(asdict(gcp))}),
        hashes=HashCache(home.hashes, write=write),
        # All else may be used by several threads.
        reopen=lambda: replace(backend, state=stores.state(), hashes=HashCache(home.hashes, write=write)),
        worker=cache(lambda: f"{program_digest()}-{this_machine(home, write=write)}"),
        timing=times,
        host=node.host if node else HostRuntime(home.root),
        environments=PrivateEnvironments(home),
        containers=node.containers if node else None,
        images=DockerImages(Engine()),
        default_slots=slots or os.cpu_count() or 1,
        default_linger=LINGER,
    )
    return backend


@dataclass(frozen=True, kw_only=True)
class Node:
    """What the process of a node has, and a client has not."""

    name: str
    containers: Runtime
    #: None on a VM, where each task needs an image.
    host: Runtime | None = None
    #: The node's record, on a VM.
    record: model.Node | None = None


def _on_vms(gcp: Gcp, home: Home, stores: _Stores, *, write: bool, slots: int | None, node: Node | None) -> Backend:
    """Return the backend whose nodes are VMs."""
    from sparkles.backends.gcp.delivery.choice import ProgramDelivery
    from sparkles.backends.gcp.delivery.pins import Pins
    from sparkles.backends.gcp.images import RegistryImages, insecure_registries
    from sparkles.backends.gcp.vms.assembly import vm_compute

    times = cloud_timing()
    images = RegistryImages(ours=_repository(gcp), plain=insecure_registries(os.environ))
    pins = Pins(images, home.pins, write=write)
    brought = ProgramDelivery(pins, gcp.worker_image, folder=home.wheels)
    own = node.record if node else None
    backend = Backend(
        name="gcp",
        state=stores.state(),
        objects=cast("ObjectStore", _Later(stores.objects)),
        buckets=cast("Buckets", _Later(stores.buckets)),
        compute=vm_compute(gcp, bucket=cache(stores.bucket), delivery=brought, images=pins, timing=times, own=own),
        hashes=HashCache(home.hashes, write=write),
        reopen=lambda: replace(backend, state=stores.state(), hashes=HashCache(home.hashes, write=write)),
        worker=lambda: gcp.database,  # what a VM runs is a part of its machine; whose records it reads is not
        timing=times,
        containers=node.containers if node else None,
        images=images,
        default_slots=slots or 1,
    )
    return backend


def _repository(gcp: Gcp) -> str:
    """Return where images for nodes can be pushed: the repository that `sparkles setup` makes."""
    return f"{gcp.region or 'REGION'}-docker.pkg.dev/{gcp.project}/sparkles"


class _Stores:
    """Makes what keeps state and files in the cloud."""

    def __init__(self, gcp: Gcp, home: Home, *, write: bool, node: Node | None) -> None:
        assert gcp.project
        assert gcp.bucket
        self._gcp, self._home, self._node, self._write = gcp, home, node, write
        self._project, self._place = gcp.project, gcp.bucket
        self._client = cache(self._connect)
        #: What a node keeps of all that its tasks are given: one place, with one bound.
        self._staging = Staging(home.cache(node.name) if node else None)

    def state(self) -> DatastoreState:
        store = Datastore(
            project=self._project,
            database=self._gcp.database,
            namespace=namespace_of(self._place),
            patience=_WORKER_PATIENCE if self._node else _CLIENT_PATIENCE,
        )
        return DatastoreState(store)

    def objects(self) -> BucketObjects:
        from sparkles.backends.gcp.objects import BucketObjects
        from sparkles.backends.local.known import KnownBlobs

        bucket, _, prefix = self._place.partition("/")
        return BucketObjects(
            self._client(),
            bucket,
            prefix,
            known=KnownBlobs(self._home.known, write=self._write),
            touch=self._write,
            spool=self._home.spool(self._node.name) if self._node else None,
            staging=self._staging,
            patience=self._patience(),
        )

    def bucket(self) -> Bucket:
        from sparkles.backends.gcp.storage.bucket import Bucket

        return Bucket(self._client(), self._place.partition("/")[0], patience=self._patience())

    def buckets(self) -> CloudBuckets:
        from sparkles.backends.gcp.buckets import CloudBuckets

        return CloudBuckets(self._client(), staging=self._staging, patience=self._patience())

    def _patience(self) -> float:
        from sparkles.backends.gcp.storage.bucket import PATIENCE

        return _WORKER_STORAGE_PATIENCE if self._node else PATIENCE

    def _connect(self) -> storage.Client:
        from sparkles.backends.gcp.storage.client import storage_client

        return storage_client(self._project)


class _Later:
    """Becomes what `make` returns when it is used. To load the library takes half a second, and `status` needs none."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self._made: object = None
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            self._made = self._made or self._make()
        return getattr(self._made, name)


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
