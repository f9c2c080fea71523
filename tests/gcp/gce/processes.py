"""VMs that are processes of this machine: quick, without rights, and true as far as scripts and their signals go.

A VM is a folder, a metadata server at a port of its own (GCE_METADATA_HOST), and a tree of processes below
`first_process.py`, which ends with the simulator at the latest. Its PATH begins with programs for what a VM has and
this machine has not, or must not do: `docker` runs what it is given without a container; what would change this
machine (`mount`, `mkfs`, …) is only written down. In its scripts the paths of the folders that a VM has to itself
become paths in its folder: all else of a script is as it was given.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import docker
from docker.errors import DockerException, NotFound

from ..server import Server
from .booting import BootError, Metadata, Vm
from .first_process import descendants

_HERE = Path(__file__).parent

#: Folders of a VM that are below its own folder here: its scripts find them there.
_FOLDERS = ("/var/lib/sparkles", "/mnt/disks")

#: The label of containers that names their node, whose name begins with the id of its VM.
_NODE = "sparkles.node"

#: Programs that only write down that they were called.
RECORDED = ("mount", "umount", "mkfs.ext4", "mkfs.xfs", "iptables", "cos-extensions", "sysctl", "modprobe", "gcsfuse")


class ProcessBooter:
    """Runs VMs below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs = folder / "programs"
        self._programs.mkdir(parents=True)
        self._machines: set[ProcessMachine] = set()
        self._write_programs()

    def boot(self, vm: Vm, metadata: Metadata) -> ProcessMachine:
        """See Booter."""
        folder = self.folder / f"{vm.name}-{vm.id}"
        (folder / "root").mkdir(parents=True)
        for name in ("startup-script", "shutdown-script"):
            if name in vm.attributes:
                (folder / name).write_text(_moved(vm.attributes[name], folder))
                (folder / name).chmod(0o755)
        server = Server(metadata)
        try:
            process = self._start(folder, server.port)
        except OSError as error:
            server.close()
            raise BootError(f"{vm.name}: {error}") from error
        machine = ProcessMachine(process, server, folder, vm)
        self._machines.add(machine)
        return machine

    def lose_images(self, *names: str) -> None:
        """Let pulls of these images fail from now on, and of no others."""
        (self.folder / "missing-images").write_text("\n".join(names))

    @contextmanager
    def without_engine(self) -> Iterator[None]:
        """Let the engine of each VM be off meanwhile."""
        mark = self.folder / "no-engine"
        mark.touch()
        try:
            yield
        finally:
            mark.unlink()

    def worker(self, vm: Vm) -> int:
        """Return the process in the container of a VM's worker."""
        container = self.folder / f"{vm.name}-{vm.id}" / "containers" / "sparkles-worker"
        return descendants(int((container / "pid").read_text()))[0]

    def recorded(self, name: str) -> list[str]:
        """Return what a VM did with programs that only write it down, in order."""
        (folder,) = self.folder.glob(f"{name}-*")
        path = folder / "recorded"
        return path.read_text().splitlines() if path.exists() else []

    def close(self) -> None:
        """See Booter."""
        for machine in self._machines:
            machine.kill()
        remove_containers(*(machine.vm for machine in self._machines))  # some were being made when their VM went
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, folder: Path, port: int) -> subprocess.Popen[bytes]:
        with (folder / "serial").open("wb") as serial:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(_HERE / "first_process.py")], cwd=folder,
                env=self._environment(folder, port), stdin=subprocess.PIPE, stdout=serial, stderr=serial,
                start_new_session=True,
            )  # fmt: skip

    def _environment(self, folder: Path, port: int) -> dict[str, str]:
        place = f"127.0.0.1:{port}"
        return {
            "PATH": f"{self._programs}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(folder / "root"),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "VM_FOLDER": str(folder),
            "GCE_METADATA_HOST": place,
            "GCE_METADATA_IP": place,
            "GCE_METADATA_ROOT": place,
        }

    def _write_programs(self) -> None:
        docker = f'exec "{sys.executable}" -I -S "{_HERE / "docker_words.py"}" "$@"'
        record = 'echo "${0##*/} $*" >> "$VM_FOLDER/recorded"'
        off = 'kill -TERM "$(cat "$VM_FOLDER/pid")"'
        for name, line in {
            "docker": docker,
            "poweroff": off,
            "shutdown": off,
            **dict.fromkeys(RECORDED, record),
        }.items():
            path = self._programs / name
            path.write_text(f"#!/bin/sh\n{line}\n")
            path.chmod(0o755)


class ProcessMachine:
    """A VM that is a tree of processes."""

    def __init__(self, process: subprocess.Popen[bytes], server: Server, folder: Path, vm: Vm) -> None:
        self._process, self._server, self._folder, self.vm = process, server, folder, vm
        self._orders = threading.Lock()
        self._is_cleared = False
        (folder / "pid").write_text(str(process.pid))

    @property
    def is_running(self) -> bool:
        """See Machine."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The first of its processes."""
        return self._process.pid

    def wait(self) -> None:
        """See Machine."""
        self._process.wait()
        self._server.close()
        self._close_orders()
        with self._orders:
            if not self._is_cleared:
                remove_containers(self.vm)
                self._is_cleared = True

    def stop(self, *, grace: float) -> None:
        """See Machine."""
        with self._orders, suppress(OSError, ValueError):
            assert self._process.stdin is not None, "it was started with a pipe"
            self._process.stdin.write(f"{grace}\n".encode())
            self._process.stdin.flush()
        self.wait()

    def kill(self) -> None:
        """See Machine."""
        self._close_orders()
        self.wait()

    def serial(self) -> str:
        """See Machine."""
        return (self._folder / "serial").read_text(errors="replace")

    def _close_orders(self) -> None:
        with self._orders, suppress(OSError):
            assert self._process.stdin is not None, "it was started with a pipe"
            self._process.stdin.close()


def _moved(script: str, folder: Path) -> str:
    for path in _FOLDERS:
        script = script.replace(path, f"{folder}{path}")
    return script


def remove_containers(*vms: Vm) -> None:
    """Remove what the workers of VMs left in this machine's engine: on a real VM the engine goes with it."""
    ids = {vm.id for vm in vms}
    with suppress(DockerException), closing(docker.APIClient(timeout=30)) as engine:
        for found in engine.containers(all=True, filters={"label": _NODE}):
            if found["Labels"][_NODE].partition("-")[0] in ids:
                with suppress(NotFound):
                    engine.remove_container(found["Id"], force=True, v=True)
