"""Sharing compute: nodes are processes of this machine, but the state is one that other machines share.

Each machine has clusters of its own: a task without an image runs where it was submitted, since that is where its
environment is. Nodes of other machines can only be judged by their silence. A lease goes on while this machine sleeps,
since others are awake.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from sparkles.backends.local.compute import LocalCompute
from sparkles.backends.local.filesystem import make_folder, make_once
from sparkles.backends.process import time_passed
from sparkles.model import Cluster, Node
from sparkles.paths import Home
from sparkles.ports.state import StateStore
from sparkles.timing import Timing


class SharingCompute(LocalCompute):
    """Compute on this machine, for a state that other machines share."""

    most = 64
    clock = staticmethod(time_passed)

    def __init__(self, home: Home, timing: Timing, *, env: Mapping[str, str]) -> None:
        super().__init__(home, timing)
        self.env = env

    def raise_nodes(self, cluster: Cluster, state: StateStore, *, wanted: int) -> None:
        """See Compute. The nodes of another machine's cluster are for that machine to start."""
        if self.elsewhere(cluster) is None:
            super().raise_nodes(cluster, state, wanted=wanted)

    def elsewhere(self, cluster: Cluster) -> str | None:
        """See Compute."""
        if cluster.name.endswith(f"-{this_machine(self._home, write=False)}"):
            return None
        return (
            "its tasks run only on the machine that it was submitted from; nodes are started there, by sparkles watch"
        )

    def _name(self) -> str:
        return f"{this_machine(self._home)}-{super()._name()}"

    def _is_here(self, node: Node) -> bool:
        return node.name.startswith(f"{this_machine(self._home)}-")

    def _has_lapsed(self, node: Node) -> bool:
        if self._is_here(node):
            return super()._has_lapsed(node)
        return node.silence is not None and node.silence > self._timing.silence

    def fence(self, node: Node) -> frozenset[str] | None:
        """See Compute. A node elsewhere has fenced itself by now: its lease was over before it was given up."""
        return super().fence(node) if self._is_here(node) else None


def this_machine(home: Home, *, write: bool = True) -> str:
    """Return a name for this machine, as far as what is below `home` is concerned. It outlives a restart.

    It is made of a token that is kept there, and of what tells machines apart which share a disk.
    """
    facts = f"{_token(home, write=write)} {_machine_id()}"
    return hashlib.sha256(facts.encode()).hexdigest()[:8]


def _token(home: Home, *, write: bool) -> str:
    """Return the token; an empty one if there is none yet and none may be made."""
    if not home.machine.exists():
        if not write:
            return ""
        make_folder(home.root)
        make_once(home.machine, _make_token)
    return home.machine.read_text(encoding="ascii")


def _make_token(path: Path) -> None:
    path.write_text(os.urandom(8).hex(), encoding="ascii")


def _machine_id() -> str:
    """Return what the system calls the machine; the host's name may change, and is the next best."""
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return socket.gethostname()
