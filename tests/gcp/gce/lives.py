"""The life of an instance: it is made, boots, runs, is stopped, and is gone or kept as TERMINATED. A thread for each.

What is to happen to it is said under the world's lock and takes no time; what takes time happens in its thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from . import metadata
from .booting import Booter, BootError, Machine, Vm
from .guests import Guest
from .world import Instance, World

#: The addresses of a network, of which each VM has one.
_NETWORK = 10 << 24 | 128 << 16

#: Seconds between the button and the power, of machines that may be taken away and of the others.
_GRACE_OF_SPOT, _GRACE = 30.0, 90.0


class Lives:
    """Makes instances and ends them."""

    def __init__(self, world: World, booter: Booter) -> None:
        self._world, self._booter = world, booter
        #: Seconds that a VM takes until it is on.
        self.boot_seconds = 0.0
        #: Requests that the metadata server of a VM refuses at first.
        self.deaf_requests = 0
        #: What VMs run in place of their own startup script. None for their own.
        self.script: str | None = None
        #: Seconds between the button and the power. None for Google's.
        self.grace: float | None = None
        #: The account of each access token.
        self.accounts: dict[str, str] = {}
        self._addresses = 1

    def make(self, name: str, zone: str, properties: Mapping[str, Any]) -> Instance:
        """Make an instance. The world's lock is held."""
        world = self._world
        vm = Vm(name=name, id=world.new_id(), project=world.project, project_number=world.number, zone=zone,
                properties=properties)  # fmt: skip
        if self.script is not None:
            vm = replace(vm, properties=_with_script(properties, self.script))
        self._addresses += 1
        number = _NETWORK + self._addresses
        guest = Guest(vm, address=".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0)))
        guest.deaf_requests = self.deaf_requests
        if vm.account is not None:
            self.accounts[guest.token] = vm.account
        instance = Instance(vm=vm, guest=guest)
        world.instances[instance.key] = instance
        threading.Thread(target=self._live, args=(instance,), name=f"vm-{name}", daemon=True).start()
        world.tell()
        return instance

    def end(self, instance: Instance, *, doomed: bool, power: bool = True) -> None:
        """Press an instance's button, or cut its power; take it away afterwards if it is doomed.

        The world's lock is held. What is on its way out already can only become doomed.
        """
        instance.doomed = instance.doomed or doomed
        if instance.status == "TERMINATED":
            self._remove(instance)
        elif instance.status != "STOPPING":
            instance.status = "STOPPING"
            if instance.machine is not None:
                stop = partial(instance.machine.stop, grace=self._grace(instance)) if power else instance.machine.kill
                threading.Thread(target=stop, name=f"stop-{instance.vm.name}", daemon=True).start()
        self._world.tell()

    def _live(self, instance: Instance) -> None:
        machine = self._boot(instance)
        if machine is not None:
            machine.wait()
            instance.serial = machine.serial()
        with self._world.lock:
            instance.machine = None
            instance.guest.close()
            instance.status = "TERMINATED"
            if instance.doomed:
                self._remove(instance)
            self._world.tell()

    def _boot(self, instance: Instance) -> Machine | None:
        if not self._waits_to_boot(instance):
            return None
        try:
            machine = self._booter.boot(instance.vm, partial(metadata.answer, instance.guest))
        except BootError as error:
            instance.serial = f"{error}\n"
            return None
        with self._world.lock:
            if not instance.is_going:
                instance.machine, instance.status, instance.started = machine, "RUNNING", time.monotonic()
                self._world.tell()
                return machine
        machine.kill()
        return machine

    def _waits_to_boot(self, instance: Instance) -> bool:
        on = time.monotonic() + self.boot_seconds
        with self._world.lock:
            while not instance.is_going and (left := on - time.monotonic()) > 0:
                self._world.changed.wait(left)
            if not instance.is_going:
                instance.status = "STAGING"
            return not instance.is_going

    def _grace(self, instance: Instance) -> float:
        if self.grace is not None:
            return self.grace
        return _GRACE_OF_SPOT if instance.vm.spot else _GRACE

    def _remove(self, instance: Instance) -> None:
        if instance.doomed and self._world.instances.get(instance.key) is instance:
            del self._world.instances[instance.key]


def _with_script(properties: Mapping[str, Any], script: str) -> Mapping[str, Any]:
    items = [each for each in properties.get("metadata", {}).get("items", []) if each["key"] != "startup-script"]
    return {**properties, "metadata": {"items": [*items, {"key": "startup-script", "value": script}]}}
