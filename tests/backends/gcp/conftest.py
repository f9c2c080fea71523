"""What the tests of the gcp backend share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkles.backends.local.known import KnownBlobs


@pytest.fixture
def open_objects(storage: Any, bucket: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open the object store, as the node or the client of this `name`: it has its own folders."""
    from sparkles.backends.gcp.objects import BucketObjects
    from sparkles.backends.gcp.storage.client import storage_client
    from sparkles.backends.gcp.storage.staging import Staging

    opened: list[Any] = []

    def open_objects(name: str = "node", *, bucket: str = bucket, prefix: str = "my/prefix", **options: Any) -> Any:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        known = KnownBlobs(folder / "known.db", write=True)
        staging = Staging(folder / "cache") if "staging" not in options else None
        places = {"known": known, "spool": folder / "spool", "staging": staging, "period": 0.02, **options}
        opened.append(BucketObjects(storage_client("sparkles-test"), bucket, prefix, **places))
        return opened[-1]

    yield open_objects
    for objects in opened:
        if objects._spool:  # it goes on as long as there are logs
            objects._spool._logs.clear()


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


@pytest.fixture
def plant(storage: Any, bucket: str) -> Callable[[Iterable[str]], None]:
    """Have empty objects there already, many of them, without a request for each."""

    def plant(names: Iterable[str]) -> None:
        held = storage.holdings
        with held.lock:
            for name in names:
                held.bucket(bucket).put(held.new(bucket, name, held.contents.incoming().done(), {}))

    return plant


@pytest.fixture
def written(storage: Any) -> Callable[[], list[str]]:
    """Name the objects that were written since the last `storage.forget()`, but for the logs of running tasks."""

    def written() -> list[str]:
        inserted = [seen.name for seen in tuple(storage.requests) if seen.method == "storage.objects.insert"]
        return [name for name in inserted if "/logs/" not in name]

    return written


@pytest.fixture
def strike(storage: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], bool]]:
    """Arm a fault for the request of a method that comes after some others; return what says whether it struck."""

    def strike(method: str, place: int, how: str, **which: str) -> Callable[[], bool]:
        arm, take, left = getattr(storage.faults, how), storage.faults._take, [place]

        def take_later(name: str, part: str, kinds: Any) -> Any:
            found = take(name, part, kinds)
            if name == method and which.get("part", part) == part and "LOST" in str(kinds):  # it has been done
                left[0] -= 1
                if left[0] == 0:
                    arm(method, **which)
            return found

        if place:
            monkeypatch.setattr(storage.faults, "_take", take_later)
        else:
            arm(method, **which)
        return lambda: left[0] <= 0 and storage.faults.armed == 0

    return strike


@pytest.fixture(scope="session")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Fetch the libraries of the worker program for a kind of processor, as a user does."""
    from sparkles.backends.gcp.delivery.wheels import wheels
    from sparkles.backends.gcp.delivery.worker_lock import worker_lock
    from sparkles.errors import BackendError

    folder = tmp_path_factory.mktemp("wheels")

    def fetched(architecture: str) -> Path:
        try:
            return wheels(worker_lock(), architecture, folder=folder)
        except BackendError as error:
            pytest.skip(f"needs a network: {error}")

    return fetched
