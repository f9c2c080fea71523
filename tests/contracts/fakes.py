"""Fakes for what tests must decide themselves: which nodes die, what commands do, what time it is.

State and objects are never faked: SQLite and a directory are quick enough.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkles import manifest as manifests
from sparkles.apply import execute
from sparkles.backends.local.environments import PrivateEnvironments
from sparkles.backends.local.objects import DirectoryObjects
from sparkles.backends.local.state import SqliteState
from sparkles.errors import BackendError, LaunchError
from sparkles.machine import Machine
from sparkles.manifest import Manifest
from sparkles.marking import Submitter
from sparkles.model import Cluster, Job, Node, Sample
from sparkles.paths import Home
from sparkles.plan import Rerun
from sparkles.ports.backend import Backend, Environments
from sparkles.ports.buckets import BucketFile, Buckets
from sparkles.ports.compute import Compute, Staffing
from sparkles.ports.objects import ObjectStore
from sparkles.ports.runtime import Ending, Launch
from sparkles.ports.state import StateStore
from sparkles.prepare import prepare
from sparkles.spec import JobSpec

#: What each port only reads with: the rest of it writes.
READS = {
    StateStore: {"read", "is_open", "open_indices", "counts", "columns", "rows", "tasks", "jobs", "nodes", "tick",
                 "close", "pending", "held", "some", "past_nodes", "clusters"},
    ObjectStore: {"url", "download_line", "missing", "read_blob", "read_manifest", "results", "jobs_with_results",
                  "read_result", "read_log", "log_size", "unpromoted", "read_output", "output_sha256", "manifests"},
    Environments: {"read"},
    Compute: {"lapsed", "last_words", "require", "elsewhere", "machine", "staffing", "supplies"},
    Buckets: {"find", "missing", "absent"},
}  # fmt: skip


@dataclass
class FakeCompute:
    """Nodes that only exist on paper; a test says which have lapsed, and what ran on them."""

    dead: set[str] = field(default_factory=set)
    #: Node → the claims that ran when it died; None if that is not known.
    running: dict[str, frozenset[str] | None] = field(default_factory=dict)
    raised: list[int] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)
    fenced: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    #: For each time that somebody shed nodes, the cluster.
    shed_for: list[str] = field(default_factory=list)
    words: str = ""
    #: Called by `shed`.
    on_shed: Callable[[], None] = lambda: None
    #: Called by `fence`.
    on_fence: Callable[[Node], None] = lambda _: None

    def require(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        pass

    def machine(self, spec: JobSpec, image: str | None) -> Machine | None:
        return None

    def supplies(self, cluster: Cluster) -> Mapping[str, Path]:
        return {}

    def elsewhere(self, cluster: Cluster) -> str | None:
        return None

    def raise_nodes(self, cluster: Cluster, state: StateStore, *, wanted: int) -> None:
        self.raised.append(wanted)

    def shed(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        self.on_shed()
        self.shed_for.append(cluster.name)

    def staffing(self, cluster: Cluster, nodes: Sequence[Node]) -> Staffing:
        return Staffing()

    def clean_up(self, cluster: Cluster, state: StateStore) -> None:
        pass

    def wake(self, nodes: Sequence[Node]) -> None:
        self.woken += [node.name for node in nodes]

    def lapsed(self, nodes: Sequence[Node]) -> Sequence[Node]:
        return [node for node in nodes if node.name in self.dead]

    def fence(self, node: Node) -> frozenset[str] | None:
        self.fenced.append(node.name)
        self.on_fence(node)
        return self.running.get(node.name, frozenset())

    def forget(self, node: Node, *, needed: bool) -> None:
        self.forgotten.append(node.name)

    def last_words(self, _: Node) -> str:
        return self.words


class FakeBuckets:
    """Buckets in memory, as plainly as their contract can be put."""

    def __init__(self) -> None:
        #: Bucket → object → (generation, content).
        self.buckets: dict[str, dict[str, tuple[str, bytes]]] = {}
        #: What was asked for, each time.
        self.asked: list[list[str]] = []
        self._generation = 0

    def put(self, url: str, content: bytes | str = b"") -> str:
        """Write an object; return its generation."""
        self._generation += 1
        bucket, name = _place(url)
        content = content.encode() if isinstance(content, str) else content
        self.buckets.setdefault(bucket, {})[name] = str(self._generation), content
        return str(self._generation)

    def remove(self, url: str) -> None:
        bucket, name = _place(url)
        del self.buckets[bucket][name]

    def find(self, urls: Sequence[str]) -> Mapping[str, Sequence[BucketFile]]:
        self.asked.append(list(urls))
        return {url: self._at(*_place(url)) for url in urls if _place(url)[0] in self.buckets}

    def _at(self, bucket: str, name: str) -> Sequence[BucketFile]:
        objects = self.buckets[bucket]
        below = [other for other in sorted(objects) if name == "" or other.startswith(name.removesuffix("/") + "/")]
        found = [name] if name in objects and not name.endswith("/") else below
        return [
            BucketFile(url=f"gs://{bucket}/{name}", generation=generation, size=len(content), crc32c="")
            for name, (generation, content) in ((name, objects[name]) for name in found)
            if content or not name.endswith("/")
        ]

    def missing(self, contents: Sequence[str]) -> set[str]:
        self.asked.append(list(contents))
        return {content for content in contents if self._live(content) is None}

    def absent(self, buckets: Sequence[str]) -> set[str]:
        return {bucket for bucket in buckets if bucket not in self.buckets}

    def stage(self, content: str, destination: Path, *, executable: bool) -> None:
        live = self._live(content)
        if live is None:
            raise BackendError(f"{content} is not there any more")
        destination.write_bytes(live)
        destination.chmod(0o755 if executable else 0o644)

    def _live(self, content: str) -> bytes | None:
        url, _, wanted = content.rpartition("#")
        bucket, name = _place(url)
        generation, found = self.buckets.get(bucket, {}).get(name, ("", b""))
        return found if generation == wanted else None


def _place(url: str) -> tuple[str, str]:
    bucket, _, name = url.removeprefix("gs://").partition("/")
    return bucket, name


class PlainHashes:
    """Hashes without a memory."""

    def sha256(self, path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def keep(self) -> None:
        pass


class ScriptedRunning:
    """A command that is a Python function; it may wait for `stopped`, which any signal sets."""

    def __init__(self, launch: Launch, script: Script) -> None:
        self.launch = launch
        self.signals: list[int] = []
        self.stopped = threading.Event()
        self._script = script

    def say(self, text: str) -> None:
        with self.launch.log.open("a", encoding="utf-8") as log:
            log.write(text)

    def write(self, name: str, text: str) -> None:
        path = self.launch.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def wait(self) -> Ending:
        ended = self._script(self)
        return ended if isinstance(ended, Ending) else Ending(exit=ended or 0)

    def signal(self, number: int) -> None:
        self.signals.append(number)
        self.stopped.set()

    def sample(self) -> Sample | None:
        return Sample(processes=1, total=2, data=3, shared=4, resident=5)


#: What a command does: called in the slot's thread; returns its exit code, None for 0, or an Ending.
Script = Callable[[ScriptedRunning], "int | Ending | None"]


class ScriptedRuntime:
    """Runs Python functions as commands, by the first word of the command."""

    def __init__(self, **scripts: Script) -> None:
        self.scripts: dict[str, Script] = {"true": lambda _: 0, "false": lambda _: 1, **scripts}
        self.started: list[ScriptedRunning] = []

    def start(self, launch: Launch) -> ScriptedRunning:
        if launch.argv[0] not in self.scripts:
            raise LaunchError(f"{launch.argv[0]}: command not found", exit=127)
        launch.log.touch()
        running = ScriptedRunning(launch, self.scripts[launch.argv[0]])
        self.started.append(running)
        return running


class FakePlace:
    """A node's place, whose clock can be moved on."""

    node: Node | None = None
    end: float | None = None

    def __init__(self, name: str, work: Path) -> None:
        self.name = name
        self.work = work
        self.boot = "boot"
        self.ahead = 0.0
        #: For each time that the machine was to be removed, whether another is needed.
        self.departed: list[bool] = []
        #: Called by `depart`.
        self.on_depart: Callable[[], None] = lambda: None
        self._closing = threading.Lock()
        self._closed = False
        self.wake, self._caller = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self._caller, False)
        work.mkdir(parents=True, exist_ok=True)

    def clock(self) -> float:
        return time.monotonic() + self.ahead

    def call(self) -> None:
        # A fenced worker does not wait for its slots, which may call when the test is over.
        with self._closing, suppress(BlockingIOError):
            if not self._closed:
                os.write(self._caller, b"!")

    def watch(self, taken_away: Callable[[], None]) -> None:
        pass  # a test tells the worker itself

    def depart(self, *, needed: bool) -> None:
        self.on_depart()
        self.departed.append(needed)

    def leave(self) -> None:
        with self._closing:
            self._closed = True
            os.close(self.wake)
            os.close(self._caller)


