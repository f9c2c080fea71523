"""What an instance is made of: its template, filled in for a zone."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from .links import last, link
from .world import Group, Template, World


def properties_of(template: Template, group: Group, *, zone: str, name: str, world: World) -> dict[str, Any]:
    """Return the properties of a member that is to be made from a template in a zone."""
    properties: dict[str, Any] = deepcopy(template.said["properties"])
    place = f"projects/{world.project}/zones/{zone}"
    properties["machineType"] = link(f"{place}/machineTypes/{last(properties['machineType'])}")
    for each in properties.get("guestAccelerators", ()):
        each["acceleratorType"] = link(f"{place}/acceleratorTypes/{last(each['acceleratorType'])}")
    for number, disk in enumerate(properties.get("disks", ())):
        _fill_disk(disk, number=number, name=name, place=place)
    region = f"projects/{world.number}/regions/{group.region}"
    items = properties.setdefault("metadata", {}).setdefault("items", [])
    items.append({"key": "instance-template", "value": f"{region}/instanceTemplates/{template.name}"})
    items.append({"key": "created-by", "value": f"{region}/instanceGroupManagers/{group.name}"})
    return properties


def _fill_disk(disk: dict[str, Any], *, number: int, name: str, place: str) -> None:
    disk.setdefault("deviceName", "persistent-disk-0" if not number else f"disk-{number}")
    asked = disk.pop("initializeParams", {})
    if "diskSizeGb" in asked:
        disk["diskSizeGb"] = str(asked["diskSizeGb"])
    if disk.get("type") != "SCRATCH":
        disk["source"] = link(f"{place}/disks/{name}" + (f"-{number}" if number else ""))
    disk |= {"index": number, "kind": "compute#attachedDisk", "mode": disk.get("mode", "READ_WRITE")}
