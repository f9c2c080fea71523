"""Nodes on this machine: who counts as dead, what is ended with them, and how they are woken."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from contracts.compute import ComputeContract
from contracts.nouns import a_cluster, a_node, put

from sparkles.backends.local import compute as computes
from sparkles.backends.local.compute import LocalCompute, NodePlace
from sparkles.backends.local.state import SqliteState
from sparkles.backends.process import boot_id, identity
from sparkles.model import Cluster, Node, NodeState
from sparkles.paths import Home
from sparkles.presence import RESERVATION
from sparkles.timing import Timing


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def compute(home: Home) -> LocalCompute:
    return LocalCompute(home, Timing())


@pytest.fixture
def state(home: Home) -> Iterator[SqliteState]:
    home.root.mkdir(parents=True)
    with closing(SqliteState(home.state)) as state:
        yield state


@pytest.fixture
def folder(home: Home) -> Path:
    """The folder of a node whose process is not there."""
    folder = home.node("n")
    (folder / "running").mkdir(parents=True)
    (folder / "lock").touch()
    os.mkfifo(folder / "wake")
    return folder


@pytest.fixture
def held(folder: Path) -> Iterator[None]:
    """Hold the node's lock, as its process does."""
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Unstarted(LocalCompute):
    """Compute whose processes are never started: their records are all that counts here."""

    def _spawn(self, node: Node) -> None:
        pass


class TestLocalCompute(ComputeContract):
    @pytest.fixture
    def nodes(self, home: Home) -> LocalCompute:
        return _Unstarted(home, Timing())

    @pytest.fixture
    def cluster(self, state: SqliteState) -> Cluster:
        made = a_cluster()
        put(state, made)
        return made


def now(**fields: object) -> Node:
    """A node that has just reported."""
    return a_node(**{"beat_clock": time.monotonic(), "beat_boot": boot_id(), "created": time.time(), **fields})


# Who is dead


def test_a_node_that_holds_its_lock_lives(compute, held) -> None:
    assert compute.lapsed([now()]) == []


def test_a_node_whose_lock_is_free_is_dead_at_once(compute, folder) -> None:
    node = now()

    assert compute.lapsed([node]) == [node]


def test_a_node_without_a_folder_is_dead(compute) -> None:
    assert len(compute.lapsed([now()])) == 1


def test_a_node_that_lives_and_does_not_report_is_hung(compute, held) -> None:
    silent = now(beat_clock=time.monotonic() - Timing().hung - 1)

    assert compute.lapsed([silent]) == [silent]


def test_reports_of_another_boot_say_nothing_about_this_one(compute, held) -> None:
    assert compute.lapsed([now(beat_clock=-1e9, beat_boot="another")]) == []


@pytest.mark.parametrize(
    ("age", "dead"), [pytest.param(0, False, id="just now"), pytest.param(RESERVATION + 1, True, id="too long ago")]
)
def test_a_node_that_starts_has_a_while_to_take_its_lock(compute, folder, age, dead) -> None:
    starting = now(state=NodeState.STARTING, created=time.time() - age)

    assert (compute.lapsed([starting]) == [starting]) is dead


def test_a_node_that_starts_and_holds_its_lock_may_take_longer(compute, held) -> None:
    assert compute.lapsed([now(state=NodeState.STARTING, created=0.0)]) == []


# What is ended with it


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_what_ran_on_a_dead_node_is_killed_and_reported(compute, home, folder, sleeper) -> None:
    record = {"session": sleeper.pid, "identity": identity(sleeper.pid)}
    (folder / "running" / "claim").write_text(json.dumps(record))
    (home.work("n") / "claim").mkdir(parents=True)

    claims = compute.fence(now())

    assert claims == {"claim"}
    assert sleeper.wait() == -signal.SIGKILL


def test_what_ran_is_told_until_the_node_is_forgotten(compute, home, folder) -> None:
    (folder / "running" / "claim").write_text(json.dumps({"session": 2**22 + 1, "identity": "gone"}))
    (home.work("n") / "claim").mkdir(parents=True)

    told = [compute.fence(now()), compute.fence(now())]
    compute.forget(now(), needed=False)

    assert told == [{"claim"}, {"claim"}]
    assert compute.fence(now()) == frozenset()
    assert not home.work("n").exists()
    assert not folder.exists()


