"""A job from its submission to its end, while the network fails at each request in turn: nothing is lost or doubled."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import FakePlace, ScriptedRunning, ScriptedRuntime, a_backend, a_manifest, applied
from contracts.nouns import a_node, put
from gcp.proxy import Fault, Proxy

from sparkles import results
from sparkles.backends.gcp.datastore import Datastore
from sparkles.backends.gcp.objects import BucketObjects
from sparkles.backends.gcp.state import DatastoreState
from sparkles.backends.gcp.storage.client import storage_client
from sparkles.backends.gcp.storage.staging import Staging
from sparkles.backends.local.known import KnownBlobs
from sparkles.model import JobState, NodeState, TaskState
from sparkles.ports.backend import Backend
from sparkles.prepare import find_job
from sparkles.timing import Timing
from sparkles.worker.loop import Worker

_TASKS = 3


@dataclass
class World:
    """A cloud behind a bad network, and what ran in it."""

    datastore: Proxy
    storage: Proxy
    runs: Counter[str]
    backend: Backend
    root: Path

    def live(self) -> None:
        """Submit a job and serve it to its end."""
        (self.root / "data.txt").write_text("some data")
        spec: dict[str, Any] = {"uploads": ["data.txt"], "parameters": {"seq": _TASKS}}
        applied(a_manifest(self.root, ("work", "{index}"), **spec), self.backend)
        job = find_job(self.backend, "j")
        assert job
        put(self.backend.state, a_node("n", cluster=job.cluster, state=NodeState.STARTING, slots=2))
        place = FakePlace("n", self.root / "work")
        Worker(self.backend, place, Timing(ahead=0.0, grace=0.0, commit_gap=0.01)).run()
        place.leave()

    def check(self) -> None:
        """Look at what has become of it: from outside, through a good network."""
        tasks = list(self.backend.state.tasks("j"))
        job = find_job(self.backend, "j")
        assert job
        assert [(task.index, task.state, task.attempts) for task in tasks] == [
            (index, TaskState.SUCCEEDED, 1) for index in range(1, _TASKS + 1)
        ]
        assert self.runs == {str(index): 1 for index in range(1, _TASKS + 1)}
        assert (job.state, job.applying) == (JobState.FINISHED, None)
        for task in tasks:
            document = results.in_place(task, self.backend)
            assert document
            assert document["claim"] == task.claim
            assert self.backend.objects.read_output("j", task.index, "out.txt") == b"some data"
            assert b"".join(results.read_whole_log(task, self.backend)) == f"{task.index}\n".encode()


@contextmanager
def a_world(
    cloud: Any, root: Path, *, patience: float = 20.0, meanwhile: Callable[[], None] = lambda: None
) -> Iterator[World]:
    """Yield a world in which stores are asked again for so long; `meanwhile` happens while the first task runs."""
    runs: Counter[str] = Counter()

    def work(running: ScriptedRunning) -> None:
        index = running.launch.argv[1]
        runs[index] += 1
        if index == "1":
            meanwhile()
        running.say(f"{index}\n")
        running.write("out.txt", (running.launch.folder / "data.txt").read_text())

    with closing(Proxy(cloud.emulator.host)) as database, closing(Proxy(cloud.storage.url)) as storage:
        os.environ.update(DATASTORE_EMULATOR_HOST=database.host, STORAGE_EMULATOR_HOST=storage.url)
        namespace = f"n{os.urandom(4).hex()}"

        def state() -> DatastoreState:
            return DatastoreState(
                Datastore(project=cloud.project, database="(default)", namespace=namespace, patience=patience)
            )

        objects = BucketObjects(
            storage_client(cloud.project), cloud.bucket, namespace,
            known=KnownBlobs(root / "known.db", write=True), spool=root / "spool", staging=Staging(root / "cache"),
            patience=patience,
        )  # fmt: skip
        home = a_backend(root / "home", host=ScriptedRuntime(work=work))
        home.state.close()
        backend = replace(home, state=state(), objects=objects, reopen=lambda: replace(backend, state=state()))
        yield World(database, storage, runs, backend, root)
        backend.state.close()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what a world sets in the environment put back."""
    for name in ("DATASTORE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(name, "")


def _requests(cloud: Any, tmp_path: Path) -> tuple[int, int]:
    """Return how many requests a job takes of each service."""
    (tmp_path / "quiet").mkdir()
    with a_world(cloud, tmp_path / "quiet") as world:
        world.live()
        requests = world.datastore.requests, world.storage.requests
        world.check()
        return requests


@pytest.mark.timeout(600)
@pytest.mark.parametrize("service", ["datastore", "storage"])
def test_a_job_survives_a_fault_at_each_of_its_requests(cloud, tmp_path, environment, service):
    count = _requests(cloud, tmp_path)[service == "storage"]

    struck = 0
    for number in range(count):
        fault = (Fault.BEFORE, Fault.AFTER)[number % 2]
        root = tmp_path / f"{number}"
        root.mkdir()
        with a_world(cloud, root) as world:
            proxy = world.datastore if service == "datastore" else world.storage
            proxy.arm(fault, skip=number)
            world.live()
            struck += not proxy.armed
            world.check()

    assert struck > 0.75 * count  # the last ones may not come to pass: how often a worker looks is a matter of time


@pytest.mark.parametrize("way", ["refuse", "blackhole"])
def test_a_job_survives_an_outage_that_is_longer_than_anybodys_patience(cloud, tmp_path, environment, monkeypatch, way):
    monkeypatch.setattr("sparkles.backends.gcp.datastore._TIME_LIMIT", 0.3)
    monkeypatch.setattr("sparkles.backends.gcp.storage.bucket._TIME_LIMITS", (0.3, 0.3))

    def outage() -> None:
        for proxy in (world.datastore, world.storage):
            getattr(proxy, way)()
            proxy.reset()
        time.sleep(3)
        for proxy in (world.datastore, world.storage):
            proxy.pass_all()

    with a_world(cloud, tmp_path, patience=0.5, meanwhile=outage) as world:
        world.live()
        world.check()
