"""What a job may not ask of its machines, said before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

from sparkles.backends.gcp.vms.machines import Machines
from sparkles.config import MOUNT_IMAGE, Gcp
from sparkles.errors import RequestError
from sparkles.machine import Machine, Program
from sparkles.manifest.defaults import with_defaults
from sparkles.spec import JobSpec, spec_of


class NoDelivery:
    """Delivery of a program that nobody runs."""

    def program(self, architecture: str) -> Program:
        return Program(sha256="ab" * 32, image="w")

    def files(self, machine: Machine) -> dict[str, Any]:
        return {}


class Registry:
    """Pins images, each by a digest of its own, and one that it does not have."""

    def pin(self, name: str, *, architecture: str | None = None) -> str:
        if name == "none":
            raise RequestError("there is none")
        return f"{name}@{architecture}"


def spec(**fields: Any) -> JobSpec:
    job = {"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"command": ["x"], **fields}}
    return spec_of(with_defaults(job))


def machine(**fields: Any) -> Machine:
    made = Machines(gcp=Gcp(project="p", region="us-central1"), delivery=NoDelivery(), images=Registry())
    return made.machine(spec(**fields), "image")


def disks(*mounts: str) -> dict[str, Any]:
    return {"disks": [{"sizeGb": 10, "mount": mount} for mount in mounts]}


def mounts(*paths: str) -> dict[str, Any]:
    return {"mounts": [{"bucket": "bbb", "path": path} for path in paths]}


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        pytest.param(disks("/a", "/"), r"disks\[1\]\.mount: no disk can be at /; choose a folder", id="all"),
        pytest.param(disks("/proc/x"), r"disks\[0\]\.mount: no disk can be at /proc/x", id="below /proc"),
        pytest.param(disks("/a/../dev"), r"disks\[0\]\.mount: no disk can be at /a/\.\./dev", id="a way round"),
        pytest.param(disks("/var/lib"), r"disks\[0\]\.mount: no disk can be at /var/lib", id="over the work"),
        pytest.param(disks("/a", "/b", "/a/"), r"disks\[2\]\.mount: another disk is at /a/, too", id="twice"),
        pytest.param(
            mounts("/a", "/"), r"mounts\[1\]\.path: no bucket can be at /; choose .* /data", id="a bucket, all"
        ),
        pytest.param(
            {**disks("/a"), **mounts("/a")}, r"mounts\[0\]\.path: another disk is at /a, too", id="a bucket over a disk"
        ),
        pytest.param(
            {**disks("/data/x"), **mounts("/data")},
            r"disks\[0\]\.mount: /data/x would be inside of the bucket at /data",
            id="a disk in a bucket",
        ),
        pytest.param(
            mounts("/data", "/data/more"), r"mounts\[1\]\.path: /data/more would be inside", id="a bucket in a bucket"
        ),
    ],
)
def test_what_a_node_cannot_have_is_refused(resources: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        machine(resources=resources)


def test_what_shows_buckets_is_a_part_of_a_machine_that_has_some() -> None:
    assert machine().mount_image is None
    assert machine(resources=mounts("/data")).mount_image == f"{MOUNT_IMAGE}@amd64"
    assert machine(resources={**mounts("/data"), "machineType": "t2a-standard-1"}).mount_image == f"{MOUNT_IMAGE}@arm64"


def test_an_image_that_shows_no_buckets_says_which_setting_names_it() -> None:
    made = Machines(gcp=Gcp(project="p", region="r", mount_image="none"), delivery=NoDelivery(), images=Registry())

    with pytest.raises(
        RequestError, match=r"resources\.mounts: there is none; mountImage: NAME in .*SPARKLES_MOUNT_IMAGE"
    ):
        made.machine(spec(resources=mounts("/data")), "image")


def test_a_bucket_may_be_shown_in_a_disk_and_twice() -> None:
    made = machine(resources={**disks("/scratch"), **mounts("/scratch/in", "/scratch/input")})

    assert [mount.path for mount in made.mounts] == ["/scratch/in", "/scratch/input"]


def test_disks_may_be_anywhere_else() -> None:
    assert [disk.mount for disk in machine(resources=disks("/scratch", "/data/more")).disks] == [
        "/scratch",
        "/data/more",
    ]


@pytest.mark.parametrize(
    ("said", "has"), [({}, True), ({"credentials": "node"}, True), ({"credentials": "none"}, False)]
)
def test_tasks_have_the_rights_of_their_node_unless_that_is_refused(said: dict[str, str], has: bool) -> None:
    assert machine(nodes=said).credentials is has
