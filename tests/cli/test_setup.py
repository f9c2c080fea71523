"""`sparkles setup`: the real command against the stand-ins of Google's set-up APIs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from conftest import User, eventually

pytestmark = pytest.mark.in_cloud

ACCOUNT = "sparkles-node@sparkles-test.iam.gserviceaccount.com"
STEPS = 10


@pytest.fixture
def newcomer(user: User, setup_apis: Any) -> User:
    """Someone with a project in which there is nothing, and without a configuration."""
    for name in ("SPARKLES_BUCKET", "SPARKLES_PROJECT", "SPARKLES_COMPUTE", "SPARKLES_BACKEND", "GOOGLE_CLOUD_PROJECT"):
        user.env[name] = ""
    user.env["GOOGLEAPIS_EMULATOR_HOST"] = setup_apis.url
    return user


@pytest.fixture
def words(user: User) -> tuple[str, ...]:
    """The command, with a bucket that nobody has."""
    bucket = f"{user.stores.cloud.bucket}-new"
    return ("setup", "--project", "sparkles-test", "--region", "us-central1", "--bucket", bucket)


def test_it_makes_all_and_says_so(newcomer, words, setup_apis):
    setup_apis.project.slowness = 1

    printed = newcomer.ok(*words, "--yes").splitlines()

    assert [line[0] for line in printed] == ["+"] * (STEPS + 1)
    project, bucket = setup_apis.project, words[-1]
    assert project.enabled >= {"compute.googleapis.com", "datastore.googleapis.com", "iam.googleapis.com"}
    assert project.databases["projects/sparkles-test/databases/(default)"]["type"] == "DATASTORE_MODE"
    assert project.accounts.keys() == {ACCOUNT}
    holdings = newcomer.stores.cloud.storage.holdings
    said = holdings.bucket(bucket).said
    assert said["location"] == "us-central1"
    assert said["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"] is True
    assert yaml.safe_load((newcomer.folder / ".sparkles.yaml").read_text()) == {
        "project": "sparkles-test", "region": "us-central1", "bucket": bucket, "account": ACCOUNT,
        "defaults": {"image": "python:3.13-slim"},
    }  # fmt: skip


def test_nodes_get_few_rights_and_only_where_they_need_them(newcomer, words, setup_apis):
    newcomer.ok(*words, "--yes")

    project = setup_apis.project
    assert project.roles["projects/sparkles-test/roles/sparklesNode"]["includedPermissions"] == [
        "compute.instanceGroupManagers.get", "compute.instanceGroupManagers.update", "compute.regionOperations.get",
    ]  # fmt: skip
    granted = {
        (name.rpartition("/")[2], binding["role"])
        for name, policy in project.policies.items()
        for binding in policy["bindings"]
        if binding["members"] == [f"serviceAccount:{ACCOUNT}"]
    }
    assert granted == {
        ("sparkles-test", "roles/datastore.user"),
        ("sparkles-test", "projects/sparkles-test/roles/sparklesNode"),
        ("sparkles", "roles/artifactregistry.reader"),
    }


def test_a_second_time_it_finds_all_and_makes_nothing(newcomer, words, setup_apis):
    newcomer.ok(*words, "--yes")
    setup_apis.forget()
    newcomer.stores.cloud.storage.requests.clear()

    printed = newcomer.ok(*words, "--yes").splitlines()

    assert [line[0] for line in printed] == ["="] * STEPS
    assert setup_apis.changes == []
    assert {each.method for each in newcomer.stores.cloud.storage.requests} == {
        "storage.buckets.get", "storage.buckets.getIamPolicy",
    }  # fmt: skip


def test_a_dry_run_only_reads(newcomer, words, setup_apis):
    printed = newcomer.ok(*words, "--dry-run").splitlines()

    assert [line[0] for line in printed] == ["?"] * STEPS
    assert setup_apis.changes == []
    assert not (newcomer.folder / ".sparkles.yaml").exists()
    assert words[-1] not in newcomer.stores.cloud.storage.holdings.buckets


def test_the_image_that_nodes_work_with_is_one_more_step(newcomer, words):
    *_, last = newcomer.ok(*words, "--worker-image", "--dry-run").splitlines()

    assert last.startswith("? would make worker image us-central1-docker.pkg.dev/sparkles-test/sparkles/worker:")


def test_without_a_terminal_it_does_not_go_ahead_by_itself(newcomer, words, setup_apis):
    done = newcomer(*words)

    assert (done.returncode, setup_apis.changes) == (2, [])
    assert done.stderr.endswith(
        "error: 10 things would be made in project sparkles-test, which may cost money; nothing was changed; to go "
        "ahead add --yes\n"
    )


#: A permission, how many steps come before the one that needs it, and the role that brings it.
REFUSALS = [
    ("serviceusage.services.enable", 0, "roles/serviceusage.serviceUsageAdmin"),
    ("datastore.databases.get", 2, "roles/datastore.viewer"),
    ("datastore.databases.create", 2, "roles/datastore.owner"),
    ("iam.serviceAccounts.create", 3, "roles/iam.serviceAccountAdmin"),
    ("iam.roles.create", 4, "roles/iam.roleAdmin"),
    ("resourcemanager.projects.setIamPolicy", 5, "roles/resourcemanager.projectIamAdmin"),
    ("artifactregistry.repositories.create", 8, "roles/artifactregistry.admin"),
    ("artifactregistry.repositories.setIamPolicy", 9, "roles/artifactregistry.admin"),
]


@pytest.mark.parametrize(("permission", "before", "role"), REFUSALS)
def test_who_lacks_a_right_is_told_who_grants_what_and_later_it_goes_on(
    newcomer, words, setup_apis, permission, before, role
):
    setup_apis.project.denied.add(permission)

    refused = newcomer(*words, "--yes")

    assert refused.returncode == 3
    assert len(refused.stdout.splitlines()) == before
    assert permission in refused.stderr
    assert f"you need {role} on project sparkles-test: whoever administers it grants it with 'gcloud " in refused.stderr

    setup_apis.project.denied.clear()
    printed = newcomer.ok(*words, "--yes").splitlines()
    assert [line[0] for line in printed] == ["="] * before + ["+"] * (STEPS - before + 1)


@pytest.mark.parametrize("changes", [1, 4, 7])
def test_one_that_is_killed_in_the_middle_goes_on_where_it_was(newcomer, words, setup_apis, changes):
    setup_apis.project.slowness = 2
    killed = newcomer.start(*words, "--yes")
    eventually(lambda: len(setup_apis.changes) >= changes)
    killed.kill()
    killed.communicate()

    printed = newcomer.ok(*words, "--yes").splitlines()

    assert len(printed) == STEPS + 1
    assert [line[0] for line in newcomer.ok(*words, "--yes").splitlines()] == ["="] * STEPS
    assert setup_apis.project.accounts.keys() == {ACCOUNT}
    bindings = setup_apis.project.policy("projects/sparkles-test")["bindings"]
    assert [len(binding["members"]) for binding in bindings] == [1, 1]


@pytest.mark.parametrize(("permission", "before"), [("storage.buckets.create", 1), ("storage.buckets.setIamPolicy", 7)])
def test_the_same_for_the_bucket(newcomer, words, permission, before):
    permissions = newcomer.stores.cloud.storage.permissions
    permissions.denied.add(permission)
    try:
        refused = newcomer(*words, "--yes")
    finally:
        permissions.denied.clear()

    assert (refused.returncode, len(refused.stdout.splitlines())) == (3, before)
    assert "you need roles/storage.admin on project sparkles-test" in refused.stderr
    assert newcomer.ok(*words, "--yes").count("\n+ ") == STEPS - before + (1 if before else 0)


def test_what_fails_for_a_moment_is_asked_for_again(newcomer, words, setup_apis):
    setup_apis.faults("iam").fail("iam.projects.serviceAccounts.create", 503)
    setup_apis.faults("firestore").lose_reply("firestore.projects.databases.create")
    setup_apis.faults("cloudresourcemanager").lose_reply("cloudresourcemanager.projects.setIamPolicy")
    setup_apis.faults("artifactregistry").reset("artifactregistry.projects.locations.repositories.create")

    newcomer.ok(*words, "--yes")

    bindings = setup_apis.project.policy("projects/sparkles-test")["bindings"]
    assert [len(binding["members"]) for binding in bindings] == [1, 1]


def test_others_may_change_the_policy_meanwhile(newcomer, words, setup_apis):
    setup_apis.faults("cloudresourcemanager").fail("cloudresourcemanager.projects.setIamPolicy", 409, times=3)

    newcomer.ok(*words, "--yes")

    assert len(setup_apis.project.policy("projects/sparkles-test")["bindings"]) == 2


def test_what_others_may_do_stays_as_it_is(newcomer, words, setup_apis):
    conditional = {
        "role": "roles/datastore.user", "members": [f"serviceAccount:{ACCOUNT}"],
        "condition": {"title": "today", "expression": "false"},
    }  # fmt: skip
    owner = {"role": "roles/owner", "members": ["user:boss@example.com"]}
    setup_apis.project.policy("projects/sparkles-test")["bindings"] = [owner, conditional]

    newcomer.ok(*words, "--yes")

    bindings = setup_apis.project.policy("projects/sparkles-test")["bindings"]
    assert bindings[:2] == [owner, conditional]
    assert [each["role"] for each in bindings[2:]] == [
        "roles/datastore.user", "projects/sparkles-test/roles/sparklesNode",
    ]  # fmt: skip


def test_a_role_with_other_permissions_becomes_ours_again(newcomer, words, setup_apis):
    newcomer.ok(*words, "--yes")
    (role,) = setup_apis.project.roles.values()
    role |= {"includedPermissions": ["compute.instances.delete"], "deleted": True}

    printed = newcomer.ok(*words, "--yes")

    assert printed.count("\n+ ") == 1
    assert role["includedPermissions"] == [
        "compute.instanceGroupManagers.get", "compute.instanceGroupManagers.update", "compute.regionOperations.get",
    ]  # fmt: skip


def test_a_database_of_the_other_kind_is_refused(newcomer, words, setup_apis):
    name = "projects/sparkles-test/databases/(default)"
    setup_apis.project.enabled.add("firestore.googleapis.com")
    setup_apis.project.databases[name] = {"name": name, "type": "FIRESTORE_NATIVE", "locationId": "us-central1"}

    done = newcomer(*words, "--dry-run")

    assert done.returncode == 3
    assert "in Firestore's native mode, which stays so; name another one with 'database: sparkles'" in done.stderr


def test_a_configuration_is_never_overwritten(newcomer, words):
    newcomer.write(".sparkles.yaml", "project: sparkles-test\n")

    done = newcomer(*words, "--yes")

    assert (newcomer.folder / ".sparkles.yaml").read_text() == "project: sparkles-test\n"
    assert "add to" in done.stderr
    assert f"bucket: {words[-1]}" in done.stderr


@pytest.mark.parametrize("variable", ["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT", "SPARKLES_PROJECT"])
def test_what_only_this_shell_is_set_to_is_written_too(newcomer, words, variable):
    newcomer.env[variable] = "sparkles-test"

    newcomer.ok(*words, "--yes")

    assert yaml.safe_load((newcomer.folder / ".sparkles.yaml").read_text())["project"] == "sparkles-test"
    newcomer.env[variable] = ""
    assert "project in" in newcomer.ok("config").splitlines()[1]


def test_where_is_needed(newcomer):
    done = newcomer("setup", "--project", "p")

    assert (done.returncode, done.stderr) == (
        2, "error: say in which project and region: add --project ID and --region NAME (such as us-central1)\n"
    )  # fmt: skip


def test_tokens_go_to_no_stranger(newcomer, words):
    newcomer.env["GOOGLEAPIS_EMULATOR_HOST"] = "http://example.com"

    done = newcomer(*words, "--dry-run")

    assert done.returncode == 3
    assert "expected http://127.0.0.1:PORT" in done.stderr
