"""Nodes with a machine of their own, whole: the startup script and the worker run in VMs of the simulator.

Its VMs are processes; the tasks run in real containers, of the engine of this machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import User, eventually
from engine import containers
from stores import AtHome

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

_TIMING = {"beat": 1.0, "idle_look": 2.0, "sweep": 1.0, "look": 0.5, "grace": 2.0}


@pytest.fixture
def user(cloud: Any, registry: Any, api: Any, busybox: str, tmp_path: Path) -> Iterator[User]:
    """Someone whose nodes are VMs, and whose image is in a registry; so is that of the worker, which nobody opens."""
    image = registry.push(api, busybox, name="busybox").tagged
    for name in ("folder", "home"):
        (tmp_path / name).mkdir()
    user = User(folder=tmp_path / "folder", home=tmp_path / "home", stores=AtHome(tmp_path / "home/sparkles"))
    more = {"SPARKLES_COMPUTE": "vm", "SPARKLES_REGION": "us-central1", "SPARKLES_WORKER_IMAGE": image}
    user.env.update({**cloud.environment, **more, "SPARKLES_TIMING": json.dumps(_TIMING), "IMAGE": image})
    yield user
    cloud.compute.reset()


def sub(user: User, *words: str) -> list[str]:
    """Begin a submission."""
    return ["sub", "-i", user.env["IMAGE"], *words]


def test_a_task_runs_in_its_image_on_a_machine_that_goes_afterwards(user: User, cloud: Any) -> None:
    printed = user.ok(*sub(user, "-n", "one", "sh", "-c", "echo hello"), timeout=120)

    assert "hello" in printed
    assert printed.splitlines()[-2:-1] == []
