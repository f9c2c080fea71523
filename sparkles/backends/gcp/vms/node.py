"""VM: what the process of a node works with that has a machine on Compute Engine to itself.

What the node is to be, its machine was told when it was made (see `startup`); which machine this is, the metadata
server says.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.leftovers import remove_of_machine
from sparkles.backends.docker.outfit import Outfit
from sparkles.backends.docker.runtime import DockerRuntime
from sparkles.backends.gcp.backend import Node as NodeParts
from sparkles.backends.gcp.backend import cloud_timing, gcp_backend
from sparkles.backends.gcp.vms.bucket_folders import BucketRuntime, folders_of
from sparkles.backends.gcp.vms.group_names import is_standard
from sparkles.backends.gcp.vms.guest import Guest
from sparkles.backends.gcp.vms.outfit import outfit_of
from sparkles.backends.gcp.vms.place import VmPlace
from sparkles.backends.local.backend import home_folder
from sparkles.backends.process import time_passed
from sparkles.config import Gcp
from sparkles.errors import BackendError
from sparkles.machine import Machine, machine_from
from sparkles.model import Node, NodeState
from sparkles.paths import Home
from sparkles.ports.backend import Backend
from sparkles.ports.runtime import Runtime

if TYPE_CHECKING:
    from sparkles.backends.gcp.vms.groups import Groups

#: The variables by which the startup script hands on what it was told, how long its parts took, and what GPUs it saw.
_TOLD, _PHASES, _DEVICES = "SPARKLES_VM", "SPARKLES_PHASES", "SPARKLES_DEVICES"

#: The phase that was over when the script began: its seconds are those since the machine was switched on.
_BOOT = "boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a machine was told when it was made, and what its start showed."""

    gcp: Gcp
    cluster: str
    group: str
    slots: int
    machine: Machine
    #: Phase of the start → seconds.
    phases: Mapping[str, float]
    #: The device files of GPUs.
    devices: tuple[str, ...]


def vm_node() -> tuple[Backend, VmPlace]:
    """Return the backend as the node of this machine uses it, and its place.

    Nothing is left of workers that were here before. Raises BackendError if this is no such machine.
    """
    told, guest, engine = read_told(os.environ), Guest(), Engine()
    node = record_of(told, guest)
    remove_of_machine(engine, _id(node))  # before their folders
    place = place_of(told, node, guest)
    containers = DockerRuntime(engine, place.containers, node=node.name, outfit=_outfit(told, node))
    parts = NodeParts(name=node.name, containers=_with_buckets(containers, told.machine), record=node)
    return gcp_backend(told.gcp, write=True, node=parts), place


def read_told(environment: Mapping[str, str]) -> Told:
    """Read what the startup script hands on. Raises BackendError where it did not run."""
    if _TOLD not in environment:
        raise BackendError("a node is started by the startup script of its machine, which has not run here")
    told: dict[str, Any] = json.loads(environment[_TOLD])
    gcp = told["gcp"]
    parts = (line.partition("=") for line in environment.get(_PHASES, "").split())
    return Told(
        gcp=Gcp(**{**gcp, "zones": tuple(gcp["zones"])}),
        cluster=told["cluster"],
        group=told["group"],
        slots=told["slots"],
        machine=machine_from(told["machine"]),
        phases={name: float(seconds) for name, _, seconds in parts},
        devices=tuple(environment.get(_DEVICES, "").split()),
    )


def record_of(told: Told, guest: Guest) -> Node:
    """Return the node's record, which its worker writes. No other has its name, not even on this machine."""
    instance_id = guest.about("id")
    return Node(
        name=f"{instance_id}-{os.urandom(4).hex()}",
        cluster=told.cluster,
        state=NodeState.ALIVE,
        slots=told.slots,
        created=time.time(),
        instance=guest.about("name"),
        instance_id=instance_id,
        zone=guest.about("zone").rpartition("/")[2],
        spot=told.machine.spot and not is_standard(told.group),
        phases=told.phases,
    )


def place_of(told: Told, node: Node, guest: Guest) -> VmPlace:
    """Return the node's place. Its end is a little before Google's, which counts from before the machine ran."""

    def groups() -> Groups:
        from sparkles.backends.gcp.vms.clients import ComputeClients
        from sparkles.backends.gcp.vms.groups import Groups

        assert told.gcp.project
        return Groups(ComputeClients(on_node=True), project=told.gcp.project, region=told.machine.region)

    end = _began(told.phases) + told.machine.max_life
    return VmPlace(Home(home_folder()), node, end=end, guest=guest, group=told.group, groups=groups)


def _began(phases: Mapping[str, float]) -> float:
    """Return when the machine's script began, by the clock that began with the machine."""
    return phases.get(_BOOT, time_passed())


def _outfit(told: Told, node: Node) -> Outfit:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return outfit_of(told.machine, name=_id(node), devices=told.devices, memory=memory)


def _with_buckets(containers: Runtime, machine: Machine) -> Runtime:
    if not machine.mounts:
        return containers
    return BucketRuntime(containers, folders_of(machine), patience=cloud_timing().upload_patience)


def _id(node: Node) -> str:
    assert node.instance_id, "it was asked for"
    return node.instance_id
