"""What Google demands of an instance template beyond its shape. Of its many rules those that have caught people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ApiError, invalid

_LABEL = re.compile(r"[a-z0-9_-]{0,63}")
_LABEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ATTRIBUTE = re.compile(r"[a-zA-Z0-9-_]{1,128}")

#: What changes when a machine ends, and does nothing here: whoever sends it is told.
_NOT_SIMULATED = ("gracefulShutdown", "onInstanceStopAction", "preemptionNoticeDuration", "skipGuestOsShutdown",
                  "terminationTime")  # fmt: skip

#: Bytes of one value of metadata, and of all.
_VALUE, _VALUES = 256 << 10, 512 << 10

#: Seconds: the shortest and the longest life that may be asked for.
_SHORTEST, _LONGEST = 30, 120 * 24 * 3600


def check(template: Mapping[str, Any]) -> None:
    """Raise ApiError if a template would be refused."""
    if "properties" not in template:
        raise invalid("Invalid value for field 'resource.properties': ''. Instance template must have properties.")
    properties = template["properties"]
    unknown = [name for name in _NOT_SIMULATED if properties.get("scheduling", {}).get(name)]
    model = properties.get("scheduling", {}).get("provisioningModel", "STANDARD")
    if unknown or model not in ("STANDARD", "SPOT"):
        raise ApiError(501, "notImplemented", f"{', '.join(unknown) or model}: not simulated")
    wrong = next((each for rule in _RULES for each in rule(properties)), None)
    if wrong is not None:
        raise invalid(wrong)


def shown(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties as they are shown: numbers of 64 bits are texts, and what was null is not there."""
    found: dict[str, Any] = _texts(properties)
    return found


def _texts(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _texts(item, key) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return str(value) if name in ("diskSizeGb", "seconds", "provisionedIops") else value


def _of_machine(properties: Mapping[str, Any]) -> Iterator[str]:
    if "/" in properties["machineType"]:
        yield (
            f"Invalid value for field 'resource.properties.machineType': '{properties['machineType']}'. "
            "Machine type in an instance template must be a name, not a URL."
        )
    gpus = properties.get("guestAccelerators")
    if gpus and properties.get("scheduling", {}).get("onHostMaintenance") != "TERMINATE":
        yield "Instances with guest accelerators do not support live migration."
    if len(properties.get("serviceAccounts", ())) > 1:
        yield "Invalid value for field 'resource.properties.serviceAccounts': ''. At most one service account."


def _of_disks(properties: Mapping[str, Any]) -> Iterator[str]:
    disks = properties.get("disks", [])
    if sum(bool(disk.get("boot")) for disk in disks) != 1:
        yield "Invalid value for field 'resource.properties.disks': ''. Exactly one boot disk is required."
    for number, disk in enumerate(disks):
        asked = disk.get("initializeParams", {})
        field = f"resource.properties.disks[{number}].initializeParams"
        if disk.get("boot") and not asked.get("sourceImage"):
            yield f"Invalid value for field '{field}.sourceImage': ''. Boot disk must have a source."
        if "/" in asked.get("diskType", ""):
            yield f"Invalid value for field '{field}.diskType': '{asked['diskType']}'. Must be a name, not a URL."
        if (asked.get("diskType") == "local-ssd") != (disk.get("type") == "SCRATCH"):
            yield f"Invalid value for field '{field}.diskType': ''. A local SSD is a disk of the type SCRATCH."


def _of_network(properties: Mapping[str, Any]) -> Iterator[str]:
    if not properties.get("networkInterfaces"):
        yield (
            "Invalid value for field 'resource.properties.networkInterfaces': ''. "
            "At least one network interface is required."
        )


def _of_scheduling(properties: Mapping[str, Any]) -> Iterator[str]:
    scheduling = properties.get("scheduling", {})
    spot = scheduling.get("provisioningModel") == "SPOT" or scheduling.get("preemptible")
    limit = scheduling.get("maxRunDuration", {}).get("seconds")
    if spot and scheduling.get("automaticRestart", True):
        yield "Scheduling must have preemptible be false when AutomaticRestart is true."
    if spot and scheduling.get("onHostMaintenance", "TERMINATE") != "TERMINATE":
        yield "Scheduling must have onHostMaintenance be TERMINATE when preemptible is true."
    if scheduling.get("instanceTerminationAction") and not spot and limit is None:
        yield (
            "You cannot specify a termination action for a VM instance that has the standard provisioning model "
            "(default). To use instance termination action, the VM instance must use the Spot provisioning model."
        )
    if limit is not None and not _SHORTEST <= int(limit) <= _LONGEST:
        yield (
            f"Invalid value for field 'resource.properties.scheduling.maxRunDuration.seconds': '{limit}'. "
            f"Must be between {_SHORTEST} and {_LONGEST} seconds."
        )


def _of_metadata(properties: Mapping[str, Any]) -> Iterator[str]:
    items = properties.get("metadata", {}).get("items", [])
    keys = [item["key"] for item in items]
    for key in keys:
        if not _ATTRIBUTE.fullmatch(key) or keys.count(key) > 1:
            wanted = f"Must be unique, and match {_ATTRIBUTE.pattern}"
            yield f"Invalid value for field 'metadata.items.key': '{key}'. {wanted}"
    sizes = [len(item.get("value", "").encode()) for item in items]
    if any(size > _VALUE for size in sizes) or sum(sizes) > _VALUES:
        yield f"Metadata values are too large: at most {_VALUE} bytes each and {_VALUES} in all."


def _of_labels(properties: Mapping[str, Any]) -> Iterator[str]:
    labels = properties.get("labels", {})
    for name, value in labels.items():
        if not _LABEL_NAME.fullmatch(name) or not _LABEL.fullmatch(value):
            yield (
                f"Invalid value for field 'resource.properties.labels': '{name}={value}'. "
                "Label keys and values must be lowercase letters, digits, dashes and underscores."
            )
    if len(labels) > 64:
        yield "Invalid value for field 'resource.properties.labels': ''. At most 64 labels."


_RULES = (_of_machine, _of_disks, _of_network, _of_scheduling, _of_metadata, _of_labels)
