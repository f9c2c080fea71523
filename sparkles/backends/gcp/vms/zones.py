"""Zones: where in a region machines of a type can be had at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from sparkles.backends.gcp.vms.clients import ComputeClients
from sparkles.backends.gcp.vms.faults import AbsentError, asking
from sparkles.errors import RequestError, nearest
from sparkles.machine import Machine

_LOG = logging.getLogger(__name__)


def zones_for(machine: Machine, clients: ComputeClients, *, project: str) -> Sequence[str]:
    """Return the zones that have what a machine is made of. Raises RequestError, with the way out, if none has.

    Zones of the settings that there are not are passed over, with a word.
    """
    region = machine.region
    zones = machine.zones or _all_zones(region, clients, project)
    having = [zone for zone in zones if _has_type(zone, machine.type, clients, project)]
    if not having:
        known = _names(lambda: clients.types.list({"project": project, "zone": zones[0]}), zones[0], project)
        raise RequestError(
            f"spec.resources.machineType: no zone of {_words(zones)} has machines of the type {machine.type!r}"
            f"{nearest(machine.type, known)}"
        )
    if any(zone not in having for zone in zones):
        _miss(zones, _all_zones(region, clients, project), region)
    if machine.gpu is None:
        return having
    with_gpu = [zone for zone in having if _has_gpu(zone, machine.gpu, clients, project)]
    if not with_gpu:
        known = _names(lambda: clients.accelerators.list({"project": project, "zone": having[0]}), having[0], project)
        raise RequestError(
            f"spec.resources.gpus.type: no zone of {_words(having)} has the GPU {machine.gpu!r}"
            f"{nearest(machine.gpu, known)}; 'gcloud compute accelerator-types list' "
            "shows which zones have which"
        )
    return with_gpu


def _miss(zones: Sequence[str], known: Sequence[str], region: str) -> None:
    """Warn of zones that there are not."""
    for zone in zones:
        if zone not in known:
            _warn(f"there is no zone {zone!r} in {region}{nearest(zone, known) or '; there are ' + _words(known)}")


@cache
def _warn(text: str) -> None:
    """Say something once, however often it is met with."""
    _LOG.warning("%s; it is passed over, and 'sparkles config' shows where it is set", text)


def _all_zones(region: str, clients: ComputeClients, project: str) -> Sequence[str]:
    try:
        with asking(f"region {region}", project):
            found = clients.regions.get({"project": project, "region": region})
    except AbsentError:
        raise RequestError(
            f"there is no region {region!r}; 'gcloud compute regions list' shows them, and 'sparkles config' where "
            "it is set"
        ) from None
    return sorted(url.rpartition("/")[2] for url in found.zones)


def _names(ask: Callable[[], Iterable[Any]], zone: str, project: str) -> list[str]:
    """Return the names of what a zone has. That the zone itself does not exist is found out here."""
    try:
        with asking(f"zone {zone}", project):
            return [each.name for each in ask()]
    except AbsentError:
        raise RequestError(
            f"there is no zone {zone!r}; 'gcloud compute zones list' shows them, and 'sparkles config' where it is set"
        ) from None


def _has_type(zone: str, name: str, clients: ComputeClients, project: str) -> bool:
    return _is_there(lambda: clients.types.get({"project": project, "zone": zone, "machine_type": name}), name, project)


def _has_gpu(zone: str, name: str, clients: ComputeClients, project: str) -> bool:
    request = {"project": project, "zone": zone, "accelerator_type": name}
    return _is_there(lambda: clients.accelerators.get(request), name, project)


def _is_there(ask: Callable[[], object], what: str, project: str) -> bool:
    try:
        with asking(what, project):
            ask()
    except AbsentError:
        return False
    return True


def _words(zones: Sequence[str]) -> str:
    return ", ".join(zones)
