"""Objects in a bucket: the contract, against the simulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contracts.objects import ObjectStoreContract

from sparkles.backends.local.known import KnownBlobs


@pytest.fixture
def open_objects(storage: Any, bucket: str, tmp_path: Path) -> Callable[..., Any]:
    """Open the object store; by a `name` that says whose folders it has."""
    from sparkles.backends.gcp.client import storage_client
    from sparkles.backends.gcp.objects import BucketObjects

    def open_objects(name: str = "node", **options: Any) -> Any:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        known = KnownBlobs(folder / "known.db", write=True)
        places = {"known": known, "spool": folder / "spool", "cache": folder / "cache", "period": 0.02, **options}
        return BucketObjects(storage_client("sparkles-test"), bucket, "my/prefix", **places)

    return open_objects


class TestBucketObjects(ObjectStoreContract):
    @pytest.fixture
    def objects(self, open_objects):
        return open_objects()
