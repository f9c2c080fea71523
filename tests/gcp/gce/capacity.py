"""Whether a VM can be had: stockouts and quotas that a test sets, machine types and GPUs that a zone has or has not.

The codes and the words are Google's, as far as they are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .catalogue import GPUS, QUOTAS, REGIONS, TYPES, Type, types_in
from .links import last, link, region_of
from .world import Instance, World


class Unavailable(Exception):  # noqa: N818 - a refusal in Google's words
    """A VM that cannot be made now."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, kw_only=True)
class Stockout:
    """What there is none of. Empty stands for all."""

    zones: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    #: None for both spot and standard machines.
    spot: bool | None = None

    def hits(self, zone: str, properties: dict[str, Any]) -> bool:
        """Say whether a machine in a zone is part of it."""
        return (
            (not self.zones or zone in self.zones)
            and (not self.types or last(properties["machineType"]) in self.types)
            and self.spot in (None, is_spot(properties))
        )


@dataclass(kw_only=True)
class Capacity:
    """What can be had, until a test says otherwise: everything within Google's usual quotas."""

    world: World
    stockouts: list[Stockout] = field(default_factory=list)
    #: Limits other than the usual, by region and metric.
    limits: dict[tuple[str, str], float] = field(default_factory=dict)
    #: Errors that the next attempts to make a VM meet, whatever it is.
    refusals: list[Unavailable] = field(default_factory=list)
    #: The error that all attempts meet, until it is taken away.
    refusal: Unavailable | None = None

    def clear(self) -> None:
        """Let everything be had again."""
        self.stockouts.clear()
        self.limits.clear()
        self.refusals.clear()
        self.refusal = None

    def zone_for(self, zones: Iterable[str], properties: dict[str, Any]) -> str:
        """Return the first of these zones in which a machine can be had. Raises Unavailable."""
        if self.refusals:
            raise self.refusals.pop(0)
        if self.refusal is not None:
            raise self.refusal
        wrong = {zone: self._wrong(zone, properties) for zone in zones}
        for zone, error in wrong.items():
            if error is None:
                return zone
        raise next(error for error in wrong.values() if error is not None)

    def _wrong(self, zone: str, properties: dict[str, Any]) -> Unavailable | None:
        try:
            self._check_kind(zone, properties)
            self._check_stock(zone, properties)
            self._check_quotas(region_of(zone), properties)
        except Unavailable as error:
            return error
        return None

    def limit(self, region: str, metric: str) -> float:
        """Return how much of something a region allows."""
        return self.limits.get((region, metric), QUOTAS[metric])

    def usage(self, region: str, metric: str) -> float:
        """Return how much of something is in use in a region."""
        here = [each for each in self.world.instances.values() if region_of(each.vm.zone) == region]
        if metric == "INSTANCE_GROUP_MANAGERS":
            return sum(group.region == region for group in self.world.groups.values())
        return sum(self._needs(region, each).get(metric, 0) for each in here if each.status != "TERMINATED")

    def _needs(self, region: str, instance: Instance) -> dict[str, float]:
        return dict(self._asked(region, dict(instance.vm.properties)))

    def _asked(self, region: str, properties: dict[str, Any]) -> Iterator[tuple[str, float]]:
        spot = is_spot(properties) and self.limit(region, "PREEMPTIBLE_CPUS") > 0
        kind = TYPES.get(last(properties["machineType"]))
        yield "PREEMPTIBLE_CPUS" if spot else "CPUS", kind.cpus if kind else 0
        yield "INSTANCES", 1
        if any("accessConfigs" in each for each in properties.get("networkInterfaces", ())):
            yield "IN_USE_ADDRESSES", 1
        for model, count in gpus_of(properties, kind):
            metric = GPUS[model][0] if model in GPUS else ""
            if metric:
                yield metric, count

    def _check_quotas(self, region: str, properties: dict[str, Any]) -> None:
        for metric, asked in self._asked(region, properties):
            limit = self.limit(region, metric)
            if self.usage(region, metric) + asked > limit:
                raise Unavailable(
                    "QUOTA_EXCEEDED", f"Quota '{metric}' exceeded.  Limit: {limit:.1f} in region {region}."
                )

    def _check_stock(self, zone: str, properties: dict[str, Any]) -> None:
        if any(each.hits(zone, properties) for each in self.stockouts):
            place = f"projects/{self.world.project}/zones/{zone}"
            raise Unavailable(
                "ZONE_RESOURCE_POOL_EXHAUSTED",
                f"The zone '{place}' does not have enough resources available to fulfill the request.  "
                "Try a different zone, or try again later.",
            )

    def _check_kind(self, zone: str, properties: dict[str, Any]) -> None:
        kind = types_in(zone).get(last(properties["machineType"]))
        place = f"projects/{self.world.project}/zones/{zone}"
        if kind is None:
            raise _no_such("resource.machineType", f"{place}/machineTypes/{last(properties['machineType'])}")
        for model, _ in gpus_of(properties, kind):
            if model not in GPUS or zone[-1] not in GPUS[model][1]:
                path = f"{place}/acceleratorTypes/{model}"
                raise _no_such("resource.guestAccelerators[0].acceleratorType", path)


def is_spot(properties: dict[str, Any]) -> bool:
    """Say whether a machine with these properties may be taken away at any time."""
    scheduling = properties.get("scheduling", {})
    return scheduling.get("provisioningModel") == "SPOT" or bool(scheduling.get("preemptible"))


def gpus_of(properties: dict[str, Any], kind: Type | None) -> Iterator[tuple[str, int]]:
    """Yield model and number of a machine's GPUs: those that are part of its type, and those that are attached."""
    if kind is not None and kind.gpus is not None:
        yield kind.gpus
    for each in properties.get("guestAccelerators", ()):
        yield last(each["acceleratorType"]), each.get("acceleratorCount", 1)


def known_zone(zone: str) -> bool:
    """Say whether there is such a zone."""
    region, _, letter = zone.rpartition("-")
    return len(letter) == 1 and letter in REGIONS.get(region, "")


def _no_such(field_name: str, path: str) -> Unavailable:
    message = f"Invalid value for field '{field_name}': '{link(path)}'. The referenced resource does not exist."
    return Unavailable("INVALID_FIELD_VALUE", message)
