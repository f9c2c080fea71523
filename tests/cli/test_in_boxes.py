"""The manual's jobs on machines that boot: they get the worker, pull the image, run the tasks, and remove themselves.

All is as it is for a person but Google, whose part the stand-ins play: the machines are containers with engines of
their own. They are slow, so one of them serves as many tests as it can.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engine
import pytest
import yaml
from conftest import User, eventually
from stores import InCloud

from sparkles import config

pytestmark = pytest.mark.timeout(400)

REGION = "us-central1"

#: What says which VM a task is on, to tasks that may ask.
ASK = ("timeout", "5", "wget", "-q", "-O", "-", "--header", "Metadata-Flavor:Google",
       "http://169.254.169.254/computeMetadata/v1/instance/name")  # fmt: skip


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
def in_cloud(home: Path, datastore_emulator: Any, storage_simulator: Any, forker: Any) -> InCloud:
    return InCloud(home / "sparkles", datastore_emulator, storage_simulator, forker)


@pytest.fixture
def user(home: Path, in_cloud: InCloud, machines: Any, boxes: Any, names: Names, tmp_path: Path) -> Iterator[User]:
    """Someone whose nodes are VMs, and whose tasks run in an image if nothing is said."""
    user = User(folder=tmp_path, home=home, stores=in_cloud)
    user.write(".sparkles.yaml", f"defaults: {{image: '{names.tools}'}}\n")
    user.env |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    user.env |= {"SPARKLES_COMPUTE": "vm", "SPARKLES_REGION": REGION, "SPARKLES_WORKER_IMAGE": names.worker,
                 "COMPUTE_EMULATOR_HOST": machines.url}  # fmt: skip
    yield user
    for box in boxes.booted:  # seen if the test has failed
        print(f"--- {box.name}", box.serial(), sep="\n")
    assert machines.violations == [], "requests or answers that do not fit Google's discovery document"


def sub(user: User, *words: str) -> str:
    """Submit a job and wait for its end; a VM has to boot for it, perhaps."""
    return user.ok("sub", *words, timeout=120)


def job_of(printed: str) -> str:
    """Return the name of the job that a command has waited for."""
    said = re.search(r"gs://[^/]+/(\S+) DEST_DIR", printed)
    assert said is not None, printed
    return said[1]


def test_the_quick_start(user: User, machines: Any) -> None:
    """The first time the worker itself is uploaded, which the manual does not show."""
    printed = sub(user, "echo", "hello", "world")

    assert re.search(
        r"^1 files \([0-9]+ bytes\) out of 1 files will be uploaded\n"
        r"tasks: pending \(1\), worker nodes:\n"
        r"tasks: pending \(1\), worker nodes: staging \(1\)$", printed, re.MULTILINE,
    )  # fmt: skip
    assert re.search(r"^\[\d\d:\d\d:\d\d\] hello world$", printed, re.MULTILINE)
    assert "\nJob finished. 1 tasks completed successfully, 0 tasks failed\n" in printed
    assert user.log(f"{job_of(printed)}.1") == "hello world\n"


def test_the_node_of_a_job_without_a_name_has_itself_removed(user: User, machines: Any) -> None:
    """The one of the test before, which did not wait for that."""
    machines.wait_until(lambda: not machines.instances, within=60)

    assert all(group.target == 0 for group in machines.groups.values())
    user.ok("gc", "--yes")
    assert not machines.groups


def test_jobs_of_one_name_run_on_the_node_that_waits_for_them(user: User, boxes: Any) -> None:
    before = len(boxes.booted)
    user.write("parameters.csv", "lambda,size\n0.1,small\n1.0,large\n")
    user.write("one.txt", "one\n")
    user.write("files.txt", "one.txt\nparameters.csv\n")

    sub(user, "-n", "shared", "--seq", "3", "echo", "I am task", "{index}")
    tasks = [user.log(f"shared.{number}") for number in (1, 2, 3)]
    sub(user, "-n", "shared", "--yes", "--params", "parameters.csv", "echo", "{lambda}", "{size}")
    rows = [user.log(f"shared.{number}") for number in (1, 2)]
    sub(user, "-n", "shared", "--yes", "-u", "@files.txt", "cat", "one.txt")
    file = user.log("shared.1")
    sub(user, "-n", "shared", "--yes", *ASK)
    asked = user.log("shared.1")

    assert tasks == ["I am task 1\n", "I am task 2\n", "I am task 3\n"]
    assert rows == ["0.1 small\n", "1.0 large\n"]
    assert file == "one\n"
    assert len(boxes.booted) == before + 1
    assert asked == boxes.booted[-1].name


def test_another_kind_of_machine_is_another_node_and_tasks_can_be_kept_from_its_credentials(
    user: User, boxes: Any
) -> None:
    before = len(boxes.booted)
    manifest = yaml.safe_load(user.ok("sub", "-n", "shared", "--dry-run", "-o", "yaml", *ASK))
    manifest["spec"] |= {"resources": {"machineType": "n1-standard-2"}, "nodes": {"credentials": "none"}}
    user.write("job.yaml", yaml.safe_dump(manifest))

    done = user("apply", "job.yaml", "--yes", "--rerun", "all", "--wait", timeout=120)

    assert len(boxes.booted) == before + 1
    assert done.stdout.count("0 tasks completed successfully, 1 tasks failed") == 1, done.stdout + done.stderr
    assert user.log("shared.1") == ""
    assert boxes.booted[-1].run("sh", "-c", f"curl -s -H {ASK[-2]} {ASK[-1]}") == boxes.booted[-1].name


@pytest.fixture(scope="module")
def mount_image(registry: Any) -> str:
    api = engine.connection()
    if not engine.has_image(api, "sparkles-test/rclone"):
        pytest.skip("needs the image sparkles-test/rclone: bash tests/images/rclone")
    name: str = registry.push(api, "sparkles-test/rclone", name="rclone").tagged
    return name


@pytest.fixture
def foreign(storage_simulator: Any) -> Iterator[Any]:
    """A bucket of somebody else's, with an object in it."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    storage_simulator.make_bucket("foreign", "their-project")
    client = Client(
        project="their-project",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": storage_simulator.url},
    )
    with closing(client):
        bucket = client.bucket("foreign")
        bucket.blob("samples/one.txt").upload_from_string(b"theirs\n")
        yield bucket


