"""Whether nodes could be had: the region and its zones, the machine type, what is left of quotas, the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sparkles.backends.gcp.setup.api import AbsentError, Apis, RefusedError
from sparkles.config import Gcp
from sparkles.errors import BackendError
from sparkles.validate import Check, UnknownError

#: Quota → what a node takes of it, where that does not hang on its machine type.
_QUOTAS = {"CPUS": 0, "PREEMPTIBLE_CPUS": 0, "INSTANCES": 1, "IN_USE_ADDRESSES": 1}

_QUOTA_PAGE = "https://console.cloud.google.com/iam-admin/quotas?project="


def checks(apis: Apis, gcp: Gcp, machine_type: str, *, needs: tuple[str, ...]) -> Sequence[Check]:
    """Return what is tried of Compute Engine."""
    region = f"region {gcp.region}"
    return [
        Check(what=region, attempt=lambda: _zones_words(apis, gcp), needs=needs),
        Check(what=f"machine type {machine_type}", attempt=lambda: _type(apis, gcp, machine_type), needs=(region,)),
        Check(what="quotas", attempt=lambda: _quotas(apis, gcp, machine_type), needs=(region,)),
        Check(what="way out", attempt=lambda: _way_out(apis, gcp), needs=(region,)),
    ]


def _region(apis: Apis, gcp: Gcp) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = apis.read("compute", f"compute/v1/projects/{gcp.project}/regions/{gcp.region}")
    except AbsentError:
        raise BackendError(
            f"there is no region {gcp.region}; 'gcloud compute regions list --project={gcp.project}' names all"
        ) from None
    return found


def _zones(apis: Apis, gcp: Gcp) -> list[str]:
    """Return the zones that nodes may be in."""
    there = [url.rpartition("/")[2] for url in _region(apis, gcp).get("zones", ())]
    strange = sorted(set(gcp.zones).difference(there))
    if strange:
        raise BackendError(f"no zone of {gcp.region}: {', '.join(strange)}; there is: {', '.join(there)}")
    return [zone for zone in there if zone in gcp.zones] if gcp.zones else there


def _zones_words(apis: Apis, gcp: Gcp) -> str:
    return f"zones {', '.join(_zones(apis, gcp))}"


def _type(apis: Apis, gcp: Gcp, name: str) -> str:
    found = dict(_types(apis, gcp, name))
    if not found:
        raise BackendError(
            f"no zone of {gcp.region} has it; 'gcloud compute machine-types list --project={gcp.project} "
            f"--filter=zone:{gcp.region}' names those that are there"
        )
    return f"{_cpus(found)} CPUs, in {', '.join(found)}"


def _types(apis: Apis, gcp: Gcp, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each zone that has the machine type, and what it says of it."""
    for zone in _zones(apis, gcp):
        found = apis.get("compute", f"compute/v1/projects/{gcp.project}/zones/{zone}/machineTypes/{name}")
        if found is not None:
            yield zone, found


def _cpus(found: Mapping[str, Mapping[str, Any]]) -> int:
    return next((int(each["guestCpus"]) for each in found.values()), 1)


def _quotas(apis: Apis, gcp: Gcp, machine_type: str) -> str:
    quotas = {each["metric"]: each for each in _region(apis, gcp).get("quotas", ())}
    left = {name: _left(quotas[name]) for name in _QUOTAS if name in quotas}
    need = {**_QUOTAS, "CPUS": _cpus(dict(_types(apis, gcp, machine_type)))}
    short = [f"{name}: {left[name]:g} left, a node takes {need[name]}" for name in left if left[name] < need[name]]
    if short:
        raise BackendError(f"{'; '.join(short)}; ask for more at {_QUOTA_PAGE}{gcp.project}")
    return ", ".join(f"{name} {left[name]:g} left of {quotas[name]['limit']:g}" for name in left)


def _left(quota: Mapping[str, Any]) -> float:
    return float(quota.get("limit", 0)) - float(quota.get("usage", 0))


def _way_out(apis: Apis, gcp: Gcp) -> str:
    """Return how nodes reach the world outside. All of them do by an external address, if the manifest leaves it so."""
    try:
        routers = apis.read("compute", f"compute/v1/projects/{gcp.project}/regions/{gcp.region}/routers")
    except (AbsentError, RefusedError):
        raise UnknownError("whether there is a Cloud NAT; only nodes without an external IP need one") from None
    nats = [nat["name"] for router in routers.get("items", ()) for nat in router.get("nats", ())]
    if nats:
        return f"by Cloud NAT {nats[0]}, too: 'externalIp: false' works"
    return "by external IP; with 'externalIp: false' nodes would need a Cloud NAT, see docs/gcp.md"
