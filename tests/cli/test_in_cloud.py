"""What is only so where state and files are in the cloud: several machines, somebody else's bucket, foreign clients."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import User, eventually, lives

from sparkles.backends.gcp.storage.client import storage_client

pytestmark = pytest.mark.in_cloud


@pytest.fixture
def storage(user: User) -> Any:
    """The simulator; every request must have fitted Google's document."""
    storage = user.stores.cloud.storage
    storage.violations.clear()
    yield storage
    assert storage.violations == []


@pytest.fixture
def bucket(user: User, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The user's bucket, as Google's own client sees it."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", user.stores.cloud.storage.url)
    return storage_client(user.stores.cloud.project).bucket(user.stores.cloud.bucket)


def another(user: User, folder: Path) -> User:
    """Return the same person on another machine."""
    for name in ("folder", "home"):
        (folder / name).mkdir(parents=True)
    return User(folder=folder / "folder", home=folder / "home", stores=user.stores)


# Results


def test_the_line_at_the_end_fetches_exactly_the_numbered_folders(user, tmp_path):
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("needs gcloud: https://cloud.google.com/sdk/docs/install")
    printed = user.ok("sub", "-n", "three", "--seq", "3", "sh", "-c", "echo $0 | tee out.txt", "{index}")
    line = printed.splitlines()[-1]
    url = f"gs://{user.stores.cloud.bucket}/three"
    assert line == f"Done waiting for job. You can download results via 'gsutil rsync -r {url} DEST_DIR'"

    (tmp_path / "results").mkdir()
    subprocess.run(
        [gcloud, "storage", "rsync", "-r", url, str(tmp_path / "results")],
        env={**os.environ, **_foreign(user, tmp_path)}, check=True, capture_output=True, timeout=100,
    )  # fmt: skip

    found = {str(path.relative_to(tmp_path / "results")) for path in (tmp_path / "results").rglob("*.*")}
    assert found == {f"{index}/{name}" for index in (1, 2, 3) for name in ("stdout.txt", "out.txt", "result.json")}
    assert (tmp_path / "results/2/out.txt").read_text() == "2\n"


def _foreign(user: User, folder: Path) -> Mapping[str, str]:
    from gcp.cloud import gcloud_environment

    return gcloud_environment(folder / "gcloud", storage=user.stores.cloud.storage.url)


def test_fetch_brings_what_rsync_would_and_restores_names(user):
    user.write("run.sh", "printf x > 'two\nlines.txt'; printf y > plain.txt; chmod +x plain.txt")
    user.ok("sub", "-n", "odd", "-u", "run.sh", "sh", "run.sh")

    user.ok("fetch", "odd", "results")

    folder = user.folder / "results" / "1"
    assert {path.name for path in folder.iterdir()} == {"two\nlines.txt", "plain.txt", "stdout.txt", "result.json"}
    assert os.access(folder / "plain.txt", os.X_OK)


# Uploads


def test_a_second_submission_uploads_nothing(user, storage):
    for number in range(20):
        user.write(f"data/{number}.txt", f"content {number}")
    first = user.ok("sub", "-n", "a", "-u", "data", "true").splitlines()[0]
    storage.requests.clear()

    second = user.ok("sub", "-n", "b", "-u", "data", "true").splitlines()[0]

    assert first == "20 files (190 bytes) out of 21 files will be uploaded"
    assert second == "0 files (0 bytes) out of 21 files will be uploaded"
    assert [seen for seen in storage.requests if "/cas/" in (seen.name or "") and "insert" in seen.method] == []


def test_somebody_elses_machine_uploads_nothing_either(user, tmp_path, storage):
    user.write("data.txt", "shared")
    user.ok("sub", "-n", "a", "-u", "data.txt", "cat", "data.txt")
    colleague = another(user, tmp_path / "colleague")
    colleague.write("data.txt", "shared")

    printed = colleague.ok("sub", "-n", "b", "-u", "data.txt", "cat", "data.txt")

    colleague.stop_nodes()
    assert printed.startswith("0 files (0 bytes) out of 2 files will be uploaded")


def test_an_object_of_a_bucket_is_staged_and_a_new_one_runs_again(user, bucket):
    bucket.blob("inputs/model.txt").upload_from_string("first")
    words = ("-n", "j", "-u", f"gs://{bucket.name}/inputs/model.txt:in.txt", "cat", "in.txt")
    printed = user.ok("sub", *words)
    first = user.log("j.1")

    bucket.blob("inputs/model.txt").upload_from_string("second")
    user.ok("sub", *words)

    assert printed.startswith("0 files (0 bytes) out of 1 files will be uploaded")
    assert (first, user.log("j.1")) == ("first", "second")


def test_a_node_downloads_an_object_of_a_bucket_once_for_all_its_tasks(user, bucket, storage):
    bucket.blob("inputs/model.txt").upload_from_string("large")
    storage.requests.clear()

    user.ok("sub", "-n", "j", "--seq", "4", "-u", f"gs://{bucket.name}/inputs/model.txt:in.txt", "cat", "in.txt")

    assert [user.log(f"j.{index}") for index in range(1, 5)] == ["large"] * 4
    assert storage.count("storage.objects.get", name="inputs/model.txt", part="media") == 1
    assert storage.count("storage.buckets.get") == 0


# Several machines