def a_backend(root: Path, **parts: Any) -> Backend:
    """Return a backend with SQLite and a directory below `root`, and fakes for the rest."""
    home = Home(root)
    root.mkdir(parents=True, exist_ok=True)
    known: dict[str, Any] = {
        "state": SqliteState(home.state),
        "objects": DirectoryObjects(home),
        "environments": PrivateEnvironments(home),
        "compute": FakeCompute(),
        "hashes": PlainHashes(),
        "host": ScriptedRuntime(),
        "default_linger": 0.0,
        **parts,
    }

    def reopen() -> Backend:
        return a_backend(root, **{**parts, "compute": known["compute"], "state": SqliteState(home.state)})

    return Backend(name="local", worker=lambda: "w", reopen=reopen, **known)


def a_manifest(base: Path, command: Any = ("true",), *, name: str = "j", **spec: Any) -> Manifest:
    command = command if isinstance(command, str) else list(command)
    document = {
        "apiVersion": "sparkles/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"command": command, **spec},
    }
    return manifests.check(document, source="test", base=base)


def applied(manifest: Manifest, backend: Backend, *, rerun: Rerun = Rerun.NONE) -> Job:
    """Apply a manifest as `sparkles apply` does."""
    return execute(
        prepare(manifest, backend, rerun=rerun), backend, Submitter(owner="me", environment={"FROM": "shell"})
    )


def rows(values: Iterable[str], column: str = "x") -> dict[str, Any]:
    """Return `parameters` with a row for each value."""
    return {"rows": [{column: value} for value in values]}
