"""Outfit of a VM: what its tasks get of its disks, its GPUs and its memory. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sparkles.backends.docker.outfit import Bind, Outfit
from sparkles.machine import Machine

#: Where the startup script mounts the further disk of this number, from 0.
_DISK = "/mnt/disks/sparkles-{number}"

#: And where it shows the bucket of this number: a link, which leads elsewhere whenever the bucket is shown anew.
_BUCKET = "/mnt/disks/sparkles-buckets/{number}/now"

#: Where Container-Optimized OS has the driver of GPUs, and where images look for it.
_DRIVER = (
    Bind(source="/var/lib/nvidia/lib64", target="/usr/local/nvidia/lib64", read_only=True),
    Bind(source="/var/lib/nvidia/bin", target="/usr/local/nvidia/bin", read_only=True),
)

#: Images that were not made for GPUs do not look there.
_DRIVER_FOLDERS = {"LD_LIBRARY_PATH": "/usr/local/nvidia/lib64", "PATH": "/usr/local/nvidia/bin"}

#: What is left of the memory for the machine and the worker: this part of it, and no less than so many bytes.
_PART, _LEAST = 0.05, 300_000_000

#: And for each bucket that is shown as a folder, which keeps of each open file what comes next.
_PER_BUCKET = 200_000_000


def outfit_of(machine: Machine, *, name: str, devices: Sequence[str], memory: int) -> Outfit:
    """Return what each task gets on a machine with this name, these devices of GPUs, and so many bytes of memory.

    A task that takes all of the memory is to end, and not its worker. Tasks that run at once share what there is:
    which of them needs more than its part, nobody knows beforehand.
    """
    return Outfit(
        machine=name,
        binds=tuple(_binds(machine)),
        devices=tuple(devices) if machine.has_gpus else (),
        folders=_DRIVER_FOLDERS if machine.has_gpus else {},
        memory=int(memory - max(_LEAST, _PART * memory) - _PER_BUCKET * len(machine.mounts)),
    )


def _binds(machine: Machine) -> Iterator[Bind]:
    for number, disk in enumerate(machine.disks):
        yield Bind(source=_DISK.format(number=number), target=disk.mount)
    for number, mount in enumerate(machine.mounts):
        yield Bind(
            source=_BUCKET.format(number=number), target=mount.path, read_only=mount.read_only, propagation="rslave"
        )
    if machine.has_gpus:
        yield from _DRIVER
