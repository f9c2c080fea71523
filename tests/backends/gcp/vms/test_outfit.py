"""What the tasks of a VM get of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contracts.nouns import a_machine

from sparkles.backends.docker.outfit import Bind
from sparkles.backends.gcp.vms.outfit import outfit_of
from sparkles.machine import Disk, Machine, Mount

GB = 1_000_000_000

PLAIN = a_machine(type="n1-standard-4", gpu=None, gpus=0, disks=(), mounts=())
DISKS = tuple(Disk(size_gb=10, type="pd-ssd", mount=mount) for mount in ("/scratch", "/more"))


def outfit(machine: Machine, *, memory: int = 16 * GB):
    return outfit_of(machine, name="4711", devices=["/dev/nvidia0", "/dev/nvidiactl"], memory=memory)


def test_disks_are_where_the_manifest_wants_them() -> None:
    got = outfit(a_machine(gpu=None, gpus=0, disks=DISKS, mounts=()))

    assert got.binds == (
        Bind(source="/mnt/disks/sparkles-0", target="/scratch"),
        Bind(source="/mnt/disks/sparkles-1", target="/more"),
    )


def test_buckets_are_where_the_manifest_wants_them_and_are_as_writable() -> None:
    mounts = (Mount(bucket="a", path="/data"), Mount(bucket="b", path="/out", read_only=False))

    got = outfit(replace(PLAIN, mounts=mounts))

    place = "/mnt/disks/sparkles-buckets/{}/now"
    assert got.binds == (
        Bind(source=place.format(0), target="/data", read_only=True, propagation="rslave"),
        Bind(source=place.format(1), target="/out", read_only=False, propagation="rslave"),
    )


def test_what_shows_buckets_has_memory_of_its_own() -> None:
    less = outfit(replace(PLAIN, mounts=(Mount(bucket="a", path="/data"),)))

    assert outfit(PLAIN).memory - less.memory == 0.2 * GB


@pytest.mark.parametrize(
    ("machine", "has"),
    [
        pytest.param(PLAIN, False, id="none"),
        pytest.param(a_machine(gpu="nvidia-tesla-t4", gpus=1, disks=()), True, id="added"),
        pytest.param(a_machine(type="g2-standard-4", gpu=None, gpus=0, disks=()), True, id="a part of it"),
    ],
)
def test_only_machines_with_gpus_bring_their_driver(machine: Machine, has: bool) -> None:
    got = outfit(machine)

    assert bool(got.devices) == has
    assert ("/usr/local/nvidia/lib64" in [bind.target for bind in got.binds]) == has
    assert (got.folders.get("LD_LIBRARY_PATH") == "/usr/local/nvidia/lib64") == has


@pytest.mark.parametrize(("memory", "left"), [(16 * GB, 0.8 * GB), (4 * GB, 0.3 * GB)])
def test_the_worker_keeps_some_memory(memory: int, left: float) -> None:
    assert outfit(PLAIN, memory=memory).memory == memory - left
