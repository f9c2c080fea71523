"""What a machine is told, and what its startup script does with it: run for real, with stand-ins for what a VM has."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import threading
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from conftest import eventually
from contracts.nouns import a_cluster, a_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkles.config import Gcp
from sparkles.machine import Disk, Mount, Program
from sparkles.resources import template_text
from sparkles.startup import attributes, devices, mount_port

GCP = Gcp(project="p", bucket="b/lab one", region="us-central1")
SCRIPT = template_text("startup.sh")

#: Does nothing but note what it was asked for, in one write, since others may do so at the same time; of docker, the
#: worker says how it ends.
_SHIM = """#!/bin/sh
printf '%s\\0' "${0##*/}" "$@" "
" >>"$CALLS"
case "${0##*/} $1" in
"docker pull") [ ! -e "$CALLS.no-image" ] || { echo "manifest unknown"; exit 1; } ;;
"docker rm") [ ! -e "$CALLS.full" ] || ln -sf /dev/full "$SPARKLES_ROOT/start.log" ;;
"docker run") case "$*" in *"--name sparkles-bucket-"*) exit "$(cat "$CALLS.shown")" ;; esac
    printf '%s' "$SPARKLES_VM" >"$CALLS.node"; echo "the worker says so"; exit "$(cat "$CALLS.exit")" ;;
"sleep 900" | "sleep infinity") exec /bin/sleep "$1" ;;
"docker login") cat >"$CALLS.password" ;;
"docker logs") echo "rclone says so" ;;
esac
"""

_SHIMS = ("docker", "mount", "mountpoint", "mkfs.ext4", "blkid", "iptables", "cos-extensions", "chmod", "sleep")


def archive() -> bytes:
    """Return a program, as small as can be."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("sparkles/__init__.py", "")
    return content.getvalue()


PROGRAM = archive()
MACHINE = a_machine(
    program=Program(sha256=hashlib.sha256(PROGRAM).hexdigest(), image="w@sha256:" + "1" * 64), mounts=()
)

#: What a machine has that shows a bucket to be read, and one to be written.
BUCKETS = {"mounts": (Mount(bucket="theirs", path="/data"), Mount(bucket="ours", path="/out", read_only=False)),
           "mount_image": "rclone@sha256:" + "3" * 64}  # fmt: skip


