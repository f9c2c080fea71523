"""Nodes of several machines in one state: one's own are judged by their locks, all others by their silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from contracts.nouns import a_cluster, a_node, put

from sparkles.backends.local import sharing
from sparkles.backends.local.sharing import SharingCompute
from sparkles.backends.local.state import SqliteState
from sparkles.backends.process import time_awake, time_passed
from sparkles.model import NodeState
from sparkles.paths import Home
from sparkles.timing import Timing


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqliteState]:
    with closing(SqliteState(tmp_path / "state.db")) as state:
        yield state


def compute(home: Home) -> SharingCompute:
    return SharingCompute(home, Timing(silence=150.0), env={"SPARKLES_NODE": "{}"})


@pytest.mark.parametrize(("silence", "lapsed"), [(None, False), (0.5, False), (149.0, False), (151.0, True)])
@pytest.mark.parametrize("state", [NodeState.STARTING, NodeState.ALIVE, NodeState.LEAVING])
def test_a_node_of_another_machine_is_judged_by_its_silence(home, silence, lapsed, state):
    node = a_node("feedbeef-1", state=state, silence=silence)

    assert list(compute(home).lapsed([node])) == ([node] if lapsed else [])


def test_a_node_of_this_machine_is_judged_by_its_lock(home):
    here = compute(home)
    node = a_node(here._name(), silence=0.0)

    assert list(here.lapsed([node])) == [node]  # nobody holds a lock for it


def test_what_ran_on_a_silent_node_elsewhere_is_not_known(home):
    assert compute(home).fence(a_node("feedbeef-1", silence=1000.0)) is None


def test_machines_that_share_a_disk_have_names_of_their_own(home, monkeypatch):
    names = set()
    for machine in ("one", "two"):
        monkeypatch.setattr(sharing, "_machine_id", lambda machine=machine: machine)
        names.add(sharing.this_machine(home))

    assert len(names) == 2


def test_a_machine_keeps_its_name_when_its_network_changes(home, monkeypatch):
    before = sharing.this_machine(home)
    monkeypatch.setattr("socket.gethostname", lambda: "guest-17")

    assert sharing.this_machine(home) == before


def test_copies_of_a_machine_have_homes_of_their_own(home, tmp_path):
    assert sharing.this_machine(home) != sharing.this_machine(Home(tmp_path / "another"))


def test_who_only_looks_makes_no_name(home):
    sharing.this_machine(home, write=False)

    assert not home.root.exists()


def test_several_nodes_may_serve_a_cluster_but_not_without_end(home, state, monkeypatch):
    cluster = a_cluster(f"gcp-1-{sharing.this_machine(home)}")
    put(state, cluster)
    here, spawned = compute(home), []
    monkeypatch.setattr(here, "_spawn", spawned.append)

    here.raise_nodes(cluster, state, wanted=3)
    here.raise_nodes(cluster, state, wanted=2)
    some = len(spawned)
    here.raise_nodes(cluster, state, wanted=1000)

    assert some == 3
    assert len(state.nodes(cluster.name)) == len(spawned) == here.most


def test_nodes_of_another_machines_cluster_are_not_started_here(home, state, monkeypatch):
    cluster = a_cluster("gcp-1-feedbeef")
    put(state, cluster)
    here, spawned = compute(home), []
    monkeypatch.setattr(here, "_spawn", spawned.append)

    here.raise_nodes(cluster, state, wanted=3)

    assert list(state.nodes()) == spawned == []
    assert "only on the machine that it was submitted from" in (here.elsewhere(cluster) or "")


def test_a_lease_goes_on_while_the_machine_sleeps(home):
    assert compute(home).clock is time_passed
    assert time_passed() >= time_awake() - 0.1
