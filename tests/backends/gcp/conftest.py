"""What the tests of the gcp backend share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparkles.backends.local.known import KnownBlobs


@pytest.fixture
def open_objects(storage: Any, bucket: str, tmp_path: Path) -> Callable[..., Any]:
    """Open the object store, as the node or the client of this `name`: it has its own folders."""
    from sparkles.backends.gcp.client import storage_client
    from sparkles.backends.gcp.objects import BucketObjects

    def open_objects(name: str = "node", *, bucket: str = bucket, **options: Any) -> Any:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        known = KnownBlobs(folder / "known.db", write=True)
        places = {"known": known, "spool": folder / "spool", "cache": folder / "cache", "period": 0.02, **options}
        return BucketObjects(storage_client("sparkles-test"), bucket, "my/prefix", **places)

    return open_objects


@pytest.fixture
def objects(open_objects: Callable[..., Any]) -> Any:
    """An object store as a node has it."""
    return open_objects()


@pytest.fixture
def names(storage: Any, bucket: str) -> Callable[..., list[str]]:
    """Name the objects below a prefix."""

    def names(prefix: str = "") -> list[str]:
        from google.cloud.storage import Client

        return [blob.name for blob in Client(project="sparkles-test").list_blobs(bucket, prefix=prefix)]

    return names