@dataclass
class Google:
    """The metadata server, Cloud Storage and Compute Engine, as far as the script asks them."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    blob: bytes = PROGRAM
    #: Object → what the script wrote into the bucket.
    written: dict[str, bytes] = field(default_factory=dict)
    #: What the group was asked to remove.
    removed: list[object] = field(default_factory=list)
    #: (path, Authorization) of each request that had a token.
    tokens: list[tuple[str, str]] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)
    #: What the machine's account may do with any bucket but those that are not there.
    permissions: Collection[str] = ("get", "list", "create", "delete", "update")
    absent: Collection[str] = ()
    #: Attributes that it does not find.
    hidden: Collection[str] = ()
    #: The times that the group does not answer when it is asked to remove something.
    silences: int = 0

    def get(self, path: str) -> bytes | None:
        place = path.removeprefix("/computeMetadata/v1/instance/")
        if place.startswith("attributes/"):
            name = place.removeprefix("attributes/")
            value = None if name in self.hidden else self.attributes.get(name)
            return None if value is None else value.encode()
        if "/b/" in path and path.endswith("/iam/testPermissions"):
            return (
                None
                if path.split("/")[-3] in self.absent
                else json.dumps({"permissions": [f"storage.objects.{each}" for each in self.permissions]}).encode()
            )
        known = {"name": b"s-1-abcd", "zone": b"projects/7/zones/us-central1-a",
                 "service-accounts/default/email": b"node@p.iam.gserviceaccount.com",
                 "service-accounts/default/token": b'{"access_token": "secret", "expires_in": 99}'}  # fmt: skip
        return self.blob if "/o/" in path else known.get(place)

    def post(self, path: str, query: str, body: bytes) -> bytes:
        if path.endswith("/deleteInstances") and self.silences:
            self.silences -= 1
            self.is_over.wait()
        elif path.endswith("/deleteInstances"):
            self.removed.append((path, json.loads(body)))
            self.is_over.set()
        else:
            self.written[unquote(query.partition("name=")[2])] = body
        return b"{}"


@contextmanager
def served(google: Google) -> Iterator[str]:
    """Serve at a port of this machine; give its address."""

    class Answers(BaseHTTPRequestHandler):
        def _reply(self, body: bytes | None) -> None:
            if "Authorization" in self.headers:
                google.tokens.append((self.path, self.headers["Authorization"]))
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def do_GET(self) -> None:
            self._reply(google.get(urlsplit(self.path).path))

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            self._reply(google.post(url.path, url.query, self.rfile.read(int(self.headers["Content-Length"]))))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@dataclass
class Vm:
    """A machine on which the script runs until it has asked for its own removal."""

    folder: Path
    google: Google = field(default_factory=Google)
    printed: str = ""

    def start(
        self, *, exits: int = 0, has_image: bool = True, shown: int = 0, is_seen: bool = True, **changes: object
    ) -> Vm:
        """Run the script for such a machine, whose worker ends so; what shows a bucket starts with the code `shown`."""
        programs = self.folder / "programs"
        programs.mkdir(parents=True)
        for name in _SHIMS:
            (programs / name).write_text(_SHIM)
            (programs / name).chmod(0o755)
        seen = 'case "$2" in */now) exit 0 ;; esac\n' if is_seen else ""
        (programs / "mountpoint").write_text(f"#!/bin/sh\n{seen}exit 1\n")
        (self.folder / "calls.shown").write_text(str(shown))
        (programs / "blkid").write_text("#!/bin/sh\nexit 2\n")
        (self.folder / "calls.exit").write_text(str(exits))
        if not has_image:
            (self.folder / "calls.no-image").touch()
        (self.folder / "startup.sh").write_text(SCRIPT)
        with served(self.google) as host:
            cluster = a_cluster("s-1", machine=replace(MACHINE, **changes))  # type: ignore[arg-type]
            environment = {f"{name}_EMULATOR_HOST": f"http://{host}" for name in ("COMPUTE", "STORAGE")}
            self.google.attributes = attributes(cluster, GCP, group="s-1-od", script=SCRIPT, environment=environment)
            self._run(programs, host)
        return self

    def _run(self, programs: Path, host: str) -> None:
        env = {"PATH": f"{programs}:{os.environ['PATH']}", "GCE_METADATA_HOST": host,
               "SPARKLES_ROOT": str(self.folder / "root"), "CALLS": str(self.folder / "calls"),
               "SPARKLES_SILENCE": "2"}  # fmt: skip
        with (self.folder / "serial").open("wb") as serial:
            script = subprocess.Popen(["bash", "startup.sh"], cwd=self.folder, env=env, stdin=subprocess.DEVNULL,
                                      stdout=serial, stderr=serial, start_new_session=True)  # fmt: skip
            try:
                eventually(self._is_over)
            finally:
                os.killpg(script.pid, signal.SIGKILL)
                script.wait()
        self.printed = (self.folder / "serial").read_text()

    def _is_over(self) -> bool:
        return self.google.is_over.is_set() or bool(self.calls("sleep", "infinity"))

    @property
    def reason(self) -> str:
        """The first line of what is kept in the bucket."""
        (kept,) = self.google.written.values()
        return kept.splitlines()[0].decode()

    def calls(self, *begin: str) -> list[list[str]]:
        """Return what was called, those that begin so."""
        path = self.folder / "calls"
        lines = (path.read_text() if path.exists() else "").split("\n\0")[:-1]
        found = [line.split("\0")[:-1] for line in lines]
        return [words for words in found if words[: len(begin)] == list(begin)]


@pytest.fixture
def vm(tmp_path: Path) -> Vm:
    return Vm(tmp_path / "vm")


def test_devices_are_in_the_order_of_the_manifest() -> None:
    disks = (Disk(size_gb=1, type="pd-ssd", mount="/a"), Disk(size_gb=375, type="local-ssd", mount="/b"),
             Disk(size_gb=375, type="local-ssd", mount="/c"), Disk(size_gb=1, type="pd-ssd", mount="/d"))  # fmt: skip

    assert list(devices(a_machine(disks=disks))) == [
        "/dev/disk/by-id/google-sparkles-0",
        "/dev/disk/by-id/google-local-nvme-ssd-0",
        "/dev/disk/by-id/google-local-nvme-ssd-1",
        "/dev/disk/by-id/google-sparkles-3",
    ]


def test_variables_that_lead_elsewhere_are_handed_on_and_no_others() -> None:
    told = attributes(
        a_cluster(machine=MACHINE), GCP, group="g", script="",
        environment={"DATASTORE_EMULATOR_HOST": "h:1", "SECRET": "s", "SPARKLES_TIMING": "{\n}"},
    )  # fmt: skip

    assert told["sparkles-environment"] == "DATASTORE_EMULATOR_HOST=h:1\n"


def test_without_stand_ins_nothing_is_said_of_them() -> None:
    told = attributes(a_cluster(machine=MACHINE), GCP, group="g", script="", environment={"HOME": "/root"})

    assert "sparkles-environment" not in told
    assert "sparkles-wheels" not in told


def test_the_worker_runs_and_the_machine_is_removed_when_it_is_done(vm: Vm) -> None:
    vm.start()

    assert [words[-1] for words in vm.calls("docker", "pull")] == [MACHINE.program.image, MACHINE.image]
    assert len(vm.calls("docker", "run")) == 1
    assert json.loads((vm.folder / "calls.node").read_text())["group"] == "s-1-od"
    assert (vm.folder / "root/worker/program.zip").read_bytes() == PROGRAM
    assert vm.google.removed == [
        (
            "/compute/v1/projects/p/regions/us-central1/instanceGroupManagers/s-1-od/deleteInstances",
            {"instances": ["zones/us-central1-a/instances/s-1-abcd"], "skipInstancesOnValidationError": True},
        )
    ]
    assert vm.google.written == {}


def test_docker_is_not_asked_for_what_some_machines_refuse(vm: Vm) -> None:
    vm.start()

    (run,) = vm.calls("docker", "run")
    assert not [word for word in run if "oom" in word]


def test_disks_are_made_and_mounted_for_everybody(vm: Vm) -> None:
    vm.start()

    assert vm.calls("mkfs.ext4")[0][-1] == "/dev/disk/by-id/google-sparkles-0"
    assert vm.calls("mount", "-o", "discard,defaults")[0][-1] == "/mnt/disks/sparkles-0"
    assert vm.calls("chmod", "1777") == [["chmod", "1777", "/mnt/disks/sparkles-0"]]


def test_gpus_get_their_driver_and_others_none(vm: Vm, tmp_path: Path) -> None:
    vm.start()
    other = Vm(tmp_path / "other").start(gpu=None, gpus=0)

    assert vm.calls("cos-extensions") == [["cos-extensions", "install", "gpu"]]
    assert other.calls("cos-extensions") == []


def test_a_bucket_is_shown_by_a_container_of_its_own_before_the_worker_runs(vm: Vm) -> None:
    vm.start(**BUCKETS)

    assert [words[-1] for words in vm.calls("docker", "pull")] == [MACHINE.program.image, MACHINE.image,
                                                                   BUCKETS["mount_image"]]  # fmt: skip
    read, write, worker = vm.calls("docker", "run")
    assert "sparkles-worker" in worker
    for number, run in enumerate((read, write)):
        place, name = f"/mnt/disks/sparkles-buckets/{number}", run[run.index("sparkles") + 2]
        assert run[run.index("sparkles") + 1] == place
        assert name == (":gcs:theirs", ":gcs:ours")[number]
        assert f"127.0.0.1:{mount_port(number)}" in run
    assert ("--read-only" in read, "--read-only" in write) == (True, False)
    phases = (vm.folder / "root/phases").read_text()
    assert "\nbuckets=" in phases


def test_machines_without_buckets_show_none(vm: Vm) -> None:
    vm.start()

    assert not [words for words in vm.calls("mount") if "--make-rshared" in words]
    assert "buckets=" not in (vm.folder / "root/phases").read_text()


def test_a_bucket_that_is_not_there_is_the_reason(vm: Vm) -> None:
    vm.google.absent = ["ours"]

    vm.start(**BUCKETS)

    assert vm.reason == "there is no bucket gs://ours, which resources.mounts names"
    assert not [words for words in vm.calls("docker", "run") if "sparkles-worker" in words]


@pytest.mark.parametrize(
    ("lacking", "bucket", "role"), [("list", "theirs", "objectViewer"), ("create", "ours", "objectUser")]
)
def test_a_right_that_is_missing_is_named_with_the_command_that_gives_it(
    vm: Vm, lacking: str, bucket: str, role: str
) -> None:
    vm.google.permissions = {"get", "list", "create", "delete", "update"} - {lacking}

    vm.start(**BUCKETS)

    assert vm.reason == (
        f"the nodes' account lacks storage.objects.{lacking} in gs://{bucket}, which resources.mounts names; whoever "
        f"owns the bucket allows it with 'gcloud storage buckets add-iam-policy-binding gs://{bucket} "
        f"--member=serviceAccount:node@p.iam.gserviceaccount.com --role=roles/storage.{role}'"
    )


@pytest.mark.parametrize("how", [{"shown": 125}, {"is_seen": False}], ids=["no container", "nothing is seen"])
def test_a_bucket_that_cannot_be_shown_is_the_reason(vm: Vm, how: dict[str, Any]) -> None:
    vm.start(**BUCKETS, **how)

    assert vm.reason.startswith("bucket gs://theirs could not be shown as a folder: ")
    assert "is_seen" not in how or vm.reason.endswith("rclone says so")


def test_tasks_without_credentials_are_kept_from_who_gives_them(vm: Vm, tmp_path: Path) -> None:
    vm.start(credentials=False)
    other = Vm(tmp_path / "other").start()

    assert vm.calls("iptables")[0][-9:] == ["-d", "169.254.169.254", "-p", "tcp", "!", "--dport", "53", "-j", "DROP"]
    assert other.calls("iptables") == []


def test_nothing_runs_on_a_machine_that_cannot_tell_whether_tasks_may_have_its_credentials(vm: Vm) -> None:
    vm.google.hidden = ["sparkles-credentials"]

    vm.start(credentials=False)

    assert b"could not find out" in next(iter(vm.google.written.values())).splitlines()[0]
    assert vm.calls("docker", "run") == []


def test_a_disk_that_a_task_has_filled_does_not_start_a_worker_again_that_is_done(vm: Vm) -> None:
    vm.folder.mkdir()
    (vm.folder / "calls.full").touch()

    vm.start()

    assert len(vm.calls("docker", "run")) == 1


def test_who_does_not_answer_is_asked_again(vm: Vm) -> None:
    vm.google.silences = 1

    vm.start()

    assert len(vm.google.removed) == 1


def test_what_an_earlier_life_of_the_machine_had_unpacked_is_not_trusted(vm: Vm) -> None:
    (vm.folder / "root/worker/program").mkdir(parents=True)
    (vm.folder / "root/worker/libraries").mkdir()

    vm.start()

    assert [path.name for path in (vm.folder / "root/worker").iterdir()] == ["program.zip"]


def test_an_image_that_is_not_there_is_the_first_line_of_what_is_kept(vm: Vm) -> None:
    vm.start(has_image=False)

    (kept,) = vm.google.written.items()
    assert kept[0] == "lab one/.sparkles/nodes/s-1/s-1-abcd.log"
    assert kept[1].splitlines()[0].decode() == f"image {MACHINE.program.image} could not be pulled: manifest unknown"
    assert vm.calls("docker", "run") == []


def test_a_program_with_another_content_is_not_run(vm: Vm) -> None:
    vm.google.blob = b"something else"

    vm.start()

    assert b"does not have its checksum" in next(iter(vm.google.written.values())).splitlines()[0]
    assert vm.calls("docker", "run") == []


def test_a_worker_that_crashes_is_started_again_three_times(vm: Vm) -> None:
    vm.start(exits=1)

    (kept,) = vm.google.written.values()
    assert len(vm.calls("docker", "run")) == 4
    assert kept.splitlines()[0] == b"the worker ended again and again, with exit code 1: the worker says so"


def test_a_machine_that_is_made_anew_is_left_to_its_group(vm: Vm) -> None:
    vm.start(exits=75)

    assert vm.google.removed == []
    assert vm.calls("sleep", "infinity") == [["sleep", "infinity"]]


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        ("us-docker.pkg.dev/p/r/i@sha256:" + "1" * 64, "https://us-docker.pkg.dev"),
        ("eu.gcr.io/p/i@sha256:" + "1" * 64, "https://eu.gcr.io"),
        ("quay.io/p/i@sha256:" + "1" * 64, None),
        ("us-docker.pkg.dev.example.com/p/i@sha256:" + "1" * 64, None),
        ("r-base@sha256:" + "1" * 64, None),
    ],
)
def test_a_token_is_given_to_registries_of_google_alone(vm: Vm, image: str, asked: str | None) -> None:
    vm.start(image=image)

    assert [words[-1] for words in vm.calls("docker", "login")] == ([asked] if asked else [])
    if asked:
        assert (vm.folder / "calls.password").read_text().strip() == "secret"


def test_no_command_line_has_a_token(vm: Vm) -> None:
    vm.start(image="gcr.io/p/i@sha256:" + "1" * 64)

    assert "secret" not in (vm.folder / "calls").read_text() + vm.printed
    assert all(token == "Bearer secret" for _, token in vm.google.tokens)


_HOSTILE = st.text(
    st.one_of(st.sampled_from("$`'\"\\;|&<>(){}!*?[]#~ \t%"), st.characters(exclude_categories=["Cs", "Cc"])),
    min_size=1, max_size=40,
).map(lambda text: f"{text}$(touch BROKEN)`touch BROKEN`';touch BROKEN;'\"")  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=_HOSTILE, worker=_HOSTILE, kind=_HOSTILE, account=_HOSTILE, bucket=_HOSTILE, shows=_HOSTILE)
def test_nothing_of_a_job_becomes_a_part_of_the_script(
    tmp_path_factory: pytest.TempPathFactory,
    image: str,
    worker: str,
    kind: str,
    account: str,
    bucket: str,
    shows: str,
) -> None:
    vm = Vm(tmp_path_factory.mktemp("hostile") / "vm")

    vm.start(image=image, type=kind, account=account, program=replace(MACHINE.program, image=worker), gpu=kind,
             mounts=(Mount(bucket=bucket, path=bucket),), mount_image=shows)  # fmt: skip

    assert not list(vm.folder.rglob("BROKEN"))
    assert [words[-1] for words in vm.calls("docker", "pull")] == [worker, image, shows]
    show, work = vm.calls("docker", "run")
    assert (show[show.index("--entrypoint") + 2], work[-6]) == (shows, worker)
    assert f":gcs:{quote(bucket, safe='')}" in show
    told = json.loads((vm.folder / "calls.node").read_text())["machine"]
    assert (told["image"], told["type"], told["account"]) == (image, kind, account)