def test_a_job_is_seen_from_another_machine(user, tmp_path):
    user.ok("sub", "-n", "mine", "echo", "hello")
    colleague = another(user, tmp_path / "colleague")

    assert [row["job"] for row in colleague.rows("status")] == ["mine"]
    assert colleague.ok("logs", "mine.1") == "hello\n"
    assert colleague.ok("watch", "mine").startswith("[") is True
    assert not (colleague.sparkles_home / "state.db").exists()


def test_a_colleague_without_nodes_watches_stops_and_fetches_but_does_not_submit(user, tmp_path):
    user.ok("sub", "-n", "mine", "echo", "hello")
    user.ok("sub", "-n", "long", "--no-wait", "sleep", "600")
    colleague = another(user, tmp_path / "colleague")
    colleague.env["SPARKLES_COMPUTE"] = "vm"

    watched = colleague("watch", "mine")
    colleague.ok("fetch", "mine", "results")
    colleague.ok("kill", "long", "--yes")
    submitted = colleague("sub", "-n", "theirs", "-i", f"busybox@sha256:{'1' * 64}", "true")

    assert watched.returncode == 0
    assert (colleague.folder / "results/1/stdout.txt").read_text() == "hello\n"
    assert user.wait_for("long", killed=1)["state"] == "killed"
    assert submitted.returncode == 3
    assert "needs a region for its nodes" in submitted.stderr
    assert [row["job"] for row in user.rows("status")] == ["mine", "long"]


def test_another_bucket_has_other_jobs(user, tmp_path):
    user.ok("sub", "-n", "mine", "true")
    user.env["SPARKLES_BUCKET"] = f"{user.stores.cloud.bucket}/lab-two"

    assert user.rows("status") == []
    user.ok("sub", "-n", "mine", "echo", "other")
    assert user.stores.file("lab-two/mine/1/stdout.txt") == b"other\n"
    user.ok("kill", "mine")


def test_a_node_that_died_is_swept_by_another_when_no_client_is_there(user):
    user.set_timing(sweep=0.5, look=0.3, idle_look=2.0)
    user.ok(
        "sub", "-n", "j", "--seq", "4", "--slots", "1", "--nodes", "2", "--no-wait",
        "sh", "-c", "sleep 2; echo $0", "{index}",
    )  # fmt: skip
    nodes = eventually(lambda: [node for node in user.nodes() if node.worked] if len(user.nodes()) == 2 else [])
    eventually(lambda: len([node for node in user.nodes() if node.worked]) == 2)
    victim = nodes[0]

    os.kill(victim.pid, signal.SIGKILL)

    eventually(lambda: not lives(victim.pid))
    job = user.wait_for("j", state="finished")
    assert job["succeeded"] == 4
    assert {user.log(f"j.{index}") for index in range(1, 5)} == {f"{index}\n" for index in range(1, 5)}


# Nothing secret in the cloud


def test_what_the_shell_exports_stays_on_this_machine(user, bucket):
    user.env["TOKEN"] = "s3cret-of-the-shell"

    user.ok("sub", "-n", "j", "sh", "-c", 'test "${#TOKEN}" = 19')

    contents = [blob.download_as_bytes() for blob in bucket.client.list_blobs(bucket)]
    assert len(contents) >= 3
    assert not any(b"s3cret" in content for content in contents)
    assert "s3cret" not in _all_records(user)


def _all_records(user: User) -> str:
    from sparkles.backends.gcp import datastore
    from sparkles.backends.gcp.backend import namespace_of
    from sparkles.backends.gcp.datastore import Datastore

    os.environ["DATASTORE_EMULATOR_HOST"] = user.stores.cloud.emulator.host
    namespace = namespace_of(user.stores.cloud.bucket)
    store = Datastore(project=user.stores.cloud.project, database="(default)", namespace=namespace, patience=10.0)
    with closing(store):
        kinds = ("Job", "Task", "Node", "Cluster", "Fence")
        found = [str(result) for kind in kinds for result, _ in store.query(datastore.everything(kind))]
    assert len(found) >= 4
    return "".join(found)


# What stands against it


def test_a_bucket_that_is_not_there_is_exit_3_and_leaves_no_job(user):
    user.write("data.txt", "x")
    there = user.stores.cloud.bucket
    user.env["SPARKLES_BUCKET"] = "no-such-bucket"

    done = user("sub", "-n", "j", "-u", "data.txt", "true")

    assert done.returncode == 3
    assert "gcloud storage buckets create gs://no-such-bucket" in done.stderr
    assert user.rows("status") == []
    assert there != "no-such-bucket"


@pytest.mark.parametrize("permission", ["storage.objects.create", "storage.objects.list", "storage.objects.get"])
def test_a_right_that_is_missing_is_exit_3_and_says_who_can_give_it(user, storage, permission):
    user.write("data.txt", "x")
    storage.permissions.denied.add(permission)

    done = user("sub", "-n", "j", "-u", "data.txt", "true")
    storage.permissions.denied.clear()

    assert done.returncode == 3, done.stderr
    assert "gcloud storage buckets add-iam-policy-binding" in done.stderr
    assert "Traceback" not in done.stderr
    assert user.rows("status") == []


def test_a_job_that_is_only_at_home_is_pointed_to(user):
    user.ok("sub", "--backend", "local", "-n", "fit", "true")

    done = user("status", "fit")

    assert done.returncode == 2
    assert "there is one on this machine: add --backend local" in done.stderr
