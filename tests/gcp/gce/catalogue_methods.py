"""The methods that show what there is to choose from, and how much of it is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..service import Answer, Call
from .capacity import Capacity, known_zone
from .catalogue import FAMILIES, GPUS, QUOTAS, REGIONS, Type, types_in, zones
from .links import link, region_of
from .listing import aggregated, listed
from .operations import gone
from .world import World

_CREATED = "1969-12-31T16:00:00.000-08:00"


class CatalogueMethods:
    """Answers them."""

    def __init__(self, world: World, capacity: Capacity) -> None:
        self._world, self._capacity = world, capacity

    @property
    def answers(self) -> Mapping[str, Answer]:
        """The methods, by their ids."""
        return {
            "compute.regions.get": lambda call: self._region(self._known_region(call)),
            "compute.regions.list": self._regions,
            "compute.zones.get": lambda call: self._zone(self._known_zone(call)),
            "compute.zones.list": self._zones,
            "compute.machineTypes.get": self._machine_type,
            "compute.machineTypes.list": self._machine_types,
            "compute.machineTypes.aggregatedList": self._all_machine_types,
            "compute.acceleratorTypes.get": self._gpu,
            "compute.acceleratorTypes.list": self._gpus,
            "compute.acceleratorTypes.aggregatedList": self._all_gpus,
            "compute.images.getFromFamily": self._family,
        }

    def _regions(self, call: Call) -> dict[str, Any]:
        found = [self._region(region) for region in REGIONS]
        return listed(call, "compute#regionList", f"projects/{self._world.project}/regions", found)

    def _zones(self, call: Call) -> dict[str, Any]:
        found = [self._zone(zone) for zone in _all_zones()]
        return listed(call, "compute#zoneList", f"projects/{self._world.project}/zones", found)

    def _machine_type(self, call: Call) -> dict[str, Any]:
        zone, name = self._known_zone(call), call.values["machineType"]
        if name not in types_in(zone):
            raise gone(f"{self._place(zone)}/machineTypes/{name}")
        return self._type(zone, types_in(zone)[name])

    def _machine_types(self, call: Call) -> dict[str, Any]:
        zone = self._known_zone(call)
        found = [self._type(zone, each) for each in types_in(zone).values()]
        return listed(call, "compute#machineTypeList", f"{self._place(zone)}/machineTypes", found)

    def _all_machine_types(self, call: Call) -> dict[str, Any]:
        found = {f"zones/{zone}": [self._type(zone, each) for each in types_in(zone).values()] for zone in _all_zones()}
        return aggregated(call, "compute#machineTypeAggregatedList", "machineTypes", found)

    def _gpu(self, call: Call) -> dict[str, Any]:
        zone, name = self._known_zone(call), call.values["acceleratorType"]
        found = next((each for each in self._gpus_in(zone) if each["name"] == name), None)
        if found is None:
            raise gone(f"{self._place(zone)}/acceleratorTypes/{name}")
        return found

    def _gpus(self, call: Call) -> dict[str, Any]:
        zone = self._known_zone(call)
        place = f"{self._place(zone)}/acceleratorTypes"
        return listed(call, "compute#acceleratorTypeList", place, list(self._gpus_in(zone)))

    def _all_gpus(self, call: Call) -> dict[str, Any]:
        found = {f"zones/{zone}": list(self._gpus_in(zone)) for zone in _all_zones()}
        return aggregated(call, "compute#acceleratorTypeAggregatedList", "acceleratorTypes", found)

    def _family(self, call: Call) -> dict[str, Any]:
        project, family = call.values["project"], call.values["family"]
        if (project, family) not in FAMILIES:
            raise gone(f"projects/{project}/global/images/family/{family}")
        name = f"{family}-v20261101"
        return {
            "kind": "compute#image",
            "id": "1",
            "name": name,
            "family": family,
            "status": "READY",
            "sourceType": "RAW",
            "architecture": FAMILIES[project, family],
            "diskSizeGb": "10",
            "creationTimestamp": _CREATED,
            "selfLink": link(f"projects/{project}/global/images/{name}"),
        }

    def _known_region(self, call: Call) -> str:
        region = call.values["region"]
        if region not in REGIONS:
            raise gone(f"projects/{self._world.project}/regions/{region}")
        return region

    def _known_zone(self, call: Call) -> str:
        zone = call.values["zone"]
        if not known_zone(zone):
            raise gone(self._place(zone))
        return zone

    def _place(self, zone: str) -> str:
        return f"projects/{self._world.project}/zones/{zone}"

    def _region(self, region: str) -> dict[str, Any]:
        with self._world.lock:
            quotas = [
                {
                    "metric": metric,
                    "limit": float(self._capacity.limit(region, metric)),
                    "usage": float(self._capacity.usage(region, metric)),
                }
                for metric in QUOTAS
            ]
        return {
            "kind": "compute#region",
            "id": str(1000 + [*REGIONS].index(region)),
            "name": region,
            "description": region,
            "status": "UP",
            "creationTimestamp": _CREATED,
            "zones": [link(self._place(zone)) for zone in zones(region)],
            "quotas": quotas,
            "selfLink": link(f"projects/{self._world.project}/regions/{region}"),
        }

    def _zone(self, zone: str) -> dict[str, Any]:
        region = region_of(zone)
        return {
            "kind": "compute#zone",
            "id": str(2000 + 10 * [*REGIONS].index(region) + ord(zone[-1]) - ord("a")),
            "name": zone,
            "description": zone,
            "status": "UP",
            "creationTimestamp": _CREATED,
            "region": link(f"projects/{self._world.project}/regions/{region}"),
            "selfLink": link(self._place(zone)),
        }

    def _type(self, zone: str, kind: Type) -> dict[str, Any]:
        gpus = [{"guestAcceleratorType": kind.gpus[0], "guestAcceleratorCount": kind.gpus[1]}] if kind.gpus else []
        return {
            "kind": "compute#machineType",
            "id": str(abs(hash((zone, kind.name))) % 10**18),
            "name": kind.name,
            "description": f"{kind.cpus} vCPUs, {kind.memory_mb} MB RAM",
            "guestCpus": kind.cpus,
            "memoryMb": kind.memory_mb,
            "imageSpaceGb": 0,
            "maximumPersistentDisks": 128,
            "maximumPersistentDisksSizeGb": "263168",
            "isSharedCpu": kind.name in ("e2-micro", "e2-small", "e2-medium"),
            "architecture": "ARM64" if kind.arm else "X86_64",
            "creationTimestamp": _CREATED,
            "zone": zone,
            "selfLink": link(f"{self._place(zone)}/machineTypes/{kind.name}"),
            **({"accelerators": gpus} if gpus else {}),
        }

    def _gpus_in(self, zone: str) -> Iterator[dict[str, Any]]:
        for number, (name, (_, letters)) in enumerate(GPUS.items()):
            if zone[-1] in letters:
                yield {
                    "kind": "compute#acceleratorType",
                    "id": str(3000 + number),
                    "name": name,
                    "description": name,
                    "maximumCardsPerInstance": 8,
                    "creationTimestamp": _CREATED,
                    "zone": link(self._place(zone)),
                    "selfLink": link(f"{self._place(zone)}/acceleratorTypes/{name}"),
                }


def _all_zones() -> list[str]:
    return [zone for region in REGIONS for zone in zones(region)]
