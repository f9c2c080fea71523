"""What Compute Engine keeps for nodes: groups and VMs are found, those of others are not, and what is in use stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparkles.backends.gcp.group_keeper import GroupKeeper
from sparkles.backends.gcp.setup.api import Apis
from sparkles.config import Gcp

GCP = Gcp(project="sparkles-test", region="us-central1", bucket="b")
NAME = "s-0123456789abcdef"


@pytest.fixture
def keeper(compute: Any) -> GroupKeeper:
    return GroupKeeper(Apis("sparkles-test"), GCP)


def make_group(name: str = NAME, *, bucket: str = "b", size: int = 0) -> None:
    """Make a group as a submission does."""
    told = {"gcp": {"project": "sparkles-test", "bucket": bucket, "database": "(default)"}, "cluster": NAME}
    template = {
        "name": name,
        "properties": {
            "machineType": "n1-standard-1",
            "labels": {"sparkles": "node", "sparkles-cluster": NAME},
            "disks": [{"boot": True, "initializeParams": {
                "sourceImage": "projects/cos-cloud/global/images/family/cos-stable",
            }}],
            "networkInterfaces": [{"network": "global/networks/default"}],
            "metadata": {"items": [{"key": "sparkles-node", "value": json.dumps(told)}]},
        },
    }  # fmt: skip
    group = {
        "name": name, "baseInstanceName": name, "targetSize": size,
        "instanceTemplate": f"projects/sparkles-test/regions/us-central1/instanceTemplates/{name}",
    }  # fmt: skip
    apis, region = Apis("sparkles-test"), "compute/v1/projects/sparkles-test/regions/us-central1"
    apis.post("compute", f"{region}/instanceTemplates", template)
    apis.post("compute", f"{region}/instanceGroupManagers", group)


def test_a_group_is_found_with_its_cluster_and_its_machines(keeper, compute):
    make_group(size=2)
    make_group(f"{NAME}-od")
    make_group("s-somebody-elses", bucket="another")

    found = list(keeper.kept())

    assert [(each.kind, each.name, each.cluster, each.machines) for each in found] == [
        ("group", NAME, NAME, 2),
        ("group", f"{NAME}-od", NAME, 0),
    ]


def test_what_machines_are_made_from_is_found_without_its_group_too(keeper, compute):
    make_group()
    compute.world.groups.clear()

    (found,) = keeper.kept()
    keeper.drop([found])

    assert compute.world.templates == {}


def test_a_group_that_was_raised_since_it_was_listed_stays(keeper, compute):
    make_group()
    listed = list(keeper.kept())
    (group,) = compute.world.groups.values()
    group.target = 1

    keeper.drop(listed)

    assert list(compute.groups) == [NAME]


def test_a_machine_without_a_group_is_found_and_removed(keeper, compute):
    make_group(size=1)
    (instance,) = compute.wait_until(lambda: compute.instances)
    with compute.world.lock:
        compute.world.groups.clear()
        compute.world.templates.clear()

    (found,) = keeper.kept()
    keeper.drop([found])

    assert (found.kind, found.name, found.cluster) == ("VM", instance.vm.name, NAME)
    compute.wait_until(lambda: not compute.instances)
