"""Serves tasks that end at once, with state in Datastore: `submit N`, `raise N` workers, `serve NAME`, `check N`.

The worker is the one that nodes run, with four slots, nothing claimed ahead and no pause between its commits. What it
does beside them costs next to nothing: there is no command, and results are files of this machine.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkles import manifest as manifests
from sparkles.apply import execute
from sparkles.backends.gcp.backend import namespace_of
from sparkles.backends.gcp.datastore import Datastore
from sparkles.backends.gcp.state import DatastoreState
from sparkles.backends.local.environments import PrivateEnvironments
from sparkles.backends.local.objects import DirectoryObjects
from sparkles.marking import Submitter
from sparkles.model import Node, NodeState, TaskState, Writes
from sparkles.paths import Home
from sparkles.plan import Rerun
from sparkles.ports.backend import Backend
from sparkles.ports.runtime import Ending
from sparkles.prepare import find_job, prepare
from sparkles.timing import Timing
from sparkles.worker.loop import Worker

#: As many as a VM has if nobody says otherwise.
_SLOTS = 1


class Nothing:
    """A runtime, and a command of it, that does nothing; a compute that raises no nodes; hashes of no files."""

    def start(self, launch: Any) -> "Nothing":
        """Leave an empty log."""
        launch.log.touch()
        return self

    def wait(self) -> Ending:
        """End well."""
        return Ending(exit=0)

    def signal(self, number: int) -> None:
        """Do nothing."""

    def sample(self) -> None:
        """Use nothing."""

    def machine(self, spec: Any, image: Any) -> None:
        """Need none."""

    def supplies(self, _: Any) -> dict[str, Any]:
        """Need none."""
        return {}

    def raise_nodes(self, cluster: Any, state: Any, *, wanted: int) -> None:
        """Raise none."""

    def wake(self, nodes: Any) -> None:
        """Wake nobody."""

    def lapsed(self, _: Any) -> list[Node]:
        """See nobody die."""
        return []

    def sha256(self, path: Path) -> str:
        """Hash a file."""
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def keep(self) -> None:
        """Remember nothing."""


class Place:
    """A node's place: a folder, and a pipe to wake it by."""

    boot = "boot"
    node: Node | None = None
    end: float | None = None

    def __init__(self, name: str) -> None:
        self.name, self.work = name, Path("work", name).absolute()
        self.work.mkdir(parents=True)
        self.wake, self._caller = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self._caller, False)

    clock = staticmethod(time.monotonic)

    def call(self) -> None:
        """Wake it, unless it was called often enough."""
        with suppress(BlockingIOError):
            os.write(self._caller, b"!")

    def watch(self, taken_away: Callable[[], None]) -> None:
        """Nobody takes it away."""

    def depart(self, *, needed: bool) -> None:
        """Stay."""

    def leave(self) -> None:
        """Leave everything as it is."""


@dataclass
class World:
    """The stores, and all the connections that were made to the one that counts."""

    states: list[DatastoreState] = field(default_factory=list)

    def backend(self) -> Backend:
        """Return a backend with a connection of its own."""
        store = Datastore(
            project=os.environ["SPARKLES_PROJECT"], database="(default)",
            namespace=namespace_of(os.environ["SPARKLES_BUCKET"]), patience=10.0,
        )  # fmt: skip
        self.states.append(DatastoreState(store))
        home = Home(Path("home").absolute())
        nothing: Any = Nothing()
        return Backend(
            name="gcp", state=self.states[-1], objects=DirectoryObjects(home), compute=nothing, hashes=nothing,
            reopen=self.backend, worker=lambda: "w", host=nothing, environments=PrivateEnvironments(home),
            default_slots=_SLOTS, default_linger=0.0,
        )  # fmt: skip


def submit(count: str) -> None:
    """Submit a job of so many tasks."""
    document = {
        "apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "j"},
        "spec": {"command": ["true"], "parameters": {"seq": int(count)}},
    }  # fmt: skip
    manifest = manifests.check(document, source="benchmark", base=Path())
    backend = World().backend()
    execute(prepare(manifest, backend, rerun=Rerun.NONE), backend, Submitter(owner="me", environment={}))


def raise_workers(count: str) -> None:
    """Start so many workers; come back when each of them waits for the signal to begin."""
    backend = World().backend()
    job = find_job(backend, "j")
    assert job
    names = [f"n{number}" for number in range(int(count))]
    nodes = [
        Node(name=name, cluster=job.cluster, state=NodeState.STARTING, slots=_SLOTS, created=time.time())
        for name in names
    ]
    backend.state.change([node.key for node in nodes], lambda _: Writes(put=nodes))
    for name in names:
        subprocess.Popen([sys.executable, __file__, "serve", name], start_new_session=True)
    while not all(Path(f"{name}.ready").exists() for name in names):
        time.sleep(0.01)


def serve(name: str) -> None:
    """Serve as a node, once the signal has come; then tell of it."""
    world = World()
    worker = Worker(world.backend(), Place(name), Timing(ahead=0.0, look=5.0, beat=20.0))
    find_job(world.backend(), "j")  # connects
    Path(f"{name}.ready").write_text(str(os.getpid()), encoding="utf-8")
    while not Path("go").exists():
        time.sleep(0.002)
    worker.run()
    counted = {key: sum(getattr(state, key) for state in world.states) for key in ("commits", "conflicts")}
    Path(f"{name}.part").write_text(json.dumps(counted), encoding="utf-8")
    Path(f"{name}.part").rename(f"{name}.told")


def check(count: str) -> None:
    """Say what is wrong with the tasks, if anything is: each must have ended well, and been tried once."""
    tasks = list(World().backend().state.tasks("j"))
    wrong = [task.id for task in tasks if (task.state, task.attempts) != (TaskState.SUCCEEDED, 1)]
    if wrong or len(tasks) != int(count):
        sys.exit(f"{len(tasks)} tasks, {len(wrong)} of them not tried once and succeeded: {' '.join(wrong[:3])}")


if __name__ == "__main__":
    what, argument = sys.argv[1:]
    {"submit": submit, "raise": raise_workers, "serve": serve, "check": check}[what](argument)
