"""`sparkles gc`: what nobody needs goes, what anybody may need stays."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from typing import Any

import pytest
from conftest import User
from contracts.nouns import a_claimed_task, a_cluster, a_node, put

from sparkles.model import NodeState

DAY = 86_400.0
COS = "projects/cos-cloud/global/images/family"
BLOBS = ".sparkles/cas/"


def let_pass(user: User, days: float) -> None:
    """Let all objects be as old as if so many days had passed."""
    if hasattr(user.stores, "cloud"):
        holdings = user.stores.cloud.storage.holdings
        with holdings.lock:
            objects = holdings.bucket(user.stores.cloud.bucket).objects
            for name, stored in objects.items():
                objects[name] = replace(stored, created=stored.created - days * DAY)
    for path in user.sparkles_home.rglob("*"):
        if not path.is_symlink() and path.name != "state.db":
            os.utime(path, (time.time(), path.stat().st_mtime - days * DAY))


def blobs(user: User) -> set[bytes]:
    """Return what is stored under hashes."""
    return set(user.stores.files(BLOBS.rstrip("/")).values())


@pytest.fixture
def lab(user: User) -> User:
    """Someone with a job that is done, and one that is deleted, of a file each."""
    for name in ("kept", "deleted"):
        user.write(f"{name}.txt", name)
        user.ok("sub", "-n", name, "-u", f"{name}.txt", "cat", f"{name}.txt")
    user.ok("delete", "deleted", "--results")
    return user


def found(user: User, *words: str) -> list[dict[str, Any]]:
    return [row for row in user.rows("gc", "--dry-run", *words) if row["kind"] in ("blob", "probe", "boot log")]


def test_files_of_deleted_jobs_go_when_they_are_old(lab):
    let_pass(lab, 8)

    (row,) = found(lab)
    printed = lab.ok("gc", "--yes")

    assert (row["kind"], row["size"], row["age"] // DAY, row["why"]) == ("blob", 7, 8, "no manifest names it")
    assert printed.endswith("removed\n")
    assert blobs(lab) == {b"kept"}
    assert lab.ok("retry", "kept") is not None
    assert found(lab) == []


def test_what_is_young_stays(lab):
    let_pass(lab, 6)

    assert found(lab) == []


def test_without_a_yes_nothing_is_removed(lab):
    let_pass(lab, 8)
    before = lab.stores.objects()

    done = lab("gc")

    assert done.returncode == 2
    assert done.stderr.endswith("would be removed; nothing was changed; to go ahead add --yes\n")
    assert lab.stores.objects() == before


def test_a_dry_run_changes_nothing(lab):
    let_pass(lab, 8)
    before = lab.everything()

    assert "no manifest names it" in lab.ok("gc", "--dry-run")

    assert lab.everything() == before


def test_what_a_submission_counts_on_is_used_anew(lab):
    let_pass(lab, 8)
    (lab.sparkles_home / "known.db").unlink(missing_ok=True)  # what was seen there a week ago is not believed any more

    lab.ok("sub", "-n", "again", "-u", "deleted.txt", "--no-wait", "cat", "deleted.txt")
    lab.ok("delete", "again", "--yes", "--results")

    assert found(lab) == []  # somebody else may count on it by now


def test_what_is_touched_between_the_look_and_the_removal_stays(lab):
    from sparkles import garbage
    from sparkles.backends.registry import keepers, open_backend
    from sparkles.config import settings

    let_pass(lab, 8)
    (lab.sparkles_home / "known.db").unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in lab.environment().items():
            patch.setenv(name, value)
        chosen = settings(backend=None, config=None, environment=os.environ, cwd=lab.folder, home=lab.home)
        backend = open_backend(chosen, write=True)
        listed = [each for each in garbage.find(backend, keepers(chosen), now=time.time()) if each.kind == "blob"]
        assert backend.objects.missing([each.name for each in listed]) == set()

        for each in listed:
            each.remove()

    assert blobs(lab) == {b"kept", b"deleted"}


def test_a_job_that_waits_keeps_its_files(user):
    user.write("later.txt", "later")
    user.write("job.yaml", WAITS)
    user.ok("sub", "-n", "first", "--no-wait", "sleep", "600")
    user.ok("apply", "job.yaml")
    let_pass(user, 100)

    assert [row for row in user.rows("gc", "--dry-run") if row["kind"] in ("blob", "cluster", "node folder")] == []
    user.ok("kill", "first", "second")


WAITS = """\
apiVersion: sparkles/v1
kind: Job
metadata: {name: second}
spec:
  command: cat later.txt
  uploads: [later.txt]
  needs: [first]
