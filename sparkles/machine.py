"""Machine: all that makes a node on Compute Engine. Nodes whose machines are equal can take each other's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What the names of machine types with Arm processors begin with.
_ARM = ("t2a-", "c4a-", "n4a-", "a4x-")

#: And those of which GPUs are a part.
_WITH_GPUS = ("a2-", "a3-", "a4-", "a4x-", "g2-", "g4-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A further disk, empty at the start and gone with the node."""

    size_gb: int
    #: Google's name of its kind, such as `pd-balanced` or `local-ssd`.
    type: str
    #: The folder in which the command finds it.
    mount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A bucket that the command sees as a folder."""

    bucket: str
    path: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The worker program of a node, by its content."""

    #: The blob, a zip archive, of the program itself.
    sha256: str
    #: The image that it runs in, pinned.
    image: str
    #: The blob, a zip archive, of the libraries that it needs; None where the image has them.
    wheels: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a node is made of. Values are final: nothing has to be looked up to make one."""

    program: Program
    #: The image of the tasks, pinned: the node fetches it while it starts.
    image: str
    region: str
    #: Empty for all zones of the region.
    zones: tuple[str, ...] = ()
    #: Google's machine type.
    type: str
    #: Google's name of the GPU model; None for no GPU.
    gpu: str | None = None
    gpus: int = 0
    boot_disk_gb: int
    boot_disk_type: str
    disks: tuple[Disk, ...] = ()
    mounts: tuple[Mount, ...] = ()
    #: The image, pinned, of what shows buckets as folders; None without `mounts`.
    mount_image: str | None = None
    spot: bool = False
    #: Nodes taken away after which standard machines are used as well; None for never.
    on_demand_after: int | None = None
    #: Seconds that a node may exist at most.
    max_life: float
    external_ip: bool = True
    #: The VPC network, and the part of it; None for the project's `default` one, and for what that has in the region.
    network: str | None = None
    subnetwork: str | None = None
    #: Whether tasks have the rights of the node's service account.
    credentials: bool = True
    #: The service account; None for the project's default one.
    account: str | None = None
    #: What is written on each VM, beside what sparkles itself writes: by it costs are told apart.
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        """The kind of processor, as docker calls it.

        >>> from dataclasses import replace
        >>> n1 = Machine(program=Program(sha256="", image=""), image="", region="r", type="n1-standard-1",
        ...              boot_disk_gb=10, boot_disk_type="pd-balanced", max_life=60.0)
        >>> n1.architecture, replace(n1, type="t2a-standard-1").architecture
        ('amd64', 'arm64')
        """
        return architecture_of(self.type)

    @property
    def has_gpus(self) -> bool:
        """Whether there is any GPU, by itself or added."""
        return self.gpu is not None or brings_gpus(self.type)


def brings_gpus(machine_type: str) -> bool:
    """Say whether GPUs are a part of machines of this type."""
    return machine_type.startswith(_WITH_GPUS)


def architecture_of(machine_type: str | None) -> str:
    """Return the kind of processor of a machine type, as docker calls it; of the usual ones if none is named."""
    return "arm64" if (machine_type or "").startswith(_ARM) else "amd64"


def machine_from(values: Mapping[str, Any]) -> Machine:
    """Read a machine back from what `dataclasses.asdict` made of it, perhaps by way of JSON.

    >>> from dataclasses import asdict
    >>> machine = Machine(program=Program(sha256="", image=""), image="", region="r", type="n1-standard-1",
    ...                   boot_disk_gb=10, boot_disk_type="pd-balanced", max_life=60.0,
    ...                   mounts=(Mount(bucket="b", path="/b"),))
    >>> machine_from(asdict(machine)) == machine
    True
    """
    return Machine(
        **{
            **values,
            "program": Program(**values["program"]),
            "zones": tuple(values["zones"]),
            "disks": tuple(Disk(**disk) for disk in values["disks"]),
            "mounts": tuple(Mount(**mount) for mount in values["mounts"]),
        }
    )
