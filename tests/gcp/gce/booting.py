"""What the simulator asks of whoever makes its VMs: a Booter switches one on, and gives a Machine to hold it by.

The simulator decides what happens to a VM and when; a booter only does it. There are two: `processes.py` runs the
VM's scripts as processes of this machine, quickly; another one may run them in a container, faithfully.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..server import Reply, Request

#: Answers the requests that a VM sends to its metadata server. A request may wait there for a change: for minutes.
Metadata = Callable[[Request], Reply]


@dataclass(frozen=True, kw_only=True)
class Vm:
    """An instance at the moment when it is switched on."""

    name: str
    #: A whole number, as text. A machine made anew under an old name has another one.
    id: str
    project: str
    project_number: str
    zone: str
    #: What its template says, in Google's words: machineType, metadata, disks, scheduling, serviceAccounts, labels, …
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hostname(self) -> str:
        """Its name in the network of its project."""
        return f"{self.name}.{self.zone}.c.{self.project}.internal"

    @property
    def attributes(self) -> Mapping[str, str]:
        """Its metadata: `startup-script`, `shutdown-script`, and what else it was given, under the keys as written."""
        return {item["key"]: item.get("value", "") for item in self.properties.get("metadata", {}).get("items", [])}

    @property
    def machine_type(self) -> str:
        """The name of its machine type."""
        return str(self.properties["machineType"]).rpartition("/")[2]

    @property
    def account(self) -> str | None:
        """The mail address of its service account. None if it has none: then there is no token either."""
        accounts = self.properties.get("serviceAccounts") or [{}]
        return accounts[0].get("email")

    @property
    def scheduling(self) -> Mapping[str, Any]:
        """When it may be taken away, and what happens then, in Google's words."""
        scheduling: Mapping[str, Any] = self.properties.get("scheduling", {})
        return scheduling

    @property
    def spot(self) -> bool:
        """Whether it may be taken away at any time."""
        return self.scheduling.get("provisioningModel") == "SPOT" or bool(self.scheduling.get("preemptible"))


class BootError(Exception):
    """A VM that could not be switched on; the message goes to its serial output."""


class Machine(Protocol):
    """A VM that was switched on. All may be called from any thread, and again when it is off."""

    @property
    def is_running(self) -> bool:
        """Whether it is still on."""

    def wait(self) -> None:
        """Return when it is off: it was stopped or killed, or switched itself off."""

    def stop(self, *, grace: float) -> None:
        """Press its button: its processes get SIGTERM, its shutdown script runs. Off after `grace` seconds at most.

        Returns when it is off.
        """

    def kill(self) -> None:
        """Cut its power. Returns when nothing of it runs any more."""

    def serial(self) -> str:
        """Return what it wrote to its first serial port until now. Also when it is off."""


class Booter(Protocol):
    """Switches VMs on."""

    def boot(self, vm: Vm, metadata: Metadata) -> Machine:
        """Switch a VM on, so that its requests to the metadata server are answered by `metadata`.

        Returns as soon as it is on; its startup script may still run for long. Raises BootError. Is called for
        several VMs at once.
        """

    def close(self) -> None:
        """Kill what still runs, and remove all traces."""
