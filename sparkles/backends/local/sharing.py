"""Sharing compute: nodes are processes of this machine, but the state is one that other machines share.

Nodes of other machines can only be judged by their silence. A lease goes on while this machine sleeps, since others are
awake.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import cache

from sparkles.backends.local.compute import LocalCompute
from sparkles.backends.process import boot_id, time_passed
from sparkles.model import Node
from sparkles.paths import Home
from sparkles.timing import Timing


class SharingCompute(LocalCompute):
    """Compute on this machine, for a state that other machines share."""

    most = 64
    clock = staticmethod(time_passed)

    def __init__(self, home: Home, timing: Timing, *, env: Mapping[str, str]) -> None:
        super().__init__(home, timing)
        self.env = env

    def _name(self) -> str:
        return f"{_this_machine(self._home)}-{super()._name()}"

    def _is_here(self, node: Node) -> bool:
        return node.name.startswith(f"{_this_machine(self._home)}-")

    def _has_lapsed(self, node: Node) -> bool:
        if self._is_here(node):
            return super()._has_lapsed(node)
        return node.silence is not None and node.silence > self._timing.silence

    def fence(self, node: Node) -> frozenset[str] | None:
        """See Compute. A node elsewhere has fenced itself by now: its lease was over before it was given up."""
        return super().fence(node) if self._is_here(node) else None


@cache
def _this_machine(home: Home) -> str:
    """Return a name for this machine since it was started, as far as nodes below `home` are concerned."""
    import hashlib  # most commands start no node

    facts = f"{boot_id()} {socket.gethostname()} {home.root}"
    return hashlib.sha256(facts.encode()).hexdigest()[:8]
