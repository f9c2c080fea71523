"""VM place: a machine of Compute Engine, as the node sees it that has it to itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from sparkles.backends.gcp.vms.guest import Guest
from sparkles.backends.process import boot_id, time_passed
from sparkles.model import Node
from sparkles.paths import Home

if TYPE_CHECKING:
    from sparkles.backends.gcp.vms.groups import Groups


class VmPlace:
    """See Place."""

    def __init__(
        self, home: Home, node: Node, *, end: float, guest: Guest, group: str, groups: Callable[[], Groups]
    ) -> None:
        """`end` is that of the machine's life; `group` the one that it is a member of."""
        self.name = node.name
        self.boot = boot_id()
        self.node: Node | None = node
        self.end: float | None = end
        self.work = home.work(node.name)
        self.containers = home.node(node.name) / "containers"
        self._guest = guest
        self._group, self._groups = group, groups
        self._path = f"zones/{node.zone}/instances/{node.instance}"
        #: There is one worker at a time: what is there is of earlier ones.
        self._folders = (home.nodes, home.root / "work", home.root / "spool", home.root / "cache")
        self._clear()
        for folder in (self.work, self.containers):
            folder.mkdir(parents=True)
        self.wake, self._caller = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self._caller, False)

    def clock(self) -> float:
        """See Place."""
        return time_passed()

    def watch(self, taken_away: Callable[[], None]) -> None:
        """See Place."""
        self._guest.watch(taken_away)

    def call(self) -> None:
        """See Place."""
        with suppress(BlockingIOError):  # full: it has been called often enough
            os.write(self._caller, b"!")

    def depart(self, *, needed: bool) -> None:
        """See Place."""
        groups = self._groups()
        (groups.recreate_members if needed else groups.delete_members)(self._group, [self._path])

    def leave(self) -> None:
        """See Place."""
        self._clear()
        os.close(self.wake)
        os.close(self._caller)

    def _clear(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
