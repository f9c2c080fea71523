"""Local compute: a node is one detached process of this machine that outlives the command line.

It holds a lock for life, so that a free lock means it is dead. It is woken through a FIFO.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from sparkles import presence
from sparkles.backends.local.runtime import kill_recorded
from sparkles.backends.process import boot_id, time_awake
from sparkles.errors import BackendError
from sparkles.model import Cluster, Node, NodeState, Records, Writes
from sparkles.paths import Home
from sparkles.ports.compute import Staffing
from sparkles.ports.state import StateStore
from sparkles.timing import Timing

if TYPE_CHECKING:
    from subprocess import Popen

    from sparkles.spec import JobSpec

#: Seconds that a killed worker may take to let go of its lock.
_DEATH = 10.0

#: The first thing a node runs. `-c` keeps the current folder's modules from being taken for ours.
_BOOT = "import sys; sys.path[0] = sys.argv[1]; from sparkles.node import main; main(sys.argv[2])"


class _CameBetweenError(Exception):
    """Another client changed the cluster while nodes were counted."""


class LocalCompute:
    """Compute on this machine, for a state that is kept on it."""

    #: The nodes that a cluster can have: one with its slots does what more of them would.
    most: int | None = 1
    #: Environment variables of the processes, beside this process's own.
    env: Mapping[str, str] = MappingProxyType({})
    #: The clock that leases are counted in. Who sleeps does not write, and nobody else is awake.
    clock: Callable[[], float] = staticmethod(time_awake)

    def __init__(self, home: Home, timing: Timing) -> None:
        self._home = home
        self._timing = timing
        #: Processes that this one started; kept so that they can be seen to fail.
        self._children: dict[str, Popen[bytes]] = {}

    def require(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        """See Compute."""

    def machine(self, spec: JobSpec, image: str | None) -> None:
        """See Compute. It is there anyway."""

    def supplies(self, cluster: Cluster) -> Mapping[str, Path]:  # noqa: ARG002 - what they run is here
        """See Compute."""
        return {}

    def elsewhere(self, cluster: Cluster) -> str | None:  # noqa: ARG002 - whatever the cluster
        """See Compute."""
        return None

    def raise_nodes(self, cluster: Cluster, state: StateStore, *, wanted: int) -> None:
        """See Compute."""
        wanted = wanted if self.most is None else min(wanted, self.most)
        while True:
            try:
                nodes = self._reserve(cluster, state, wanted=wanted)
            except _CameBetweenError:
                continue
            for node in nodes:
                self._spawn(node)
            return

    def shed(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        """See Compute. Processes are made at once."""

    def staffing(self, cluster: Cluster, nodes: Sequence[Node]) -> Staffing:  # noqa: ARG002 - each has its record
        """See Compute."""
        return Staffing()

    def clean_up(self, cluster: Cluster, state: StateStore) -> None:
        """See Compute."""

    def _reserve(self, cluster: Cluster, state: StateStore, *, wanted: int) -> Sequence[Node]:
        """Write down that nodes start, unless they are there: two clients never start too many."""
        seen = state.read([cluster.key])[cluster.key].version
        missing = presence.missing_nodes(state.nodes(cluster.name), wanted=wanted)
        if not missing:
            return []
        nodes = [self._new_node(cluster) for _ in range(missing)]

        def move(records: Records) -> Writes:
            current = records[cluster.key]
            if current.version != seen:
                raise _CameBetweenError
            return Writes(put=[current, *nodes])

        state.change([cluster.key], move)
        return nodes

    def _new_node(self, cluster: Cluster) -> Node:
        return Node(
            name=self._name(),
            cluster=cluster.name,
            state=NodeState.STARTING,
            slots=cluster.slots,
            created=time.time(),
        )

    def _name(self) -> str:
        return os.urandom(8).hex()

    def _spawn(self, node: Node) -> None:
        folder = self._home.node(node.name)
        (folder / "running").mkdir(parents=True)
        (folder / "containers").mkdir()
        (folder / "lock").touch(mode=0o600)
        os.mkfifo(folder / "wake", 0o600)
        import subprocess  # only for those who start a node

        package = str(Path(__file__).resolve().parents[3])
        with (folder / "log").open("ab") as log:
            self._children[node.name] = subprocess.Popen(
                [sys.executable, "-c", _BOOT, package, node.name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, "SPARKLES_HOME": str(self._home.root), **self.env},
                start_new_session=True,
            )

    def wake(self, nodes: Sequence[Node]) -> None:
        """See Compute."""
        for node in nodes:
            with suppress(OSError):  # nobody listens: it is gone, or has not come up and will look anyway
                wake = os.open(self._home.node(node.name) / "wake", os.O_WRONLY | os.O_NONBLOCK)
                try:
                    os.write(wake, b"!")
                finally:
                    os.close(wake)

    def lapsed(self, nodes: Sequence[Node]) -> Sequence[Node]:
        """See Compute."""
        return [node for node in nodes if self._has_lapsed(node)]

    def _has_lapsed(self, node: Node) -> bool:
        if self._is_locked(node):
            return self._is_hung(node)
        if node.state is not NodeState.STARTING:
            return True
        child = self._children.get(node.name)
        return presence.is_stale(node, now=time.time()) or (child is not None and child.poll() is not None)

    def _is_hung(self, node: Node) -> bool:
        """Say whether a live process has not reported for too long."""
        if node.state is NodeState.STARTING or node.beat_boot != boot_id():
            return False
        return self.clock() - node.beat_clock > self._timing.hung

    def _is_locked(self, node: Node) -> bool:
        try:
            lock = os.open(self._home.node(node.name) / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: others may be looking, too
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def fence(self, node: Node) -> frozenset[str] | None:
        """See Compute."""
        folder = self._home.node(node.name)
        if self._is_locked(node) and node.pid:
            with suppress(ProcessLookupError):
                os.kill(node.pid, signal.SIGKILL)
            self._wait_for_death(node)
        claims = kill_recorded(list((folder / "running").glob("*")))
        if containers := list((folder / "containers").glob("*")):
            claims |= _remove_containers(containers, node)
        return claims

    def forget(self, node: Node, *, needed: bool) -> None:  # noqa: ARG002 - another is started where it is wanted
        """See Compute."""
        _remove_traces(self._home, node.name)

    def _wait_for_death(self, node: Node) -> None:
        deadline = time.monotonic() + _DEATH
        while self._is_locked(node):
            if time.monotonic() > deadline:
                raise BackendError(f"node {node.name}: process {node.pid} hangs and cannot be killed")
            time.sleep(0.01)

    def last_words(self, node: Node) -> str:
        """See Compute."""
        try:
            return (self._home.node(node.name) / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
        except FileNotFoundError:
            return ""


def _remove_containers(records: Sequence[Path], node: Node) -> frozenset[str]:
    from sparkles.backends.docker.leftovers import remove_recorded  # most nodes have no use for its library

    try:
        return remove_recorded(records, node=node.name)
    except BackendError as error:
        raise BackendError(f"node {node.name} died and may have left containers running: {error}") from None


class NodePlace:
    """The folder of a running node, as seen by its own process: lock, wake, records, work."""

    #: Whoever started the process has written its record.
    node: Node | None = None
    end: float | None = None

    def __init__(self, home: Home, name: str, *, clock: Callable[[], float] = time_awake) -> None:
        self.name = name
        self._clock = clock
        self.boot = boot_id()
        self.work = home.work(name)
        self.work.mkdir(parents=True, exist_ok=True)
        self._home = home
        self._folder = home.node(name)
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Also open for writing, so that reading never meets an end.
        self.wake = os.open(self._folder / "wake", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def clock(self) -> float:
        """See Place."""
        return self._clock()

    @property
    def running(self) -> Path:
        """Return the folder with a file for each command that runs."""
        return self._folder / "running"

    @property
    def containers(self) -> Path:
        """Return the folder with a file for each container that there may be."""
        return self._folder / "containers"

    def call(self) -> None:
        """Wake the node's own loop."""
        with suppress(BlockingIOError):  # full: it has been called often enough
            os.write(self.wake, b"!")

    def watch(self, taken_away: Callable[[], None]) -> None:
        """See Place. Nobody announces that."""

    def depart(self, *, needed: bool) -> None:
        """See Place. The machine stays."""

    def leave(self) -> None:
        """See Place."""
        _remove_traces(self._home, self.name)
        os.close(self.wake)
        os.close(self._lock)


def _remove_traces(home: Home, name: str) -> None:
    """Remove all that a node kept; its log stays if it says anything."""
    import shutil  # as in `objects`

    for folder in (home.work(name), home.spool(name), home.cache(name)):
        shutil.rmtree(folder, ignore_errors=True)
    log = home.node(name) / "log"
    if not log.exists() or not log.stat().st_size:
        shutil.rmtree(home.node(name), ignore_errors=True)
