"""What a VM can find out about itself: the tree that its metadata server shows, and its changes."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

from .booting import Vm

#: Whether what stands below a name is shown under the names as they are, in the form of all at once. Google's own
#: names become camel-cased there.
_AS_WRITTEN = frozenset({"attributes", "service-accounts"})

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Guest:
    """What the metadata server says to one VM. It wakes those who wait when it changes."""

    def __init__(self, vm: Vm, *, address: str = "10.128.0.2") -> None:
        self.vm = vm
        #: Its only access token: whoever shows it is this VM's service account.
        self.token = f"ya29.{secrets.token_urlsafe(48)}"
        #: Requests that are still to be refused: the server is not there yet.
        self.deaf_requests = 0
        self._preempted = False
        self._maintenance = "NONE"
        self._address = address
        self._closed = False
        self._changed = threading.Condition()

    def is_deaf(self) -> bool:
        """Say whether a request is to be refused now."""
        with self._changed:
            self.deaf_requests = max(-1, self.deaf_requests - 1)
            return self.deaf_requests >= 0

    def preempt(self) -> None:
        """Say that the VM is being taken away."""
        with self._changed:
            self._preempted = True
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer: the VM is off."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def at(self, path: str) -> Any:
        """Return what stands at a path: a text, or the names below it. Raises KeyError if nothing does."""
        found: Any = self.tree()
        for name in filter(None, path.split("/")):
            if not isinstance(found, Mapping):
                raise KeyError(path)
            found = found[name]
        return found

    def wait(self, path: str, *, last_etag: str, within: float) -> None:
        """Return when what stands at a path has another etag than the last one, or after so many seconds."""
        deadline = time.monotonic() + within
        with self._changed:
            while etag(self.at(path)) == last_etag and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def tree(self) -> Mapping[str, Any]:
        """Return all, each thing under its name in the path. What ends in no name is a text."""
        vm = self.vm
        place = f"projects/{vm.project_number}"
        return {
            "instance": {
                "attributes": dict(vm.attributes),
                "description": "",
                "hostname": vm.hostname,
                "id": vm.id,
                "image": "projects/cos-cloud/global/images/cos-stable",
                "machine-type": f"{place}/machineTypes/{vm.machine_type}",
                "maintenance-event": self._maintenance,
                "name": vm.name,
                "network-interfaces": {"0": {"ip": self._address, "network": f"{place}/networks/default"}},
                "preempted": "TRUE" if self._preempted else "FALSE",
                "scheduling": _scheduling(vm),
                "service-accounts": self._accounts(),
                "tags": "[]",
                "zone": f"{place}/zones/{vm.zone}",
            },
            "project": {"attributes": {}, "numeric-project-id": vm.project_number, "project-id": vm.project},
            "universe": {"universe-domain": "googleapis.com"},
        }

    def _accounts(self) -> Mapping[str, Any]:
        email = self.vm.account
        if email is None:
            return {}
        account = {
            "aliases": "default",
            "email": email,
            "scopes": "\n".join(self.vm.properties["serviceAccounts"][0].get("scopes", [_SCOPE])),
            "token": json.dumps({"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"}),
        }
        return {"default": account, email: account}


def etag(found: Any) -> str:
    """Return what is another one once something is different."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]


def recursive(found: Any, name: str = "") -> Any:
    """Return what stands at a path with all below it, as Google shows it in JSON. `name` is its own name."""
    if not isinstance(found, Mapping):
        return _value(name, found)
    if name == "network-interfaces":
        return [recursive(each) for each in found.values()]
    shown = name not in _AS_WRITTEN
    return {camel(key) if shown else key: recursive(value, key) for key, value in found.items() if key != "token"}


def camel(name: str) -> str:
    """Return a name as JSON has it.

    >>> camel("machine-type")
    'machineType'
    """
    first, *others = name.split("-")
    return first + "".join(word.capitalize() for word in others)


def _value(name: str, text: str) -> Any:
    if name in ("id", "numeric-project-id"):
        return int(text)
    if name in ("aliases", "scopes"):
        return text.split("\n")
    return [] if name == "tags" else text


def _scheduling(vm: Vm) -> Mapping[str, str]:
    return {
        "automatic-restart": str(vm.scheduling.get("automaticRestart", True)).upper(),
        "on-host-maintenance": vm.scheduling.get("onHostMaintenance", "MIGRATE"),
        "preemptible": str(vm.spot).upper(),
    }
