"""VM: what the process of a node works with that has a machine on Compute Engine to itself.

What the node is to be, its machine was told when it was made (see `startup`); which machine this is, the metadata
server says.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.leftovers import remove_of_nodes
from sparkles.backends.docker.outfit import Outfit
from sparkles.backends.docker.runtime import DockerRuntime
from sparkles.backends.gcp.backend import Node as NodeParts
from sparkles.backends.gcp.backend import gcp_backend
from sparkles.backends.gcp.compute_clients import ComputeClients
from sparkles.backends.gcp.groups import Groups
from sparkles.backends.gcp.guest import Guest
from sparkles.backends.gcp.outfit import outfit_of
from sparkles.backends.local.backend import home_folder
from sparkles.backends.process import boot_id, time_passed
from sparkles.config import Gcp
from sparkles.errors import BackendError
from sparkles.machine import Machine, machine_from
from sparkles.model import Node, NodeState
from sparkles.paths import Home
from sparkles.ports import Backend

#: The variables by which the startup script hands on what it was told, how long its parts took, and what GPUs it saw.
_TOLD, _PHASES, _DEVICES = "SPARKLES_VM", "SPARKLES_PHASES", "SPARKLES_DEVICES"

#: Ends the name of the group of standard machines beside a spot one.
_STANDARD = "-od"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a machine was told when it was made."""

    gcp: Gcp
    cluster: str
    group: str
    slots: int
    machine: Machine
    #: Phase of the start → seconds; `boot` is how long the machine was up when its script began.
    phases: Mapping[str, float]
    #: The device files of GPUs.
    devices: tuple[str, ...]


def vm_node() -> tuple[Backend, VmPlace]:
    """Return the backend as the node of this machine uses it, and its place."""
    told, guest = read_told(os.environ), Guest()
    home = Home(home_folder())
    node = _record(told, guest)
    place = VmPlace(home, node, told, guest)
    remove_of_nodes(Engine())  # of workers that were here before
    containers = DockerRuntime(Engine(), place.containers, node=node.name, outfit=_outfit(told))
    parts = NodeParts(name=node.name, host=None, containers=containers, record=node)
    return gcp_backend(told.gcp, write=True, node=parts), place


def read_told(environment: Mapping[str, str]) -> Told:
    """Read what the startup script hands on. Raises BackendError where it did not run."""
    if _TOLD not in environment:
        raise BackendError("a node is started by its machine's startup script; here is none")
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


def _record(told: Told, guest: Guest) -> Node:
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
        spot=told.machine.spot and not told.group.endswith(_STANDARD),
        phases=told.phases,
    )


def _outfit(told: Told) -> Outfit:
    return outfit_of(told.machine, devices=told.devices)


class VmPlace:
    """A machine of one's own, as its node sees it. See Place."""

    boot = boot_id()
    clock = staticmethod(time_passed)

    def __init__(self, home: Home, node: Node, told: Told, guest: Guest) -> None:
        self.name = node.name
        self.node: Node | None = node
        self.end: float | None = told.phases.get("boot", time_passed()) + told.machine.max_life
        self.work = home.work(node.name)
        self.containers = home.node(node.name) / "containers"
        self._told = told
        self._guest = guest
        self._folders = (home.nodes, home.root / "work", home.root / "spool", home.root / "cache")
        self._clear()
        for folder in (self.work, self.containers):
            folder.mkdir(parents=True)
        self.wake, self._caller = os.pipe()
        for end in (self.wake, self._caller):
            os.set_blocking(end, False)

    def watch(self, taken_away: Any) -> None:
        """Call `taken_away`, in another thread, when the machine is announced to be taken away."""
        self._guest.watch(taken_away)

    def call(self) -> None:
        """See Place."""
        with suppress(BlockingIOError):  # full: it has been called often enough
            os.write(self._caller, b"!")

    def depart(self, *, needed: bool) -> None:
        """See Place. Only this very machine, whichever of its group's that is by now."""
        groups = Groups(
            ComputeClients(on_node=True), project=self._told.gcp.project or "", region=self._told.machine.region
        )
        node = self.node
        assert node
        path = f"zones/{node.zone}/instances/{node.instance}"
        (groups.recreate_members if needed else groups.delete_members)(self._told.group, [path])

    def leave(self) -> None:
        """See Place."""
        self._clear()
        os.close(self.wake)
        os.close(self._caller)

    def _clear(self) -> None:
        """Remove what workers left on this machine, of which there is one at a time."""
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
