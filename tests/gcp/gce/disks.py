"""Disks of VMs that are containers: files that are block devices of this machine, empty, under Google's names there."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .booting import BootError, Vm

_FOLDER = Path(tempfile.gettempdir()) / "sparkles-vms.disks"
_NAMES = "/dev/disk/by-id/google-"

#: GB of a disk that is in the host.
_LOCAL_SSD = 375


class Disks:
    """The further disks of a VM, which are gone with it. Raises BootError."""

    def __init__(self, vm: Vm) -> None:
        self._held: list[tuple[str, Path]] = []
        _FOLDER.mkdir(exist_ok=True)
        try:
            #: As the engine wants to be told of them.
            self.devices = [self._make(vm, name, size) for name, size in _further(vm.properties.get("disks", []))]
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            raise BootError(f"{vm.name}: its disks cannot be made: {error}") from error

    def close(self) -> None:
        """Let nothing be left of them."""
        for device, file in self._held:
            _detach(device)
            file.unlink(missing_ok=True)

    def _make(self, vm: Vm, name: str, size: int) -> str:
        file = _FOLDER / f"{vm.id}-{name}"
        with file.open("wb") as new:
            os.truncate(new.fileno(), size << 30)  # it takes no room before something is written
        device = _said(["losetup", "--find", "--show", str(file)])
        self._held.append((device, file))
        return f"{device}:{_NAMES}{name}:rwm"


def _further(disks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    """Yield name and GB of each but the one that the VM boots from. Google itself names those that are in the host."""
    scratch = 0
    for disk in disks:
        if disk.get("type") == "SCRATCH":
            yield f"local-nvme-ssd-{scratch}", _LOCAL_SSD
            scratch += 1
        elif not disk.get("boot"):
            yield disk["deviceName"], int(disk["diskSizeGb"])


def remove_leftovers() -> None:
    """Remove the disks of VMs that were killed with those who had made them."""
    for line in _said(["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"]).splitlines():
        device, _, file = line.partition(" ")
        if file.strip().startswith(f"{_FOLDER}/"):
            _detach(device)
    for left in _FOLDER.glob("*"):
        left.unlink(missing_ok=True)


def _detach(device: str) -> None:
    with suppress(subprocess.CalledProcessError):  # it is not there any more
        _said(["losetup", "--detach", device])


def _said(words: Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.strip()
