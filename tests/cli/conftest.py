"""What the tests of jobs on VMs share: someone whose nodes are VMs, which are processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine
import pytest
from conftest import User
from stores import InCloud

REGION = "us-central1"


@pytest.fixture(scope="module")
def tools(registry: Any, api: Any) -> str:
    """An image in a registry, which this machine's engine has as well."""
    pushed = registry.push(api, engine.busybox_image(api), name="tools")
    api.pull(pushed.pinned)
    return str(pushed.tagged)


@pytest.fixture(scope="module")
def worker(registry: Any, api: Any) -> Any:
    """An image that has the worker's libraries; here it runs in the environment of the tests."""
    from sparkles.backends.gcp.delivery.worker_lock import worker_lock

    return registry.push(api, engine.busybox_image(api), name="worker", tag=worker_lock().tag)


@pytest.fixture
def machines(compute: Any) -> Any:
    """Compute Engine, whose VMs do not take long to go."""
    compute.lives.grace = 2.0
    return compute


@pytest.fixture
def owner(
    tmp_path: Path, datastore_emulator: Any, storage_simulator: Any, forker: Any, machines: Any, tools: str, worker: Any
) -> User:
    """Someone whose nodes are VMs, and whose tasks run in an image if nothing is said."""
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    stores = InCloud(home / "sparkles", datastore_emulator, storage_simulator, forker)
    user = User(folder=folder, home=home, stores=stores)
    user.write(".sparkles.yaml", f"defaults: {{image: '{tools}'}}\n")
    user.env |= {"SPARKLES_COMPUTE": "vm", "SPARKLES_REGION": REGION, "SPARKLES_WORKER_IMAGE": worker.repository,
                 "COMPUTE_EMULATOR_HOST": machines.url}  # fmt: skip
    return user


@pytest.fixture
def lose_images(process_booter: Any) -> Iterator[Any]:
    """Lets pulls of images fail on VMs."""
    yield process_booter.lose_images
    process_booter.lose_images()
