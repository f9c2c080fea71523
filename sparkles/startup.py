"""Startup: all that a machine is told when it is made, as the attributes of its metadata. Pure.

The script that it runs, `templates/startup.sh`, is the same text for all of them. What differs is a value that the
script fetches and quotes: nothing of a job becomes a part of a program. Whoever may look at a machine can read these
values, so there is no secret among them; what tasks are told is in the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from sparkles.config import Gcp
from sparkles.machine import Machine
from sparkles.model import Cluster
from sparkles.paths import Layout

#: Variables that lead to stand-ins for Google's services, or make the protocol quicker, in tests. A client that has
#: them makes nodes that have them.
HANDED_ON = (
    "COMPUTE_EMULATOR_HOST",
    "DATASTORE_EMULATOR_HOST",
    "STORAGE_EMULATOR_HOST",
    "SPARKLES_INSECURE_REGISTRIES",
    "SPARKLES_TIMING",
)

#: How a disk that is a part of the host calls itself, and any other, by its number.
_LOCAL_SSD = "local-ssd"
_PLACES = "/dev/disk/by-id/google-"

#: Where what shows the first bucket is spoken to, as rclone's manual has it.
_FIRST_PORT = 5572


def attributes(
    cluster: Cluster, gcp: Gcp, *, group: str, script: str, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the metadata of each machine of a `group` of a cluster.

    `script` is the text of the startup script, `environment` the variables of the client.
    """
    machine = cluster.machine
    assert machine is not None, f"cluster {cluster.name} is not one of VMs"
    found = {
        "startup-script": script,
        "sparkles-node": _node(cluster, machine, gcp, group=group),
        "sparkles-group": f"projects/{gcp.project}/regions/{machine.region}/instanceGroupManagers/{group}",
        "sparkles-worker-image": machine.program.image,
        "sparkles-image": machine.image,
        "sparkles-program": _blob(machine.program.sha256, gcp),
        "sparkles-wheels": _blob(machine.program.wheels, gcp) if machine.program.wheels else "",
        "sparkles-boot-log": _object(f"{_layout(gcp).boot_logs(cluster.name)}/", gcp),
        "sparkles-mount-image": machine.mount_image or "",
        "sparkles-mounts": "".join(_mounts(machine)),
        "sparkles-disks": "".join(f"{device}\n" for device in devices(machine)),
        "sparkles-gpu": f"{machine.gpu or machine.type}" if machine.has_gpus else "",
        "sparkles-credentials": "node" if machine.credentials else "none",
        "sparkles-environment": _environment(environment),
    }
    return {name: value for name, value in found.items() if value}


def devices(machine: Machine) -> Iterator[str]:
    """Yield the device of each further disk, in the order of the manifest."""
    scratch = 0
    for number, disk in enumerate(machine.disks):
        if disk.type == _LOCAL_SSD:
            yield f"{_PLACES}local-nvme-ssd-{scratch}"
            scratch += 1
        else:
            yield f"{_PLACES}sparkles-{number}"


def mount_port(number: int) -> int:
    """Return the port, of the machine's own address, at which the program listens that shows a bucket, by its number.

    >>> mount_port(0)
    5572
    """
    return _FIRST_PORT + number


def _mounts(machine: Machine) -> Iterator[str]:
    """Yield a line for each bucket: how it is shown, the port, and its name as it stands in a URL."""
    for number, mount in enumerate(machine.mounts):
        yield f"{'ro' if mount.read_only else 'rw'} {mount_port(number)} {quote(mount.bucket, safe='')}\n"


def _node(cluster: Cluster, machine: Machine, gcp: Gcp, *, group: str) -> str:
    """Return what the worker is told, as JSON."""
    known = {name: value for name, value in asdict(gcp).items() if name != "origins"}
    told = {"gcp": known, "cluster": cluster.name, "group": group, "slots": cluster.slots, "machine": asdict(machine)}
    return json.dumps(told)


def _blob(digest: str, gcp: Gcp) -> str:
    return f"{_object(str(_layout(gcp).blob(digest)), gcp)} {digest}"


def _object(name: str, gcp: Gcp) -> str:
    """Return the bucket and an object, or the beginning of the names of some, as they stand in a URL."""
    bucket = (gcp.bucket or "").partition("/")[0]
    return f"{bucket} {quote(name, safe='')}"


def _layout(gcp: Gcp) -> Layout:
    return Layout(Path((gcp.bucket or "").partition("/")[2]))


def _environment(environment: Mapping[str, str]) -> str:
    """Return the variables that are handed on, one a line: what has a line break in it is none of them."""
    lines = (f"{name}={environment[name]}\n" for name in HANDED_ON if environment.get(name))
    return "".join(line for line in lines if line.count("\n") == 1)
