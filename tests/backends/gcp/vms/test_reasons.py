"""Why nodes do not come: for each thing that Google says, the words and the way out."""

from __future__ import annotations

import pytest
from contracts.nouns import a_machine

from sparkles.backends.gcp.vms import reasons
from sparkles.backends.gcp.vms.reasons import Fault

MACHINE = a_machine(type="n1-standard-4", gpu=None, gpus=0, spot=False)


def words(code: str, message: str, **fields: object) -> str:
    (found,) = reasons.troubles([Fault(code=code, message=message)], machine=a_machine(**fields), project="p")
    return found


@pytest.mark.parametrize(
    ("code", "message", "says", "mends"),
    [
        pytest.param(
            "ZONE_RESOURCE_POOL_EXHAUSTED",
            "The zone 'projects/p/zones/us-central1-a' does not have enough resources available to fulfill it.",
            "Google has no spot n1-standard-4 with 1 nvidia-tesla-t4 free in us-central1-a or us-central1-b now",
            "leave out --spot",
            id="stockout",
        ),
        pytest.param(
            "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
            "A n1-standard-4 VM instance is currently unavailable in the us-central1-b zone.",
            "free in us-central1-a or us-central1-b now",
            "another machine type (-m)",
            id="stockout with details",
        ),
        pytest.param(
            "UNSUPPORTED_OPERATION",
            "The zone 'projects/p/zones/us-central1-a' does not have enough resources available to fulfill it.",
            "free in us-central1-a or us-central1-b now",
            "it is tried again by itself",
            id="stockout under another code",
        ),
        pytest.param(
            "QUOTA_EXCEEDED",
            "Quota 'PREEMPTIBLE_NVIDIA_T4_GPUS' exceeded.  Limit: 1.0 in region us-central1.",
            "no more of PREEMPTIBLE_NVIDIA_T4_GPUS: its quota is 1 in region us-central1; use fewer nodes (--nodes)",
            "https://console.cloud.google.com/iam-admin/quotas?project=p",
            id="quota",
        ),
        pytest.param(
            "quotaExceeded",
            "Quota CPUS_ALL_REGIONS exceeded. Limit: 12.5 globally.",
            "CPUS_ALL_REGIONS: its quota is 12.5 globally;",
            "ask for more at",
            id="quota of all regions",
        ),
        pytest.param(
            "QUOTA_EXCEEDED", "Too many.", "has used up a quota (Too many.)", "fewer nodes", id="quota in other words"
        ),
        pytest.param(
            "PERMISSIONS_ERROR",
            "Required 'compute.subnetworks.use' permission for 'projects/p/regions/us-central1/subnetworks/default'",
            "lacks the right compute.subnetworks.use",
            "--role=roles/compute.instanceAdmin.v1",
            id="right of the service agent",
        ),
        pytest.param(
            "SERVICE_ACCOUNT_ACCESS_DENIED",
            "The user does not have access to service account 'node@p.iam.gserviceaccount.com'.",
            "may not give them the service account node@p.iam.gserviceaccount.com",
            "--role=roles/iam.serviceAccountUser",
            id="right to use the account",
        ),
        pytest.param("PERMISSION_DENIED", "No.", "a right is missing (No.)", "sparkles validate", id="any other right"),
        pytest.param(
            "RESOURCE_NOT_FOUND",
            "The resource 'node@p.iam.gserviceaccount.com' of type 'serviceAccount' was not found.",
            "there is no service account node@p.iam.gserviceaccount.com",
            "'sparkles setup' makes one",
            id="no such account",
        ),
        pytest.param(
            "INVALID_FIELD_VALUE",
            "Invalid value for field 'resource.machineType': 'n1-standrd-4'. Machine type with name 'n1-standrd-4' "
            "does not exist in zone 'us-central1-a'.",
            "there is no machine type n1-standard-4 in us-central1-a",
            "gcloud compute machine-types list --filter=name=n1-standard-4",
            id="no such machine type",
        ),
        pytest.param(
            "RESOURCE_NOT_FOUND",
            "The resource 'projects/p/zones/us-central1-f/acceleratorTypes/nvidia-tesla-t4' was not found",
            "there is no GPU nvidia-tesla-t4 in us-central1-f",
            "accelerator-types list --filter=name=nvidia-tesla-t4",
            id="no such gpu there",
        ),
        pytest.param(
            "INVALID_FIELD_VALUE",
            "Invalid value for field 'resource.guestAccelerators[0].acceleratorType': 'https://www.googleapis.com/compute/"
            "v1/projects/p/zones/us-central1-f/acceleratorTypes/nvidia-x9'. The referenced resource does not exist.",
            "there is no GPU nvidia-x9 in us-central1-f",
            "accelerator-types list --filter=name=nvidia-x9",
            id="no such gpu anywhere",
        ),
        pytest.param(
            "INVALID_USAGE",
            "[nvidia-tesla-t4, e2-standard-4] features are not compatible for creating instance.",
            "cannot have the GPU nvidia-tesla-t4",
            "-m n1-standard-4",
            id="a gpu needs n1",
        ),
        pytest.param(
            "INVALID_USAGE",
            "[c4-standard-2, pd-balanced] features are not compatible for creating instance.",
            "these do not go together: c4-standard-2, pd-balanced",
            "hyperdisk-balanced",
            id="a disk that the type cannot have",
        ),
        pytest.param(
            "INVALID_FIELD_VALUE",
            "Invalid value for field 'resource.disks[0].initializeParams.diskType': 'pd-fast'. Disk type not found.",
            "no such type of disk",
            "gcloud compute disk-types list",
            id="no such type of disk",
        ),
        pytest.param(
            "INVALID_FIELD_VALUE",
            "Requested disk size cannot be smaller than the image size (10 GB)",
            "a disk is too small (Requested disk size cannot be smaller than the image size (10 GB))",
            "raise resources.bootDisk.sizeGb",
            id="too small a disk",
        ),
        pytest.param(
            "INVALID_FIELD_VALUE",
            "Invalid value for field 'resource.disks[1].initializeParams.diskSizeGb': '99999999'.",
            "cannot have that size",
            "sizeGb of resources.disks",
            id="too large a disk",
        ),
        pytest.param(
            "RESOURCE_NOT_FOUND",
            "The resource 'projects/cos-cloud/global/images/family/cos-stable' was not found",
            "what machines start from is not there: global/images/family/cos-stable",
            "too old",
            id="no such boot image",
        ),
        pytest.param(
            "RESOURCE_NOT_FOUND",
            "The resource 'projects/p/global/networks/default' was not found",
            "there is no network default in project p",
            "gcloud compute networks create default",
            id="no such network",
        ),
        pytest.param(
            "CONDITION_NOT_MET",
            "Constraint constraints/compute.vmExternalIpAccess violated for project 1. Add instance "
            "projects/p/zones/us-central1-a/instances/i to the constraint to use external IP with it.",
            "allow no machine an external IP address",
            "resources.externalIp: false",
            id="no external address",
        ),
        pytest.param(
            "CONDITION_NOT_MET",
            "Constraint constraints/compute.requireShieldedVm violated for project projects/p.",
            "forbid it (compute.requireShieldedVm)",
            "whoever administers them",
            id="another rule of the organisation",
        ),
        pytest.param(
            "accessNotConfigured",
            "Compute Engine API has not been used in project 1 before or it is disabled.",
            "Compute Engine is not turned on in project p",
            "gcloud services enable compute.googleapis.com --project=p",
            id="the API is off",
        ),
        pytest.param(
            "RESOURCE_OPERATION_RATE_EXCEEDED", "Slow down.", "asked less often", "nothing needs", id="too often"
        ),
        pytest.param("SOMETHING_NEW", "The moon is {full}.", "The moon is {full}.", "", id="unknown: Google's words"),
        pytest.param("SOMETHING_NEW", "", "SOMETHING_NEW", "", id="unknown, and without a word"),
    ],
)
def test_what_google_says_becomes_words_with_a_way_out(code: str, message: str, says: str, mends: str) -> None:
    found = words(code, message)

    assert says in found
    assert mends in found


