"""The methods of instances: looking at them, their serial output, and deletion, which their group repairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ApiError
from ..service import Answer, Call
from .catalogue import REGIONS, zones
from .instance_resources import path, resource
from .links import link
from .listing import aggregated, listed
from .lives import Lives
from .operations import Operations, gone
from .world import Instance, World


class InstanceMethods:
    """Answers them."""

    def __init__(self, world: World, lives: Lives, operations: Operations) -> None:
        self._world, self._lives, self._operations = world, lives, operations

    @property
    def answers(self) -> Mapping[str, Answer]:
        """The methods, by their ids."""
        return {
            "compute.instances.get": self._get,
            "compute.instances.list": self._list,
            "compute.instances.aggregatedList": self._all,
            "compute.instances.delete": self._operations.once(self._delete),
            "compute.instances.getSerialPortOutput": self._serial,
        }

    def _get(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            return resource(self._found(call))

    def _list(self, call: Call) -> dict[str, Any]:
        zone = call.values["zone"]
        place = f"projects/{self._world.project}/zones/{zone}/instances"
        return listed(call, "compute#instanceList", place, self._in(zone))

    def _all(self, call: Call) -> dict[str, Any]:
        found = {f"zones/{zone}": self._in(zone) for region in REGIONS for zone in zones(region)}
        return aggregated(call, "compute#instanceAggregatedList", "instances", found)

    def _delete(self, call: Call) -> dict[str, Any]:
        instance = self._found(call)
        self._lives.end(instance, doomed=True)
        return self._operations.add("delete", path(instance.vm))

    def _serial(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            instance = self._found(call)
            machine, kept = instance.machine, instance.serial
        if call.values.get("port", "1") != "1":
            raise ApiError(501, "notImplemented", "serial ports other than the first one are not simulated")
        output = machine.serial() if machine is not None else kept
        start = int(call.values.get("start") or 0)
        return {
            "kind": "compute#serialPortOutput",
            "contents": output[start:],
            "start": str(start),
            "next": str(len(output)),
            "selfLink": link(f"{path(instance.vm)}/serialPort"),
        }

    def _found(self, call: Call) -> Instance:
        key = call.values["zone"], call.values["instance"]
        if key not in self._world.instances:
            raise gone(f"projects/{self._world.project}/zones/{key[0]}/instances/{key[1]}")
        return self._world.instances[key]

    def _in(self, zone: str) -> list[dict[str, Any]]:
        with self._world.lock:
            return [resource(each) for each in self._world.instances.values() if each.vm.zone == zone]