#: Reads what is theirs, and writes into their bucket: one file by several programs, and a large one.
SCRIPT = """
cat /data/samples/*.txt
touch /data/no 2>/dev/null || echo read-only
mkdir -p /out/of/here/new
for part in a b; do /bin/echo $part; done >/out/of/here/new/part
head -c 50000000 /dev/zero >/out/of/here/large
"""


def test_tasks_find_buckets_as_folders_and_what_they_write_is_there_when_they_have_ended(
    user: User, boxes: Any, foreign: Any, mount_image: str
) -> None:
    user.env["SPARKLES_MOUNT_IMAGE"] = mount_image
    before = len(boxes.booted)
    manifest = yaml.safe_load(user.ok("sub", "-n", "folders", "--dry-run", "-o", "yaml", "sh", "-c", SCRIPT))
    mounts = [{"bucket": "foreign", "path": "/data"},
              {"bucket": "foreign", "path": "/out/of/here", "readOnly": False}]  # fmt: skip
    manifest["spec"] |= {"resources": {"mounts": mounts}, "nodes": {"credentials": "none"}}
    user.write("job.yaml", yaml.safe_dump(manifest))
    again = ("apply", "job.yaml", "--yes", "--rerun", "all", "--wait")

    user.ok(*again, timeout=120)
    written = {blob.name: blob.size for blob in foreign.list_blobs()}
    first = user.log("folders.1")
    foreign.blob("samples/two.txt").upload_from_string(b"new\n")
    boxes.booted[-1].run("pkill", "-9", "rclone")
    user.ok(*again, timeout=120)
    second = user.log("folders.1")

    assert first == "theirs\nread-only\n"
    assert written == {"samples/one.txt": 7, "new/part": 4, "large": 50_000_000}
    assert second == "theirs\nnew\nread-only\n"
    assert len(boxes.booted) == before + 1


