"""Spec: a validated manifest as typed values, for everything that comes after reading it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparkles.lifecycle import RetryPolicy
from sparkles.machine import Disk, Mount
from sparkles.model import Reason

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """A file by its content."""

    #: Its sha256 in hex; of an object in a bucket `gs://bucket/object#generation`.
    content: str
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One entry of `uploads`. In a pinned manifest either `file` or `files` is there."""

    src: str
    dest: str | None
    file: PinnedFile | None = None
    #: What each rendered `src`, or file below it, is: for a `src` that holds placeholders.
    files: Mapping[str, PinnedFile] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """What a job says of the machines of its nodes. None where the backend's own choice holds."""

    #: Google's machine type.
    type: str | None = None
    #: Google's name of the GPU model; None for no GPU.
    gpu: str | None = None
    gpus: int = 0
    boot_disk_gb: int | None = None
    boot_disk_type: str | None = None
    #: Without a type where the backend's own choice holds.
    disks: Sequence[Disk] = ()
    mounts: Sequence[Mount] = ()
    spot: bool = False
    #: Nodes taken away after which standard machines are used as well; None for never.
    on_demand_after: int | None = None
    #: Seconds that a node may exist at most.
    max_life: float
    external_ip: bool = True
    #: Whether tasks have the rights of the node's service account.
    credentials: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """`spec` of a Job with its defaults filled in."""

    command: str | Sequence[str]
    image: str | None
    working_dir: str
    env: Mapping[str, str]
    uploads: Sequence[Upload]
    parameters: Mapping[str, Any]
    #: None where the backend's default holds.
    slots: int | None
    max_nodes: int
    #: Seconds; None where the backend's default holds.
    linger: float | None
    #: Nodes that may linger; None where the backend's default holds.
    keep: int | None
    machine: MachineSpec
    retries: RetryPolicy
    #: How many tasks may fail: a number, or a part of all such as 10%; None for any number.
    max_failures: str | None
    #: How many tasks run first; None for no such trial.
    canary: int | None
    #: Seconds; None for no limit.
    timeout: float | None
    #: Bytes; None for no limit.
    memory: int | None
    include: Sequence[str]
    exclude: Sequence[str]
    #: Patterns of outputs that are kept whatever the other two say.
    always: Sequence[str]
    #: What it is a part of, by its name.
    whole: str | None = None


def spec_of(document: Mapping[str, Any]) -> JobSpec:
    """Read the `spec` of a Job document in which the defaults are filled in."""
    spec = document["spec"]
    retries = spec["retries"]
    resources = spec.get("resources", {})
    nodes = spec["nodes"]
    return JobSpec(
        command=spec["command"],
        image=spec.get("image"),
        working_dir=spec["workingDir"],
        env=spec.get("env", {}),
        uploads=tuple(upload_of(entry) for entry in spec.get("uploads", [])),
        parameters=spec.get("parameters", {}),
        slots=resources.get("slots"),
        max_nodes=nodes["max"],
        linger=seconds(nodes["linger"]) if "linger" in nodes else None,
        keep=nodes.get("keep"),
        machine=_machine(resources, nodes, labels=document["metadata"].get("labels", {})),
        retries=RetryPolicy(limit=retries["limit"], on=frozenset(map(Reason, retries["on"]))),
        max_failures=spec.get("failFast", {}).get("maxFailures"),
        canary=spec.get("canary"),
        timeout=seconds(spec["timeout"]) if "timeout" in spec else None,
        memory=size_of(resources["memory"]) if "memory" in resources else None,
        include=spec["outputs"]["include"],
        exclude=spec["outputs"]["exclude"],
        always=spec["outputs"].get("always", ()),
        whole=document["metadata"].get("partOf", {}).get("name"),
    )


def _machine(resources: Mapping[str, Any], nodes: Mapping[str, Any], *, labels: Mapping[str, str]) -> MachineSpec:
    gpus, boot_disk = resources.get("gpus", {}), resources.get("bootDisk", {})
    return MachineSpec(
        type=resources.get("machineType"),
        gpu=gpus.get("type"),
        gpus=gpus.get("count", 0),
        boot_disk_gb=boot_disk.get("sizeGb"),
        boot_disk_type=boot_disk.get("type"),
        disks=tuple(
            Disk(size_gb=disk["sizeGb"], type=disk.get("type", ""), mount=disk["mount"])
            for disk in resources.get("disks", [])
        ),
        mounts=tuple(
            Mount(bucket=mount["bucket"], path=mount["path"], read_only=mount["readOnly"])
            for mount in resources.get("mounts", [])
        ),
        spot=nodes["provisioning"] == "spot",
        on_demand_after=nodes.get("onDemandAfter"),
        max_life=seconds(nodes["maxLife"]),
        external_ip=nodes["externalIp"],
        credentials=nodes.get("credentials", "node") == "node",
        labels=labels,
    )


def upload_of(entry: str | Mapping[str, Any]) -> Upload:
    """Read one entry of `uploads`: `src`, `src:dest`, `src:folder/` or a mapping.

    >>> upload_of("gs://bucket/model.rds:model.rds").dest
    'model.rds'
    """
    if isinstance(entry, str):
        scheme = "gs://" if in_bucket(entry) else ""
        src, colon, dest = entry[len(scheme) :].rpartition(":")
        src = scheme + (src if colon else dest)
        return Upload(src=src, dest=_dest(src, dest) if colon else None)
    files = entry.get("files")
    return Upload(
        src=entry["src"],
        dest=_dest(entry["src"], entry["dest"]) if "dest" in entry else None,
        file=_pinned(entry) if "sha256" in entry or "generation" in entry else None,
        files={file["src"]: _pinned(file) for file in files} if files is not None else None,
    )


def _dest(src: str, dest: str) -> str:
    """Return where an upload lands: a dest that ends in `/` is a folder to put it in."""
    return dest + src.rstrip("/").rsplit("/", 1)[-1] if dest.endswith("/") else dest


def _pinned(entry: Mapping[str, Any]) -> PinnedFile:
    content = entry["sha256"] if "sha256" in entry else object_content(entry["src"], entry["generation"])
    return PinnedFile(content=content, executable=entry.get("executable", False))


def object_content(url: str, generation: str) -> str:
    """Return what stands for the content of an object in a bucket: it never changes.

    >>> object_content("gs://bucket/model.rds", "7")
    'gs://bucket/model.rds#7'
    """
    return f"{url}#{generation}"


def in_bucket(text: str) -> bool:
    """Say whether a src, or a content, is of a bucket."""
    return text.startswith("gs://")


def is_duration(text: str) -> bool:
    """Say whether `seconds` can read this."""
    return re.fullmatch(r"(?:\d+[smhd])+", text) is not None


def seconds(duration: str) -> float:
    """Return the seconds of a duration.

    >>> seconds("1h30m")
    5400.0
    """
    parts = re.findall(r"(\d+)([smhd])", duration)
    return float(sum(int(number) * _UNITS[unit] for number, unit in parts))


def size_of(text: str) -> int:
    """Return the bytes of a size. A bare unit counts in 1024s, as docker and Slurm do.

    >>> size_of("4G"), size_of("4GiB"), size_of("1.5GB")
    (4294967296, 4294967296, 1500000000)
    """
    found = re.fullmatch(r"([0-9.]+)([kmgt])(i?b)?", text.lower())
    assert found
    number, unit, suffix = found.groups()
    return int(float(number) * (1000 if suffix == "b" else 1024) ** ("kmgt".index(unit) + 1))