def test_a_hung_worker_is_killed_before_what_it_ran(compute, folder) -> None:
    hang = "import fcntl, sys, time; lock = open(sys.argv[1]); fcntl.flock(lock, 2); print('held', flush=True)"
    argv = [sys.executable, "-c", f"{hang}; time.sleep(60)", str(folder / "lock")]
    worker = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert worker.stdout
    worker.stdout.readline()

    compute.fence(now(pid=worker.pid))

    assert worker.wait() == -signal.SIGKILL
    worker.stdout.close()


def test_what_a_dead_node_said_is_kept(compute, folder) -> None:
    (folder / "log").write_text("Traceback: it was the disk\n")

    compute.fence(now())
    compute.forget(now(), needed=False)

    assert compute.last_words(now()) == "Traceback: it was the disk\n"
    assert compute.last_words(a_node("unknown")) == ""


# Starting


@pytest.fixture
def spawned(compute: LocalCompute, monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    nodes: list[Node] = []
    monkeypatch.setattr(compute, "_spawn", nodes.append)
    return nodes


def test_however_many_are_wanted_one_node_is_started(compute, state, spawned) -> None:
    put(state, a_cluster(slots=4))

    for wanted in (0, 7, 7):
        compute.raise_nodes(a_cluster(), state, wanted=wanted)

    assert [(node.cluster, node.state, node.slots) for node in state.nodes()] == [("c", NodeState.STARTING, 1)]
    assert [node.name for node in spawned] == [node.name for node in state.nodes()]


@pytest.mark.parametrize(
    ("there", "starts"),
    [
        pytest.param(NodeState.STARTING, False, id="one that starts"),
        pytest.param(NodeState.ALIVE, False, id="one that lives"),
        pytest.param(NodeState.LEAVING, True, id="one that leaves"),
        pytest.param(NodeState.LOST, True, id="one that is lost"),
    ],
)
def test_a_node_is_started_unless_there_is_one(compute, state, spawned, there, starts) -> None:
    put(state, a_cluster(), a_node(state=there))

    compute.raise_nodes(a_cluster(), state, wanted=1)

    assert bool(spawned) is starts


def test_two_clients_never_start_two_nodes(compute, home, state, spawned, monkeypatch) -> None:
    put(state, a_cluster())
    other = LocalCompute(home, Timing())
    monkeypatch.setattr(other, "_spawn", spawned.append)
    nodes = state.nodes
    raced = []

    def late(cluster: str) -> object:
        found = nodes(cluster)
        if not raced:
            raced.append(True)
            with closing(SqliteState(home.state)) as theirs:
                other.raise_nodes(a_cluster(), theirs, wanted=1)
        return found

    monkeypatch.setattr(state, "nodes", late)

    compute.raise_nodes(a_cluster(), state, wanted=1)

    assert len(spawned) == 1


def test_a_process_that_could_not_start_is_seen_to_be_dead_at_once(compute, home, state, monkeypatch) -> None:
    put(state, a_cluster())
    monkeypatch.setattr(computes, "_BOOT", "raise SystemExit('broken installation')")
    compute.raise_nodes(a_cluster(), state, wanted=1)
    (node,) = state.nodes()
    compute._children[node.name].wait()

    assert compute.lapsed([node]) == [node]
    assert compute.last_words(node) == "broken installation\n"


# The node's own place


def test_a_place_is_called_by_its_node_and_by_others(compute, home, folder) -> None:
    place = NodePlace(home, "n")

    place.call()
    compute.wake([now(), a_node("gone")])

    assert os.read(place.wake, 100) == b"!!"
    with pytest.raises(BlockingIOError):
        os.read(place.wake, 100)
    assert compute.lapsed([now()]) == []
    place.leave()


def test_a_place_that_is_called_too_often_does_not_block(home, folder) -> None:
    place = NodePlace(home, "n")

    for _ in range(70_000):
        place.call()

    assert os.read(place.wake, 1) == b"!"
    place.leave()


def test_a_node_that_leaves_leaves_nothing_but_what_it_said(home, folder, compute) -> None:
    place = NodePlace(home, "n")
    (place.work / "claim").mkdir()
    place.leave()

    assert not folder.exists()
    assert not home.work("n").exists()
    assert len(compute.lapsed([now()])) == 1
