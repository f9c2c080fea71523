"""The libraries of the worker program, as the owner of a job sees them: fetched and uploaded once for all jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import engine
import pytest
from conftest import User
from stores import InCloud

from sparkles.backends.gcp.delivery.worker_lock import worker_lock

pytestmark = pytest.mark.in_cloud


@pytest.fixture
def owner(
    tmp_path: Path, datastore_emulator: Any, storage_simulator: Any, forker: Any, compute: Any, registry: Any, api: Any
) -> User:
    """Someone whose nodes are VMs, which have an image that is not known to have the libraries."""
    image = registry.push(api, engine.busybox_image(api), name="python", tag="3.13")
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    user = User(
        folder=folder, home=home, stores=InCloud(home / "sparkles", datastore_emulator, storage_simulator, forker)
    )
    user.write(".sparkles.yaml", f"defaults: {{image: '{image.pinned}'}}\n")
    user.env |= {"SPARKLES_COMPUTE": "vm", "SPARKLES_REGION": "us-central1", "COMPUTE_EMULATOR_HOST": compute.url,
                 "SPARKLES_WORKER_IMAGE": image.tagged}  # fmt: skip
    return user


def test_they_are_brought_in_once_and_not_for_a_plan(owner: User) -> None:
    planned = owner("sub", "--dry-run", "true")
    first = owner("sub", "-n", "first", "--no-wait", "true")
    if "cannot be fetched with pip" in first.stderr:
        pytest.skip(f"needs a network: {first.stderr}")
    owner.ok("kill", "first")
    second = owner("sub", "-n", "second", "--no-wait", "true")
    owner.ok("kill", "second")

    assert (planned.returncode, first.returncode, second.returncode) == (0, 0, 0), planned.stderr + first.stderr
    assert "fetching" not in planned.stderr
    assert f"fetching what the worker needs, once: {worker_lock().files} files\n" in first.stderr
    assert "hint: the libraries of the worker program (" in first.stderr
    assert "1 files (" in first.stdout
    assert "out of 1 files will be uploaded" in first.stdout
    assert "0 files (0 bytes) out of 1 files will be uploaded" in second.stdout
    assert "libraries" not in second.stderr
