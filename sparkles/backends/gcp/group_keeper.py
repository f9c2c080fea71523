"""What Compute Engine keeps for nodes that may be there no more: groups, what their VMs are made from, and VMs.

A project may be shared: only what was made for the same records and files is looked at. What was made for others says
so in what its VMs are told.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sparkles.backends.gcp.setup.api import AbsentError, Apis
from sparkles.backends.gcp.vms.group_names import cluster_of_group
from sparkles.config import Gcp
from sparkles.ports.keeping import Kept

#: What VMs are told about where they belong (see `sparkles.startup`).
_TOLD = "sparkles-node"

_LABELLED = "labels.sparkles=node"


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where something is, as Compute Engine has it."""

    region: str
    #: Below the project; of a VM alone.
    path: str = ""


class GroupKeeper:
    """Keeper of a project's groups and VMs, as far as they are ours."""

    def __init__(self, apis: Apis, gcp: Gcp) -> None:
        self._apis, self._gcp = apis, gcp
        self._base = f"compute/v1/projects/{gcp.project}"

    def kept(self) -> Iterator[Kept]:
        """See Keeper. A group and what its VMs are made from have the same name, and are one thing."""
        groups = {(_last(each["region"]), each["name"]): each for each in self._groups()}
        regions = {region for region, _ in groups} | ({self._gcp.region} if self._gcp.region else set())
        templates = {
            (region, each["name"]): each
            for region in sorted(regions)
            for each in self._listed(f"regions/{region}/instanceTemplates")
            if self._is_ours(each["properties"])
        }
        for key, template in templates.items():
            yield _group(key, template, groups.get(key))
        for each in self._vms():
            if self._is_ours(each) and (owner := _owner(each)) not in groups:
                yield _vm(each, owner)

    def drop(self, things: Sequence[Kept]) -> None:
        """See Keeper."""
        for thing in things:
            if thing.kind == "VM":
                self._drop_vm(thing)
            elif self._is_as_listed(thing):
                self._drop_group(thing)

    def _drop_vm(self, thing: Kept) -> None:
        with suppress(AbsentError):
            self._apis.send("DELETE", "compute", f"{self._base}/{thing.place.path}")

    def _is_as_listed(self, thing: Kept) -> bool:
        """Say whether nobody has asked the group for VMs since it was listed."""
        path = f"{self._base}/regions/{thing.place.region}/instanceGroupManagers/{thing.name}"
        found = self._apis.get("compute", path)
        return found is None or _machines(found) <= thing.machines

    def _drop_group(self, thing: Kept) -> None:
        from sparkles.backends.gcp.vms.clients import ComputeClients
        from sparkles.backends.gcp.vms.groups import Groups

        Groups(ComputeClients(), project=self._apis.project, region=thing.place.region).remove(thing.name)

    def _groups(self) -> Iterator[Mapping[str, Any]]:
        found = self._all_over("instanceGroupManagers")
        return (each for each in found if "region" in each)

    def _vms(self) -> Iterator[Mapping[str, Any]]:
        return self._all_over("instances", filter=_LABELLED)

    def _all_over(self, kind: str, **query: str) -> Iterator[Mapping[str, Any]]:
        for page in self._pages(f"aggregated/{kind}", **query):
            for place in page.get("items", {}).values():
                yield from place.get(kind, ())

    def _listed(self, path: str) -> Iterator[Mapping[str, Any]]:
        for page in self._pages(path):
            yield from page.get("items", ())

    def _pages(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        token = ""
        while True:
            page = self._apis.read(
                "compute", f"{self._base}/{path}", **query, **({"pageToken": token} if token else {})
            )
            yield page
            if not (token := page.get("nextPageToken", "")):
                return

    def _is_ours(self, described: Mapping[str, Any]) -> bool:
        told = _items(described).get(_TOLD)
        try:
            gcp = json.loads(told)["gcp"] if told else {}
        except (ValueError, KeyError):
            return False
        return all(gcp.get(name) == getattr(self._gcp, name) for name in ("project", "bucket", "database"))


def _group(key: tuple[str, str], template: Mapping[str, Any], group: Mapping[str, Any] | None) -> Kept:
    region, name = key
    return Kept(
        kind="group",
        name=name,
        age=_age(group or template),
        cluster=cluster_of_group(name),
        machines=_machines(group) if group else 0,
        place=_Place(region=region),
    )


def _machines(group: Mapping[str, Any]) -> int:
    """Return how many VMs a group has or is to have."""
    return max(int(group.get("targetSize", 0)), sum(map(int, group.get("currentActions", {}).values())))


def _vm(described: Mapping[str, Any], owner: tuple[str, str]) -> Kept:
    zone = _last(described["zone"])
    return Kept(
        kind="VM",
        name=described["name"],
        age=_age(described),
        cluster=cluster_of_group(owner[1]),
        machines=1,
        place=_Place(region=owner[0], path=f"zones/{zone}/instances/{described['name']}"),
    )


def _owner(described: Mapping[str, Any]) -> tuple[str, str]:
    """Return region and name of the group that a VM was made by."""
    cluster = described.get("labels", {}).get("sparkles-cluster", "")
    made_by = _items(described).get("created-by", cluster)
    return _last(described["zone"]).rpartition("-")[0], _last(made_by)


def _items(described: Mapping[str, Any]) -> dict[str, str]:
    return {item["key"]: item.get("value", "") for item in described.get("metadata", {}).get("items", ())}


def _age(described: Mapping[str, Any]) -> float:
    return time.time() - datetime.fromisoformat(described["creationTimestamp"].replace("Z", "+00:00")).timestamp()


def _last(url: str) -> str:
    return url.rpartition("/")[2]
