"""What a job may not ask of its machines, said before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

from sparkles.backends.gcp.vms.machines import Machines
from sparkles.config import Gcp
from sparkles.errors import RequestError
from sparkles.machine import Machine, Program
from sparkles.manifest.defaults import with_defaults
from sparkles.spec import spec_of


class NoDelivery:
    """Delivery of a program that nobody runs."""

    def program(self, architecture: str) -> Program:
        return Program(sha256="ab" * 32, image="w")

    def files(self, machine: Machine) -> dict[str, Any]:
        return {}


def machine(**spec: Any) -> Machine:
    job = {"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"command": ["x"], **spec}}
    made = Machines(gcp=Gcp(project="p", region="us-central1"), delivery=NoDelivery())
    return made.machine(spec_of(with_defaults(job)), "image")


def disks(*mounts: str) -> dict[str, Any]:
    return {"disks": [{"sizeGb": 10, "mount": mount} for mount in mounts]}


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        pytest.param(disks("/a", "/"), r"disks\[1\]\.mount: no disk can be at /; choose a folder", id="all"),
        pytest.param(disks("/proc/x"), r"disks\[0\]\.mount: no disk can be at /proc/x", id="below /proc"),
        pytest.param(disks("/a/../dev"), r"disks\[0\]\.mount: no disk can be at /a/\.\./dev", id="a way round"),
        pytest.param(disks("/var/lib"), r"disks\[0\]\.mount: no disk can be at /var/lib", id="over the work"),
        pytest.param(disks("/a", "/b", "/a/"), r"disks\[2\]\.mount: another disk is at /a/, too", id="twice"),
        pytest.param(
            {"mounts": [{"bucket": "bbb", "path": "/data"}]}, r"mounts: .* as uploads, such as gs://", id="a bucket"
        ),
    ],
)
def test_what_a_node_cannot_have_is_refused(resources: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        machine(resources=resources)


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
