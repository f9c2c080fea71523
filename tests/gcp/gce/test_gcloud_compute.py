"""gcloud as a foreign client: written by others, in other ways, for the same service."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from conftest import eventually
from gcp import gcloud as gcloud_program
from gcp.gce.conftest import REGION

if TYPE_CHECKING:
    from gcp.gce.conftest import Project
    from gcp.gce.simulator import ComputeSimulator

Gcloud = Callable[..., str]
Grouping = Callable[..., list[str]]

pytestmark = gcloud_program.NEEDED


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gcloud")


@pytest.fixture
def gcloud(compute: ComputeSimulator, settings: Path) -> Gcloud:
    """Runs `gcloud compute`; returns what it printed."""
    return partial(gcloud_program.run, "compute", folder=settings, compute=compute.url)


def test_instances(gcloud: Gcloud, group: Grouping, compute: ComputeSimulator) -> None:
    (name,) = group(1, labels={"job": "j"})
    zone = compute.instance(name).vm.zone
    eventually(lambda: compute.serial(name) == "idle\n")

    (row,) = json.loads(gcloud("instances", "list", "--format=json"))
    shown = gcloud("instances", "describe", name, f"--zone={zone}")
    printed = gcloud("instances", "get-serial-port-output", name, f"--zone={zone}")

    assert (row["name"], row["status"], row["labels"]) == (name, "RUNNING", {"job": "j"})
    assert "status: RUNNING" in shown
    assert printed.strip() == "idle"


def test_a_group_and_its_members(gcloud: Gcloud, group: Grouping) -> None:
    names = group(2)

    listed = gcloud("instance-groups", "managed", "list")
    shown = gcloud("instance-groups", "managed", "describe", "s-1", f"--region={REGION}")
    members = gcloud("instance-groups", "managed", "list-instances", "s-1", f"--region={REGION}")

    assert listed.splitlines()[1].split() == ["s-1", REGION, "region", "s-1", "2", "2", "s-1", "no"]
    assert "isStable: true" in shown
    assert sorted(line.split()[0] for line in members.splitlines()[1:]) == sorted(names)


def test_why_there_are_no_members(gcloud: Gcloud, group: Grouping, project: Project, compute: ComputeSimulator) -> None:
    group(0)
    compute.stockout()
    project.resize(1)
    compute.wait_until(lambda: compute.groups["s-1"].errors)

    shown = gcloud("instance-groups", "managed", "list-errors", "s-1", f"--region={REGION}")

    assert "ZONE_RESOURCE_POOL_EXHAUSTED" in shown


def test_members_are_taken_out_and_groups_removed(gcloud: Gcloud, group: Grouping, compute: ComputeSimulator) -> None:
    name, other = group(2)

    gcloud("instance-groups", "managed", "delete-instances", "s-1", f"--instances={name}", f"--region={REGION}")

    compute.wait_until(lambda: [each.vm.name for each in compute.instances] == [other])
    gcloud("instance-groups", "managed", "delete", "s-1", f"--region={REGION}")
    compute.wait_until(lambda: not compute.groups)
    assert gcloud("instance-templates", "list", "--format=value(name)").split() == ["s-1"]
    gcloud("instance-templates", "delete", "s-1", f"--region={REGION}")


def test_what_there_is_to_choose_from(gcloud: Gcloud, compute: ComputeSimulator) -> None:
    types = gcloud("machine-types", "list", f"--zones={REGION}-a", "--format=value(name)").split()
    region = json.loads(gcloud("regions", "describe", REGION, "--format=json"))
    gpus = gcloud("accelerator-types", "list", "--format=value(name)").split()

    assert {"n1-standard-1", "t2a-standard-1"} <= set(types)
    assert "CPUS" in [quota["metric"] for quota in region["quotas"]]
    assert "nvidia-tesla-t4" in gpus
