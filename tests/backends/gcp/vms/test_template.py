"""What Compute Engine is asked for: a table of machines, each held to Google's discovery document."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from contracts.nouns import a_machine

from sparkles.backends.gcp.vms import template
from sparkles.backends.gcp.vms.labels import our_labels, safe_labels
from sparkles.errors import RequestError
from sparkles.machine import Disk, Machine

PLAIN = replace(
    a_machine(), type="n1-standard-1", gpu=None, gpus=0, disks=(), mounts=(), spot=False, on_demand_after=None
)


@pytest.fixture(scope="module")
def document() -> Any:
    """Google's discovery document."""
    pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")
    from gcp.discovery import Document

    return Document.load("compute.v1")


def properties(machine: Machine, *, spot: bool | None = None) -> Any:
    spot = machine.spot if spot is None else spot
    made = template.template("s-1", machine, spot=spot, metadata={"a": "b"}, labels={"sparkles": "node"})
    return made["properties"]


MACHINES = [
    PLAIN,
    a_machine(),
    replace(PLAIN, external_ip=False, account=None),
    replace(PLAIN, subnetwork="lab"),
    replace(PLAIN, type="t2a-standard-1"),
    replace(PLAIN, type="a2-highgpu-1g"),
    replace(PLAIN, disks=(Disk(size_gb=375, type="local-ssd", mount="/fast"),)),
    replace(PLAIN, spot=True),
]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_template_is_what_google_s_document_describes(document, machine) -> None:
    made = template.template("s-1", machine, spot=machine.spot, metadata={"a": "b"}, labels={})
    method = document.methods["compute.regionInstanceTemplates.insert"]

    assert list(document.wrong_request(method, made)) == []


def test_a_plain_machine_is_google_s_container_system_with_one_disk_and_an_address() -> None:
    made = properties(PLAIN)

    (disk,) = made["disks"]
    (interface,) = made["networkInterfaces"]
    assert made["machineType"] == "n1-standard-1"
    assert disk["initializeParams"] == {
        "sourceImage": "projects/cos-cloud/global/images/family/cos-stable",
        "diskSizeGb": "40",
        "diskType": "pd-balanced",
    }
    assert disk["boot"]
    assert disk["autoDelete"]
    assert interface["network"] == "global/networks/default"
    assert interface["accessConfigs"]
    assert "guestAccelerators" not in made
    assert made["serviceAccounts"] == [
        {"email": "node@p.iam.gserviceaccount.com", "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, {"provisioningModel": "STANDARD", "onHostMaintenance": "MIGRATE"}, id="standard"),
        pytest.param(
            {"spot": True},
            {"provisioningModel": "SPOT", "onHostMaintenance": "TERMINATE", "automaticRestart": False},
            id="spot",
        ),
        pytest.param(
            {"gpu": "nvidia-tesla-t4", "gpus": 1},
            {"provisioningModel": "STANDARD", "onHostMaintenance": "TERMINATE"},
            id="attached GPUs cannot be moved",
        ),
        pytest.param(
            {"type": "g2-standard-4"},
            {"provisioningModel": "STANDARD", "onHostMaintenance": "TERMINATE"},
            id="nor can those of the type",
        ),
    ],
)
def test_every_machine_has_an_end(change, expected) -> None:
    made = properties(replace(PLAIN, **change))["scheduling"]

    assert made == {**expected, "maxRunDuration": {"seconds": "604800"}, "instanceTerminationAction": "DELETE"}


def test_the_group_that_helps_out_has_standard_machines() -> None:
    made = properties(a_machine(), spot=False)["scheduling"]

    assert made["provisioningModel"] == "STANDARD"


def test_an_arm_machine_starts_from_an_arm_image() -> None:
    made = properties(replace(PLAIN, type="t2a-standard-1"))

    assert made["disks"][0]["initializeParams"]["sourceImage"].endswith("/cos-arm64-stable")


def test_further_disks_go_with_the_node_and_are_found_by_number() -> None:
    disks = (Disk(size_gb=100, type="pd-ssd", mount="/a"), Disk(size_gb=375, type="local-ssd", mount="/b"))

    _, first, second = properties(replace(PLAIN, disks=disks))["disks"]

    assert first == {
        "autoDelete": True, "deviceName": "sparkles-0", "type": "PERSISTENT",
        "initializeParams": {"diskSizeGb": "100", "diskType": "pd-ssd"},
    }  # fmt: skip
    assert second == {
        "autoDelete": True, "deviceName": "sparkles-1", "type": "SCRATCH", "interface": "NVME",
        "initializeParams": {"diskType": "local-ssd"},
    }  # fmt: skip


def test_gpus_are_attached() -> None:
    assert properties(a_machine())["guestAccelerators"] == [
        {"acceleratorType": "nvidia-tesla-t4", "acceleratorCount": 1}
    ]


def test_a_node_without_an_external_ip_has_no_address_on_the_internet() -> None:
    (interface,) = properties(replace(PLAIN, external_ip=False))["networkInterfaces"]

    assert "accessConfigs" not in interface


def test_a_network_of_another_project_is_named_by_its_path() -> None:
    shared = "projects/host/regions/us-central1/subnetworks/lab"

    (interface,) = properties(replace(PLAIN, subnetwork=shared))["networkInterfaces"]

    assert interface["subnetwork"] == shared
    assert "network" not in interface


def test_a_group_repairs_moves_where_there_is_room_and_replaces_nothing_by_itself() -> None:
    made = template.group("s-1", template="t", zones=["z-a", "z-b"])

    assert made["targetSize"] == 0
    assert made["distributionPolicy"] == {"targetShape": "ANY", "zones": [{"zone": "z-a"}, {"zone": "z-b"}]}
    assert made["instanceLifecyclePolicy"]["onRepair"] == {"allowChangingZone": "YES"}
    assert made["updatePolicy"] == {"type": "OPPORTUNISTIC", "instanceRedistributionType": "NONE"}
    assert "autoHealingPolicies" not in made


@pytest.mark.parametrize("job", ["Lambda.Sweep", "20190212-212815-bf0a", "x" * 80, "Ünïcode"])
def test_any_job_s_name_can_be_a_label(job) -> None:
    for value in our_labels(job, "s-1").values():
        assert re.fullmatch("[a-z0-9_-]{0,63}", value)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"1st": "x"}, "begin with a letter"),
        ({"sparkles": "x"}, "writes this label itself"),
        ({"A": "1", "a": "2"}, "so is another one"),
        ({f"k{i}": "" for i in range(62)}, "61 at most"),
    ],
)
def test_a_label_that_no_vm_can_have_is_refused(labels, said) -> None:
    with pytest.raises(RequestError, match=said):
        safe_labels(labels)