def test_a_standard_machine_is_not_told_to_leave_out_spot() -> None:
    found = words("ZONE_RESOURCE_POOL_EXHAUSTED", "", spot=False, gpu=None, zones=())

    assert "--spot" not in found
    assert "Google has no n1-standard-4 free in us-central1 now" in found


def test_the_same_trouble_of_many_is_one_line_with_the_zones_and_a_count() -> None:
    absent = [
        Fault(
            code="RESOURCE_NOT_FOUND",
            message=f"The resource 'projects/p/zones/us-central1-{letter}/machineTypes/n1-standard-4' was not found",
        )
        for letter in "bab"
    ]
    quota = Fault(code="QUOTA_EXCEEDED", message="Quota 'CPUS' exceeded.  Limit: 24.0 in region us-central1.")

    most, other = reasons.troubles([quota, *absent], machine=MACHINE, project="p")

    assert "there is no machine type n1-standard-4 in us-central1-a or us-central1-b" in most
    assert most.endswith("(nodes: 3)")
    assert "its quota is 24 in region us-central1" in other
    assert other.endswith("(nodes: 1)")


@pytest.mark.parametrize(
    ("line", "mends"),
    [
        ("image r-base@sha256:22 could not be pulled: no space left on device", "raise resources.bootDisk.sizeGb"),
        ("image quay.io/me/x@sha256:22 could not be pulled: unauthorized", "copy the image to Artifact Registry"),
        ("image r-base@sha256:22 could not be pulled: manifest unknown", "push it again"),
        ("image nvidia/cuda@sha256:4034 could not be pulled: no such host", "Cloud NAT"),
        ("image x@sha256:22: exec format error", "another processor than n1-standard-4 has"),
        ("the worker program does not have its sha256", "a file of sparkles in the bucket is damaged"),
        ("the GPU driver could not be installed", "try another zone, or another GPU"),
        ("fetching the worker program: 403 Forbidden", "the account node@p.iam.gserviceaccount.com lacks a right"),
        ("image r-base@sha256:22 could not be pulled: dial tcp: lookup registry-1.docker.io: i/o timeout", "Cloud NAT"),
        ("no network: the metadata server does not answer", "Cloud NAT"),
    ],
)
def test_a_machine_that_dies_while_it_starts_says_why_and_what_to_do(line: str, mends: str) -> None:
    (found,) = reasons.bad_boots([line], machine=MACHINE, project="p")

    assert found.startswith(f"a node did not start: {line}; ")
    assert mends in found


def test_machines_that_say_the_same_are_one_line_and_the_unknown_is_passed_on() -> None:
    found = reasons.bad_boots(["the moon is {full}", "", "the moon is {full}"], machine=MACHINE, project="p")

    assert found == (
        "a node did not start: the moon is {full} (nodes: 2)",
        "a node did not start: it said nothing (nodes: 1)",
    )


@pytest.mark.parametrize(
    ("preemptions", "fields", "is_said"),
    [
        (3, {"on_demand_after": None}, True),
        (2, {"on_demand_after": None}, False),
        (3, {"on_demand_after": 2}, False),
        (3, {"on_demand_after": None, "spot": False}, False),
    ],
)
def test_spot_nodes_that_are_taken_away_all_the_time_are_worth_a_word(preemptions, fields, is_said) -> None:
    found = reasons.taken_away(preemptions=preemptions, machine=a_machine(**fields))

    assert (found is not None) == is_said
    assert not is_said or "nodes.onDemandAfter" in found