def test_a_disk_of_its_own_is_another_node_and_tasks_work_on_it(user: User, boxes: Any) -> None:
    before = len(boxes.booted)
    script = "cp /bin/busybox /scratch && /scratch/busybox echo runs; mount | grep -o 'on /scratch type ext4'"
    manifest = yaml.safe_load(user.ok("sub", "-n", "shared", "--dry-run", "-o", "yaml", "sh", "-c", script))
    disks = [{"sizeGb": 10, "mount": "/scratch"}, {"sizeGb": 375, "type": "local-ssd", "mount": "/fast"}]
    manifest["spec"] |= {"resources": {"disks": disks}}
    user.write("job.yaml", yaml.safe_dump(manifest))

    user.ok("apply", "job.yaml", "--yes", "--rerun", "all", "--wait", timeout=120)

    assert len(boxes.booted) == before + 1
    assert user.log("shared.1") == "runs\non /scratch type ext4\n"
    assert "google-local-nvme-ssd-0 on /mnt/disks/sparkles-1 type ext4" in boxes.booted[-1].run("mount")


def test_a_task_whose_machine_is_taken_away_with_notice_runs_anew_and_has_one_result(
    user: User, machines: Any, boxes: Any
) -> None:
    before = len(boxes.booted)
    script = "trap 'echo saved; exit 1' TERM; echo begun; sleep 20 & wait; echo done"
    user.ok("sub", "-n", "spot", "--spot", "--no-wait", "sh", "-c", script, timeout=120)
    eventually(lambda: user.ok("logs", "spot.1") == "begun\n", within=120)  # from now on it knows what to do

    machines.preempt(boxes.booted[before].name, notice=True)
    eventually(lambda: not boxes.booted[before].is_running, within=60)
    (given_back,) = user.rows("list", "spot")
    user.ok("wait", "spot", "--timeout", "110s", timeout=120)

    assert given_back["reason"] == "preempted"
    (task,) = user.rows("list", "spot")
    assert (task["state"], task["attempts"]) == ("succeeded", 1)  # it was taken away free of charge
    assert len(boxes.booted) == before + 2
    assert user.log("spot.1") == "begun\ndone\n"
    assert user.ok("logs", "spot.1", "--attempt", "1") == "begun\nsaved\n"
    results = [name for name in user.stores.objects() if name.startswith("spot/")]
    assert sorted(results) == ["spot/1/result.json", "spot/1/stdout.txt"]


@pytest.fixture
def worker_repository(user: User, registry: Any, setup_apis: Any) -> str:
    """Where the image with the libraries of the worker is, by `sparkles setup`."""
    api = engine.connection()
    repository = f"{registry.address}/ours/worker"
    user.env |= {"SPARKLES_WORKER_IMAGE": repository, "GOOGLEAPIS_EMULATOR_HOST": setup_apis.url}
    with engine.named(api, "sparkles-test/python", config.STOCK_IMAGE):
        printed = user.ok("setup", "--worker-image", "--yes", timeout=300)
    assert f"+ worker image {repository}:" in printed
    return repository


def test_with_a_worker_image_no_library_is_brought_to_nodes(
    user: User, machines: Any, boxes: Any, worker_repository: str
) -> None:
    done = user("sub", "-n", "prebuilt", "echo", "hello", "world", timeout=120)

    assert user.log("prebuilt.1") == "hello world\n", done.stderr
    assert boxes.booted[-1].run("ls", "/var/lib/sparkles/worker").split() == ["program", "program.zip"]
    assert worker_repository in boxes.booted[-1].run("docker", "ps", "--format", "{{.Image}}")
