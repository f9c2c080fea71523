"""`sparkles validate`: the real command against the stand-ins of Google's services, with one thing wrong at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from conftest import User

ACCOUNT = "sparkles-node@sparkles-test.iam.gserviceaccount.com"


@pytest.fixture
def lab(user: User, setup_apis: Any, compute: Any) -> User:
    """Someone whose project is set up."""
    user.env |= {"GOOGLEAPIS_EMULATOR_HOST": setup_apis.url, "COMPUTE_EMULATOR_HOST": compute.url}
    user.env |= {"SPARKLES_REGION": "us-central1", "SPARKLES_ACCOUNT": ACCOUNT, "SPARKLES_COMPUTE": "vm"}
    user.ok("setup", "--yes")
    settings = yaml.safe_load((user.folder / ".sparkles.yaml").read_text())
    del settings["defaults"], settings["account"]  # no registry is asked in tests, and the account is set above
    user.write(".sparkles.yaml", yaml.safe_dump(settings))
    return user


def failed(user: User) -> dict[str, str]:
    """Return what is not well, and what is said of it."""
    done = user("validate")
    faults = [line for line in done.stdout.splitlines() if not line.startswith(("ok ", "unknown "))]
    assert done.returncode == (3 if faults else 0), done.stderr
    return dict(line.split(maxsplit=1)[1].partition(": ")[::2] for line in faults)


@pytest.mark.in_cloud
def test_all_is_well_in_a_project_that_was_set_up(lab):
    printed = lab.ok("validate").splitlines()

    assert {line.split()[0] for line in printed} == {"ok"}
    assert any(line.startswith("ok       quotas: CPUS ") for line in printed)
    assert f"ok       account of nodes: {ACCOUNT}, and you may start nodes with it" in printed


@pytest.mark.in_cloud
def test_it_leaves_no_trace(lab, setup_apis):
    before, asked = lab.stores.held(), len(setup_apis.changes)

    rows = lab.rows("validate")

    assert {row["state"] for row in rows} == {"ok"}
    assert lab.stores.held() == before
    assert len(setup_apis.changes) == asked


def _forget_account(apis: Any) -> None:
    apis.project.accounts.clear()


def _forget_roles(apis: Any) -> None:
    apis.project.policy("projects/sparkles-test")["bindings"].clear()


def _turn_off(api: str) -> Callable[[Any], None]:
    return lambda apis: apis.project.enabled.remove(f"{api}.googleapis.com")


def _deny(permission: str) -> Callable[[Any], None]:
    return lambda apis: apis.project.denied.add(permission)


FAULTS = [
    pytest.param(_turn_off("compute"), "APIs", "'gcloud services enable compute.googleapis.com", id="an API is off"),
    pytest.param(
        _deny("compute.instanceGroupManagers.create"),
        "your rights",
        "--role=roles/compute.instanceAdmin.v1",
        id="a right",
    ),
    pytest.param(_deny("datastore.entities.list"), "your rights", "--role=roles/datastore.user", id="another right"),
    pytest.param(_forget_account, "account of nodes", "'sparkles setup' makes it", id="no account"),
    pytest.param(
        _deny("iam.serviceAccounts.actAs"),
        "account of nodes",
        "--role=roles/iam.serviceAccountUser",
        id="not to act as",
    ),
    pytest.param(_forget_roles, "rights of nodes", "lacks roles/datastore.user, projects/", id="roles of nodes"),
]


@pytest.mark.in_cloud
@pytest.mark.parametrize(("spoil", "what", "words"), FAULTS)
def test_what_is_wrong_is_named_with_what_mends_it(lab, setup_apis, spoil, what, words):
    spoil(setup_apis)

    assert words in failed(lab)[what]


@pytest.mark.in_cloud
def test_what_one_may_not_look_at_is_no_fault(lab, setup_apis):
    setup_apis.project.denied |= {"resourcemanager.projects.getIamPolicy", "resourcemanager.projects.get"}

    states = {row["check"]: row["state"] for row in lab.rows("validate")}

    assert {check for check, state in states.items() if state == "unknown"} == {"project", "rights of nodes"}


@pytest.mark.in_cloud
def test_what_stands_on_something_that_fails_is_not_tried(lab, setup_apis):
    setup_apis.project.enabled.remove("compute.googleapis.com")

    assert failed(lab)["quotas"] == "needs region us-central1"


@pytest.mark.in_cloud
def test_a_bucket_that_is_not_there_is_named(lab):
    lab.env["SPARKLES_BUCKET"] = "nobody-has-this-one"

    assert "there is no bucket gs://nobody-has-this-one" in failed(lab)["bucket"]


@pytest.mark.in_cloud
def test_machines_that_cannot_be_had_are_named(lab, compute):
    compute.quota("CPUS", 0)
    lab.write(".sparkles.yaml", "defaults: {machineType: n9-odd-1}\nzones: [us-central1-a]\n")

    assert failed(lab).keys() == {"machine type n9-odd-1", "quotas"}


@pytest.mark.in_cloud
def test_a_region_and_its_zones_must_exist(lab):
    lab.env["SPARKLES_ZONES"] = "us-central1-x"
    assert "no zone of us-central1: us-central1-x; there is: us-central1-a" in failed(lab)["region us-central1"]

    lab.env |= {"SPARKLES_REGION": "moon-1", "SPARKLES_ZONES": ""}
    assert "there is no region moon-1" in failed(lab)["region moon-1"]


@pytest.mark.in_cloud
def test_without_an_account_nodes_would_have_too_many_rights(lab):
    lab.env["SPARKLES_ACCOUNT"] = ""

    assert "the project's default account" in failed(lab)["account of nodes"]


@pytest.mark.in_cloud
def test_the_way_out_is_known(lab, compute):
    compute.add_nat("nat")

    assert "ok       way out: by Cloud NAT nat, too: 'externalIp: false' works" in lab.ok("validate").splitlines()


@pytest.mark.in_cloud
def test_nodes_have_the_rights_that_the_simulated_machines_have(lab):
    from gcp.gce.rights import OF_NODES

    from sparkles.backends.gcp.setup.wanted import NODE_PERMISSIONS

    assert set(NODE_PERMISSIONS) == OF_NODES


@pytest.mark.at_home("asks no store in the cloud")
def test_at_home_the_home_and_docker_are_tried(user):
    assert user.ok("validate").splitlines()[0] == f"ok       home: {user.sparkles_home}, which the first job makes"

    user.sparkles_home.mkdir(mode=0o700)
    checks = [row["check"] for row in user.rows("validate")]

    assert checks == ["home", "state", "docker"]


@pytest.mark.at_home("asks no store in the cloud")
def test_a_home_that_cannot_be_made_is_named(user):
    user.env["SPARKLES_HOME"] = str(user.write("a-file", "") / "sparkles")

    assert failed(user).keys() == {"home", "state"}
