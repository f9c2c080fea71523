"""VMs that are containers: each has an engine of its own, a metadata server at Google's address, and Google's own
program that runs its scripts. What they stand on is in `ground`; what goes on inside is in `box.sh`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from docker.errors import APIError, DockerException, NotFound

from ..server import Server
from . import ground
from .booting import BootError, Metadata, Vm
from .disks import Disks
from .forwarding import Forwarder
from .ground import Ground

_SCRIPT = Path(__file__).with_name("box.sh").read_text()

#: What an engine needs, short of all rights: not every machine where tests run has all to give.
_RIGHTS: dict[str, Any] = {
    "cap_add": ["NET_ADMIN", "SYS_ADMIN"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "sysctls": {"net.ipv4.conf.all.route_localnet": "1"},
    "binds": ["/sys/fs/cgroup:/sys/fs/cgroup:rw"],
    "devices": ["/dev/fuse:/dev/fuse:rwm"],
    "read_only": True,
    "tmpfs": {"/run": "", "/tmp": "", "/mnt/disks": "exec"},
    "extra_hosts": {"metadata.google.internal": ground.METADATA, "metadata": ground.METADATA},
}


class Box:
    """One VM. When it is off, nothing of it is left but what it printed."""

    def __init__(self, here: Ground, container: str, held: ExitStack, *, name: str) -> None:
        self.name = name
        self._ground, self._container, self._held = here, container, held
        self._printed = b""
        self._off = threading.Event()
        threading.Thread(target=self._clear_away, name="box", daemon=True).start()

    @property
    def is_running(self) -> bool:
        """See Machine."""
        return not self._off.is_set()

    def wait(self) -> None:
        """See Machine."""
        self._off.wait()

    def stop(self, *, grace: float) -> None:
        """See Machine."""
        with suppress(NotFound):
            self._ground.engine.stop(self._container, timeout=max(1, round(grace)))
        self._off.wait()

    def kill(self) -> None:
        """See Machine."""
        self.cut()
        self._off.wait()

    def cut(self) -> None:
        """Cut its power, and do not wait for what it takes to clear it away."""
        if self.is_running:
            with suppress(NotFound, APIError):  # it has ended, and may be gone
                self._ground.engine.kill(self._container)

    def serial(self) -> str:
        """See Machine."""
        if not self._off.is_set():
            with suppress(NotFound, APIError):  # it is being removed
                return str(self._ground.engine.logs(self._container).decode(errors="replace"))
            self._off.wait()
        return self._printed.decode(errors="replace")

    def run(self, *words: str) -> str:
        """Run a command in it, as somebody would who came by ssh; return what it printed."""
        execution = self._ground.engine.exec_create(self._container, list(words))
        printed: bytes = self._ground.engine.exec_start(execution)
        return printed.decode(errors="replace")

    def _clear_away(self) -> None:
        try:
            self._ground.engine.wait(self._container, timeout=None)
            self._printed = self._ground.engine.logs(self._container)
            self._ground.remove(self._container)
        finally:
            self._held.close()
            self._off.set()


class BoxBooter:
    """Makes VMs of containers. `share` says what of this machine they can reach. Raises ground.MissingError."""

    def __init__(self) -> None:
        self._numbers = itertools.count(2)
        self._metadata_ports: dict[str, int] = {}
        self._shared: list[int] = []
        #: All that were switched on, the oldest first.
        self.booted: list[Box] = []
        with ExitStack() as stack:
            self._ground = stack.enter_context(closing(Ground()))
            stack.enter_context(closing(Forwarder((ground.METADATA, 80), self._metadata_ports.get)))
            self._held = stack.pop_all()

    def share(self, *ports: int) -> None:
        """Let what listens at these ports of 127.0.0.1 be found there by VMs that are switched on from now on, too."""
        for port in ports:
            self._held.enter_context(closing(Forwarder((ground.HOST, port), _always(port))))
            self._shared.append(port)

    def boot(self, vm: Vm, metadata: Metadata) -> Box:
        """See Booter."""
        number = next(self._numbers)
        words = ["bash", "-c", _SCRIPT, "box", ground.HOST, *map(str, self._shared)]
        with ExitStack() as stack:
            server = stack.enter_context(closing(Server(metadata)))
            self._metadata_ports[ground.address(number)] = server.port
            disks = stack.enter_context(closing(Disks(vm)))
            rights = _RIGHTS | {"devices": [*_RIGHTS.get("devices", ()), *disks.devices]}
            try:
                container = self._ground.start(vm.name, number, words, **rights)
            except DockerException as error:
                raise BootError(str(error)) from error
            box = Box(self._ground, container, stack.pop_all(), name=vm.name)
        self.booted.append(box)
        return box

    def close(self) -> None:
        """See Booter."""
        for box in self.booted:
            box.cut()  # all at once: what each wrote takes seconds to remove
        for box in self.booted:
            box.wait()
        self._held.close()


def _always(port: int) -> Callable[[str], int]:
    return lambda _: port
