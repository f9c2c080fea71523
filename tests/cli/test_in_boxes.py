"""The manual's jobs on machines that boot: they get the worker, pull the image, run the tasks, and remove themselves.

All is as it is for a person but Google, whose part the stand-ins play: the machines are containers with engines of
their own. They are slow, so one of them serves as many tests as it can.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engine
import pytest
from conftest import User
from stores import InCloud

REGION = "us-central1"

#: A task says so which VM it is on, if it may ask.
WHERE = "http://169.254.169.254/computeMetadata/v1/instance/name"


@dataclass(frozen=True, kw_only=True)
class Names:
    """Images in the registry, as a person would name them."""

    worker: str
    tools: str


@pytest.fixture(scope="module")
def names(registry: Any) -> Names:
    api = engine.connection()
    if not engine.has_image(api, "sparkles-test/python"):
        pytest.skip("needs the image sparkles-test/python: bash tests/images/python")
    tools = registry.push(api, engine.busybox_image(api), name="tools")
    worker = registry.push(api, "sparkles-test/python", name="python", tag="3.13-slim")
    return Names(worker=worker.tagged, tools=tools.tagged)


@pytest.fixture(scope="module")
def machines(boxes: Any, datastore_emulator: Any, storage_simulator: Any, registry: Any) -> Iterator[Any]:
    """Compute Engine, whose VMs are containers that find all services where the user does."""
    from gcp.cloud import PROJECT
    from gcp.gce.simulator import ComputeSimulator

    with closing(ComputeSimulator(boxes, project=PROJECT)) as compute:
        urls = (datastore_emulator.host, storage_simulator.url, compute.url, registry.address)
        boxes.share(*(int(url.rpartition(":")[2]) for url in urls))
        yield compute


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the one user there is: what was fetched for the worker is fetched once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def stores(home: Path, datastore_emulator: Any, storage_simulator: Any, forker: Any) -> InCloud:
    return InCloud(home / "sparkles", datastore_emulator, storage_simulator, forker)


@pytest.fixture
def user(home: Path, stores: InCloud, machines: Any, names: Names, tmp_path: Path) -> Iterator[User]:
    """Someone whose nodes are VMs, and whose tasks run in an image if nothing is said."""
    user = User(folder=tmp_path, home=home, stores=stores)
    user.write(".sparkles.yaml", f"defaults: {{image: '{names.tools}'}}\n")
    user.env |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    user.env |= {"SPARKLES_COMPUTE": "vm", "SPARKLES_REGION": REGION, "SPARKLES_WORKER_IMAGE": names.worker,
                 "COMPUTE_EMULATOR_HOST": machines.url}  # fmt: skip
    yield user
    assert machines.violations == [], "requests or answers that do not fit Google's discovery document"


def sub(user: User, *words: str) -> str:
    """Submit a job and wait for its end; a VM has to boot for it, perhaps."""
    return user.ok("sub", *words, timeout=300)


def booted(machines: Any) -> int:
    """Return how many VMs were made so far."""
    return sum(seen.method == "boot" for seen in machines.requests)


def test_the_quick_start(user: User, machines: Any) -> None:
    printed = sub(user, "echo", "hello", "world")

    assert re.search(r"^tasks: pending \(1\), worker nodes:\ntasks: pending \(1\), worker nodes: staging \(1\)$",
                     printed, re.MULTILINE)  # fmt: skip
    assert re.search(r"^\[\d\d:\d\d:\d\d\] hello world$", printed, re.MULTILINE)
    assert "\nJob finished. 1 tasks completed successfully, 0 tasks failed\n" in printed
    name = re.search(r"gs://[^/]+/(\S+) DEST_DIR", printed)[1]
    assert user.log(f"{name}.1") == "hello world\n"
    machines.wait_until(lambda: not machines.instances)