"""


@pytest.mark.at_home("is about what is kept at home")
def test_what_dead_nodes_left_goes(user):
    user.ok("sub", "-n", "j", "true")
    old, young = user.sparkles_home / "nodes" / "old", user.sparkles_home / "nodes" / "young"
    trash = user.sparkles_home / "objects" / ".sparkles" / "trash" / "x"
    for folder in (old, user.sparkles_home / "cache" / "old", trash, user.sparkles_home / "work" / "old"):
        folder.mkdir(parents=True)
    (old / "log").write_text("it went wrong")
    let_pass(user, 2)
    young.mkdir()

    rows = {(row["kind"], row["name"]) for row in user.rows("gc", "--dry-run")}
    user.ok("gc", "--yes")

    assert rows == {("node folder", "old"), ("trash", "x")}
    assert not old.exists()
    assert not trash.exists()
    assert young.exists()
    assert user.ok("sub", "-n", "k", "echo", "fine")


@pytest.mark.at_home("Google's emulator lets no record be old")
def test_records_of_nodes_and_clusters_that_are_gone_for_long_go(user):
    user.ok("sub", "-n", "j", "true")
    gone = [
        a_node(f"gone-{name}", state=NodeState.GONE, created=made)
        for name, made in (("old", 1.0), ("now", time.time()))
    ]
    with user.stores.state() as state:
        put(state, *gone, a_node("lost", state=NodeState.LOST, created=1.0), a_cluster("nobodys"))
        put(state, a_claimed_task(7, job="k", node="lost"))

    rows = [(row["kind"], row["name"], row["why"]) for row in user.rows("gc", "--dry-run")]
    user.ok("gc", "--yes")

    assert rows == [("node", "gone-old", "it is gone"), ("cluster", "nobodys", "no job names it")]
    with user.stores.state() as state:
        assert {"gone-now", "lost"} <= {node.name for node in state.past_nodes()}
        assert [cluster.name for cluster in state.clusters()] == [state.jobs()[0].cluster]


@pytest.mark.in_cloud
class TestGroups:
    """Groups of VMs, and VMs, in a project that several share."""

    @pytest.fixture
    def lab(self, user: User, setup_apis: Any, compute: Any) -> User:
        """Someone whose nodes are VMs."""
        user.env |= {"GOOGLEAPIS_EMULATOR_HOST": setup_apis.url, "COMPUTE_EMULATOR_HOST": compute.url}
        user.env |= {"SPARKLES_COMPUTE": "vm", "SPARKLES_REGION": "us-central1"}
        return user

    def test_those_that_no_job_needs_go_with_what_they_are_made_from(self, lab, compute):
        make_group(compute, lab, "s-0123456789abcdef")
        make_group(compute, lab, "s-0123456789abcdef-od")
        let_groups_age(compute)

        rows = lab.rows("gc", "--dry-run")
        lab.ok("gc", "--yes")

        assert [row["name"] for row in rows] == ["s-0123456789abcdef", "s-0123456789abcdef-od"]
        assert (compute.groups, compute.world.templates) == ({}, {})

    def test_what_others_made_in_the_project_stays(self, lab, compute):
        make_group(compute, lab, "s-0123456789abcdef", bucket="somebody-elses")
        make_group(compute, lab, "web", told=None)
        let_groups_age(compute)

        assert lab.rows("gc", "--dry-run") == []

    def test_a_young_one_stays_for_somebody_may_be_about_to_use_it(self, lab, compute):
        make_group(compute, lab, "s-0123456789abcdef")

        assert lab.rows("gc", "--dry-run") == []

    def test_that_of_a_job_which_is_not_done_stays(self, lab, compute):
        lab.env["SPARKLES_COMPUTE"] = "local"
        lab.ok("sub", "-n", "j", "--no-wait", "sleep", "600")
        lab.env["SPARKLES_COMPUTE"] = "vm"
        with lab.stores.state() as state:
            (job,) = state.jobs()
        make_group(compute, lab, job.cluster)
        let_groups_age(compute)

        assert [row for row in lab.rows("gc", "--dry-run") if row["kind"] == "group"] == []


def make_group(compute: Any, user: User, name: str, *, bucket: str = "", told: str | None = "sparkles-node") -> None:
    """Make a group without VMs, as a submission does."""
    from sparkles.backends.gcp.setup.api import Apis

    gcp = {"project": "sparkles-test", "bucket": bucket or user.stores.cloud.bucket, "database": "(default)"}
    items = [{"key": told, "value": json.dumps({"gcp": gcp, "cluster": name})}] if told else []
    template = {
        "name": name,
        "properties": {
            "machineType": "n1-standard-1",
            "disks": [{"boot": True, "initializeParams": {"sourceImage": f"{COS}/cos-stable"}}],
            "networkInterfaces": [{"network": "global/networks/default"}],
            "metadata": {"items": items},
        },
    }  # fmt: skip
    group = {
        "name": name, "baseInstanceName": name, "targetSize": 0,
        "instanceTemplate": f"projects/sparkles-test/regions/us-central1/instanceTemplates/{name}",
    }  # fmt: skip
    region = "compute/v1/projects/sparkles-test/regions/us-central1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPUTE_EMULATOR_HOST", compute.url)
        apis = Apis("sparkles-test")
        apis.post("compute", f"{region}/instanceTemplates", template)
        apis.post("compute", f"{region}/instanceGroupManagers", group)


def let_groups_age(compute: Any) -> None:
    with compute.world.lock:
        for group in compute.world.groups.values():
            group.created -= DAY
