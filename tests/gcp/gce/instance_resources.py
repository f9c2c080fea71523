"""How an instance is shown."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from .booting import Vm
from .links import link
from .operations import timestamp
from .template_rules import shown
from .world import Instance


def path(vm: Vm) -> str:
    """Return where an instance stands."""
    return f"projects/{vm.project}/zones/{vm.zone}/instances/{vm.name}"


def resource(instance: Instance) -> dict[str, Any]:
    """Show an instance."""
    vm = instance.vm
    properties = shown(vm.properties)
    metadata = properties.pop("metadata", {"items": []})
    return {
        **{name: value for name, value in properties.items() if name not in ("description", "networkInterfaces")},
        "kind": "compute#instance",
        "id": vm.id,
        "name": vm.name,
        "creationTimestamp": timestamp(instance.created),
        "status": instance.status,
        "zone": link(f"projects/{vm.project}/zones/{vm.zone}"),
        "cpuPlatform": "Intel Broadwell",
        "metadata": {"kind": "compute#metadata", "fingerprint": _print(metadata), "items": metadata["items"]},
        "labelFingerprint": _print(properties.get("labels", {})),
        "fingerprint": _print(properties),
        "networkInterfaces": [_network(each, instance) for each in properties.get("networkInterfaces", [])],
        "selfLink": link(path(vm)),
        **({} if instance.started is None else {"lastStartTimestamp": timestamp(instance.created)}),
    }


def _network(said: dict[str, Any], instance: Instance) -> dict[str, Any]:
    address = instance.guest.at("instance/network-interfaces/0/ip")
    outside = address.replace("10.128.", "203.0.")
    access = [
        {"kind": "compute#accessConfig", "type": "ONE_TO_ONE_NAT", "name": "external-nat", **each, "natIP": outside}
        for each in said.get("accessConfigs", [])
    ]
    network = {"network": link(f"projects/{instance.vm.project}/global/networks/default"), **said}
    network |= {"kind": "compute#networkInterface", "name": "nic0", "networkIP": address}
    return network | ({"accessConfigs": access} if access else {})


def _print(value: Any) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()[:8]).decode()
