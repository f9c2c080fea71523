"""Machines: what a job says of its nodes, and the settings, become all that makes a node. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sparkles.backends.gcp.vms.labels import safe_labels
from sparkles.backends.gcp.vms.template import LOCAL_SSD, LOCAL_SSD_GB
from sparkles.config import MOUNT_IMAGE, Gcp, ways
from sparkles.errors import BackendError, RequestError, SparklesError
from sparkles.machine import Disk, Machine, Program, architecture_of, brings_gpus
from sparkles.spec import JobSpec, MachineSpec

if TYPE_CHECKING:
    from sparkles.backends.gcp.delivery.choice import Pinning

#: What a node is where nobody says.
_TYPE, _BOOT_DISK_GB = "n1-standard-1", 50

#: Machine types that have only this kind of disk; all others have the usual one.
_HYPER = ("a4-", "a4x-", "c4-", "c4a-", "c4d-", "h4d-", "m4-", "n4-", "n4a-", "n4d-", "x4-")
_HYPER_DISK, _USUAL_DISK = "hyperdisk-balanced", "pd-balanced"

#: Seconds for which Google lets a VM be limited to run.
_SHORTEST_LIFE, _LONGEST_LIFE = 30.0, 120 * 86400.0

#: Folders in which, and above which, a container has what it needs to run, or its work directory.
_TAKEN = tuple(map(Path, ("/proc", "/sys", "/dev", "/var/lib/sparkles")))


class Delivery(Protocol):
    """How the worker program gets to nodes."""

    def program(self, architecture: str) -> Program:
        """Return the program for a kind of processor, as docker calls it."""
        ...

    def files(self, machine: Machine) -> Mapping[str, Path]:
        """Return sha256 → file here of what of it has to be in the store."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """Makes machines as the settings say. `images` pins the one that shows buckets as folders."""

    gcp: Gcp
    delivery: Delivery
    images: Pinning

    def machine(self, spec: JobSpec, image: str | None) -> Machine:
        """Return what each node is made of for such a job, with this pinned image."""
        assert image is not None, "a task without an image is refused before"
        asked = spec.machine
        kind = asked.type or _TYPE
        _check(asked, kind)
        region, zones = place(self.gcp)
        return Machine(
            program=self.delivery.program(architecture_of(kind)),
            image=image,
            region=region,
            zones=tuple(zones),
            type=kind,
            gpu=asked.gpu,
            gpus=asked.gpus,
            boot_disk_gb=asked.boot_disk_gb or _BOOT_DISK_GB,
            boot_disk_type=asked.boot_disk_type or _disk(kind),
            disks=tuple(_typed(disk, kind) for disk in asked.disks),
            mounts=tuple(asked.mounts),
            mount_image=self._mount_image(architecture_of(kind)) if asked.mounts else None,
            spot=asked.spot,
            on_demand_after=asked.on_demand_after if asked.spot else None,
            max_life=asked.max_life,
            external_ip=asked.external_ip,
            network=self.gcp.network,
            subnetwork=self.gcp.subnetwork,
            credentials=asked.credentials,
            account=self.gcp.account,
            labels=safe_labels(asked.labels),
        )

    def _mount_image(self, architecture: str) -> str:
        try:
            return self.images.pin(self.gcp.mount_image or MOUNT_IMAGE, architecture=architecture)
        except SparklesError as error:
            error.args = (f"spec.resources.mounts: {error}; {ways('mountImage')}",)
            raise


def place(gcp: Gcp) -> tuple[str, Sequence[str]]:
    """Return the region of nodes, and the zones that they may be in. The zones tell the region, too.

    >>> place(Gcp(zones=["us-central1-a"]))
    ('us-central1', ['us-central1-a'])
    """
    region = gcp.region or (gcp.zones[0].rpartition("-")[0] if gcp.zones else None)
    if region is None:
        raise BackendError(f"the gcp backend needs a region for its nodes; set it with {ways('region')}")
    for zone in gcp.zones:
        if zone.rpartition("-")[0] != region:
            origin = gcp.origins.get("zones", "the configuration")
            raise RequestError(
                f"zones in {origin}: {zone!r} is not in the region {region}; the zones of a region are called "
                f"{region}-a, {region}-b and so on"
            )
    return region, gcp.zones


def _check(asked: MachineSpec, kind: str) -> None:
    if asked.gpu and brings_gpus(kind):
        raise RequestError(f"spec.resources.gpus: machines of the type {kind} have GPUs by themselves; leave this out")
    if asked.gpu and not kind.startswith("n1-"):
        raise RequestError(
            f"spec.resources.gpus: a machine of the type {kind} cannot be given GPUs; those that can are called n1-…, "
            "and others, such as g2-standard-4, have some by themselves"
        )
    for disk in asked.disks:
        if disk.type == LOCAL_SSD and disk.size_gb > LOCAL_SSD_GB:
            raise RequestError(
                f"spec.resources.disks: a {LOCAL_SSD} has {LOCAL_SSD_GB} GB and no more; for {disk.size_gb} GB name "
                "several, or another type"
            )
    _check_folders(
        [
            *(_Folder(f"disks[{number}].mount", disk.mount, "disk") for number, disk in enumerate(asked.disks)),
            *(_Folder(f"mounts[{number}].path", mount.path, "bucket") for number, mount in enumerate(asked.mounts)),
        ]
    )
    if not _SHORTEST_LIFE <= asked.max_life <= _LONGEST_LIFE:
        raise RequestError("spec.nodes.maxLife: Google lets a machine's life be limited to between 30s and 120d")


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder in which the command finds something of its machine."""

    #: The field of `spec.resources` that names it.
    field: str
    #: As it was written.
    name: str
    #: What is found there.
    what: str

    @property
    def path(self) -> Path:
        return Path(os.path.normpath(self.name))


def _check_folders(folders: Sequence[_Folder]) -> None:
    """Refuse what a container cannot have at these places, or what would hide the task from itself."""
    for number, folder in enumerate(folders):
        where = f"spec.resources.{folder.field}"
        if any(folder.path.is_relative_to(taken) or taken.is_relative_to(folder.path) for taken in _TAKEN):
            example = "/scratch" if folder.what == "disk" else "/data"
            raise RequestError(f"{where}: no {folder.what} can be at {folder.name}; choose a folder such as {example}")
        for other in folders[:number]:
            if folder.path == other.path:
                raise RequestError(
                    f"{where}: another {other.what} is at {folder.name}, too; each needs a folder of its own"
                )
            _check_not_inside(folder, other)
            _check_not_inside(other, folder)


def _check_not_inside(inner: _Folder, outer: _Folder) -> None:
    if outer.what == "bucket" and inner.path.is_relative_to(outer.path):
        raise RequestError(
            f"spec.resources.{inner.field}: {inner.name} would be inside of the bucket at {outer.name}; choose a "
            "folder beside it"
        )


def _typed(disk: Disk, kind: str) -> Disk:
    return disk if disk.type else replace(disk, type=_disk(kind))


def _disk(kind: str) -> str:
    return _HYPER_DISK if kind.startswith(_HYPER) else _USUAL_DISK
