"""Template: a machine becomes what Compute Engine is asked for, in Google's own words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sparkles.machine import Disk, Machine

#: What VMs start from: Google's container system, which has docker and changes nothing by itself.
_IMAGES = "projects/cos-cloud/global/images/family"
_FAMILY = {"amd64": "cos-stable", "arm64": "cos-arm64-stable"}

#: What the rights of the service account are not narrowed by.
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

#: Machine types that cannot be moved to another host while they run: they have GPUs, or are a host by themselves.
_UNMOVABLE = ("a2-", "a3-", "a4-", "a4x-", "g2-", "g4-", "h3-", "h4d-", "x4-")

#: Google's name of the disks that are part of the host, and the bytes of each, in GB.
LOCAL_SSD = "local-ssd"
LOCAL_SSD_GB = 375


def template(
    name: str,
    machine: Machine,
    *,
    spot: bool,
    metadata: Mapping[str, str],
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """Return the instance template of a machine; `spot` says whether these may be taken away."""
    properties: dict[str, Any] = {
        "machineType": machine.type,
        "labels": {**machine.labels, **labels},
        "disks": list(_disks(machine)),
        "networkInterfaces": [_interface(machine)],
        "serviceAccounts": [{"email": machine.account or "default", "scopes": [_SCOPE]}],
        "scheduling": scheduling(machine, spot=spot),
        "metadata": {"items": [{"key": key, "value": value} for key, value in metadata.items()]},
    }
    if machine.gpu:
        properties["guestAccelerators"] = [{"acceleratorType": machine.gpu, "acceleratorCount": machine.gpus}]
    return {"name": name, "properties": properties}


def group(name: str, *, template: str, zones: Sequence[str]) -> dict[str, Any]:
    """Return the group, empty at first, whose VMs are made from a template: where there is room, and made anew.

    `template` and `zones` are names as Google's paths have them.
    """
    return {
        "name": name,
        "baseInstanceName": name,
        "instanceTemplate": template,
        "targetSize": 0,
        "distributionPolicy": {"targetShape": "ANY", "zones": [{"zone": zone} for zone in zones]},
        "instanceLifecyclePolicy": {
            "defaultActionOnFailure": "REPAIR",
            "onRepair": {"allowChangingZone": "YES"},
        },
        # Nothing of what runs is ever replaced or moved because of the group itself.
        "updatePolicy": {"type": "OPPORTUNISTIC", "instanceRedistributionType": "NONE"},
        "listManagedInstancesResults": "PAGINATED",
    }


def scheduling(machine: Machine, *, spot: bool) -> dict[str, Any]:
    """Return when a VM goes: each after its longest life, whatever happens.

    A standard one starts again after a fault of its host; one with GPUs cannot be moved before that.
    """
    life = {"maxRunDuration": {"seconds": str(int(machine.max_life))}, "instanceTerminationAction": "DELETE"}
    if spot:
        return {"provisioningModel": "SPOT", "onHostMaintenance": "TERMINATE", "automaticRestart": False, **life}
    stays = machine.gpu is not None or machine.type.startswith(_UNMOVABLE)
    return {"provisioningModel": "STANDARD", "onHostMaintenance": "TERMINATE" if stays else "MIGRATE", **life}


def device(number: int) -> str:
    """Return the name under which the VM finds its further disk of this number, from 0."""
    return f"sparkles-{number}"


def _disks(machine: Machine) -> Iterator[dict[str, Any]]:
    yield {
        "boot": True,
        "autoDelete": True,
        "type": "PERSISTENT",
        "initializeParams": {
            "sourceImage": f"{_IMAGES}/{_FAMILY[machine.architecture]}",
            "diskSizeGb": str(machine.boot_disk_gb),
            "diskType": machine.boot_disk_type,
        },
    }
    for number, disk in enumerate(machine.disks):
        yield {"autoDelete": True, "deviceName": device(number), **_kind(disk)}


def _kind(disk: Disk) -> dict[str, Any]:
    if disk.type == LOCAL_SSD:
        return {"type": "SCRATCH", "interface": "NVME", "initializeParams": {"diskType": LOCAL_SSD}}
    return {"type": "PERSISTENT", "initializeParams": {"diskSizeGb": str(disk.size_gb), "diskType": disk.type}}


def _interface(machine: Machine) -> dict[str, Any]:
    """Return the VM's place in the network. It has an address on the internet only if it may."""
    interface: dict[str, Any] = {}
    if machine.network or not machine.subnetwork:
        interface["network"] = _below("global/networks", machine.network or "default")
    if machine.subnetwork:
        interface["subnetwork"] = _below(f"regions/{machine.region}/subnetworks", machine.subnetwork)
    if machine.external_ip:
        interface["accessConfigs"] = [{"type": "ONE_TO_ONE_NAT", "name": "External NAT"}]
    return interface


def _below(folder: str, name: str) -> str:
    """Return the path of a name; of another project's the path is given."""
    return name if "/" in name else f"{folder}/{name}"
