"""Nodes of machines: how many are asked for and how many let go, and what is counted when one is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from contracts.fakes import FakeCompute, a_backend
from contracts.nouns import a_claimed_task, a_cluster, a_job, a_machine, a_node, a_task, put

from sparkles import lifecycle, nodes, recover
from sparkles.model import Cluster, JobState, Key, NodeState, Task, TaskState
from sparkles.ports.backend import Backend


@pytest.fixture
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def backend(tmp_path: Path, compute: FakeCompute) -> Iterator[Backend]:
    backend = a_backend(tmp_path, compute=compute)
    with closing(backend.state):
        put(backend.state, a_cluster(machine=a_machine()))
        yield backend


def cluster(backend: Backend) -> Cluster:
    found = backend.state.read([Key.cluster("c")])[Key.cluster("c")]
    assert isinstance(found, Cluster)
    return found


def test_all_active_jobs_of_a_cluster_are_counted(backend, compute) -> None:
    put(backend.state, a_job("j", max_nodes=1), a_job("k", max_nodes=3), a_job("l", state=JobState.KILLED, max_nodes=9))
    put(backend.state, a_task(1), a_task(1, job="k"), a_task(1, job="l"))

    nodes.start_nodes(a_job("j"), backend)

    assert compute.raised == [2]


def test_tasks_that_were_just_made_are_not_counted_if_they_are_enough_for_all_nodes(backend, compute) -> None:
    put(backend.state, a_job(max_nodes=2), a_job("k", max_nodes=1), a_task(1, job="k"))

    nodes.start_nodes(a_job(max_nodes=2), backend, made=2)
    nodes.start_nodes(a_job(max_nodes=2), backend, made=1)

    assert compute.raised == [2, 1]  # there is none in the store


def test_nodes_beyond_what_there_may_be_are_let_go_until_there_may_be_more(backend, compute) -> None:
    put(backend.state, a_job(max_nodes=3), a_task(1), a_task(2), *(a_node(name) for name in "abc"))

    recover.rescale(a_job(), 1, backend)
    assert cluster(backend).drain == 2

    recover.rescale(a_job(), 3, backend)
    assert cluster(backend).drain == 0


def test_only_who_asks_anew_gives_nodes_that_never_came_up_another_chance(backend) -> None:
    put(backend.state, a_cluster(machine=a_machine(), boots=9), a_job(), a_task())

    nodes.start_nodes(a_job(), backend)
    assert cluster(backend).boots == 9

    nodes.start_nodes(a_job(), backend, anew=True)
    assert cluster(backend).boots == 0


def test_a_spot_node_that_ends_without_a_word_was_taken_away_and_is_replaced(backend, compute) -> None:
    put(backend.state, a_job(), a_node(spot=True), a_claimed_task())
    compute.dead = {"n"}
    compute.running = {"n": None}

    for _ in range(2):
        recover.sweep({"c"}, backend)

    assert cluster(backend).preemptions == 1
    assert compute.raised == [1]


@pytest.mark.parametrize(("spot", "limit"), [(False, 3), (True, 10)])
def test_a_task_may_lose_more_nodes_if_these_can_be_taken_away(backend, compute, spot, limit) -> None:
    put(backend.state, a_job(), a_node(spot=spot), a_claimed_task(losses=limit - 2))
    assert lifecycle.loss_limit(a_node(spot=spot)) == limit
    compute.running = {"n": None}
    compute.dead = {"n"}

    recover.sweep({"c"}, backend)
    once = backend.state.read([Key.task("j", 1)])[Key.task("j", 1)]
    put(backend.state, a_node(spot=spot, state=NodeState.ALIVE), a_claimed_task(losses=limit - 1))
    recover.sweep({"c"}, backend)
    twice = backend.state.read([Key.task("j", 1)])[Key.task("j", 1)]

    assert isinstance(once, Task)
    assert isinstance(twice, Task)
    assert (once.state, twice.state) == (TaskState.PENDING, TaskState.FAILED)
