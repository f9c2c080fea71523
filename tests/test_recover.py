"""Recover: nodes that died, jobs that ended, on the real state and objects; a test says which nodes have lapsed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import FakeCompute, a_backend, a_manifest, applied
from contracts.nouns import a_claimed_task, a_cluster, a_job, a_node, a_task, put
from contracts.objects import a_document, always

from sparkles import recover, results
from sparkles.errors import BackendError
from sparkles.lifecycle import LOSS_LIMIT
from sparkles.model import Applying, JobState, Key, NodeState, Reason, Stop, Task, TaskState
from sparkles.ports.backend import Backend
from sparkles.ports.objects import Result
from sparkles.prepare import find_job
from sparkles.settle import settle

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED


@pytest.fixture
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def backend(tmp_path: Path, compute: FakeCompute) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home", compute=compute)
    with closing(backend.state):
        yield backend


def lost(compute: FakeCompute, *running: str, node: str = "n") -> None:
    """Let a node die while these claims ran."""
    compute.dead.add(node)
    compute.running[node] = frozenset(running)


def task(backend: Backend, index: int = 1) -> Task:
    found = backend.state.read([Key.task("j", index)])[Key.task("j", index)]
    assert isinstance(found, Task)
    return found


def job(backend: Backend, name: str = "j") -> Any:
    return find_job(backend, name)


def publish(backend: Backend, index: int = 1, claim: str = "claim-1") -> str:
    log = backend.objects.open_log("j", index, claim)
    log.write_bytes(b"out\n")
    document = a_document(claim, index=index)
    return backend.objects.publish(
        Result(job="j", index=index, claim=claim, log=log, outputs=[], document=document), holds=always
    )


# Sweep


def test_the_tasks_of_a_node_that_died_are_pending_again(backend, compute) -> None:
    put(backend.state, a_job(), a_node(), a_claimed_task(1), a_claimed_task(2), a_claimed_task(3, node="other"))
    lost(compute, "claim-1")

    swept = recover.sweep({"c"}, backend)

    assert [node.name for node in swept] == ["n"]
    assert [(t.state, t.losses, t.node) for t in backend.state.tasks("j")] == [
        (P, 1, None),
        (P, 0, None),
        (C, 0, "other"),
    ]
    assert backend.state.nodes("c") == []


def test_a_node_that_lives_is_left_alone(backend, compute) -> None:
    put(backend.state, a_job(), a_node(), a_claimed_task())

    assert recover.sweep({"c"}, backend) == []
    assert task(backend).state is C
    assert compute.fenced == []


def test_what_ran_is_ended_before_its_task_can_run_elsewhere(backend, compute) -> None:
    put(backend.state, a_job(), a_node(), a_claimed_task())
    lost(compute, "claim-1")
    seen = []
    compute.on_fence = lambda _: seen.append(task(backend).state)

    recover.sweep({"c"}, backend)

    assert seen == [C]


def test_when_it_is_not_known_what_ran_every_task_counts_as_lost(backend, compute) -> None:
    put(backend.state, a_job(), a_node(), a_claimed_task(1), a_claimed_task(2))
    compute.dead.add("n")
    compute.running["n"] = None

    recover.sweep({"c"}, backend)

    assert [t.losses for t in backend.state.tasks("j")] == [1, 1]


def test_a_task_that_takes_its_nodes_down_fails_in_the_end(backend, compute) -> None:
    put(backend.state, a_job(), a_node(), a_claimed_task(losses=LOSS_LIMIT - 1))
    lost(compute, "claim-1")

    recover.sweep({"c"}, backend)

    assert (task(backend).state, task(backend).reason, task(backend).losses) == (F, Reason.NODE_LOST, LOSS_LIMIT)
    assert job(backend).state is JobState.FINISHED


def test_a_task_that_was_to_be_killed_is(backend, compute) -> None:
    put(backend.state, a_job(), a_node(), a_claimed_task(stop=Stop.KILLED))
    lost(compute, "claim-1")

    recover.sweep({"c"}, backend)

    assert (task(backend).state, task(backend).reason) == (K, Reason.KILLED)
    assert job(backend).state is JobState.FINISHED


def test_what_a_dead_node_published_and_never_committed_is_discarded(backend, compute) -> None:
    put(backend.state, a_job(), a_node(), a_claimed_task())
    publish(backend)
    lost(compute, "claim-1")

    recover.sweep({"c"}, backend)

    assert list(backend.objects.unpromoted("j")) == []
    assert list(backend.objects.results("j")) == []


def test_what_it_committed_and_never_moved_into_place_is_moved(backend, compute) -> None:
    put(
        backend.state, a_job(), a_node(), a_claimed_task(2),
        a_task(1, state=S, claim="claim-1", result_generation="claim-1"),
    )  # fmt: skip
    publish(backend)
    lost(compute)

    recover.sweep({"c"}, backend)

    assert backend.objects.read_result("j", 1) == ("claim-1", a_document("claim-1"))


def test_a_result_of_a_task_that_has_another_by_now_is_not_moved(backend) -> None:
    put(backend.state, a_job(), a_task(1, state=S, claim="other", result_generation="other"))
    publish(backend)

    results.tidy("j", backend)

    assert backend.objects.read_result("j", 1) is None


def test_a_result_of_a_deleted_task_is_not_moved(backend) -> None:
    publish(backend)

    results.tidy("j", backend)

    assert list(backend.objects.results("j")) == []


def test_a_sweep_that_was_cut_off_is_completed_by_the_next(backend, compute, monkeypatch) -> None:
    put(backend.state, a_job(), a_node(), *(a_claimed_task(index) for index in range(1, 251)))
    lost(compute, "claim-1")
    change = backend.state.change
    commits = []

    def cut_off(keys: Any, move: Any) -> Any:
        commits.append(keys)
        if len(commits) == 3:
            raise KeyboardInterrupt
        return change(keys, move)

    monkeypatch.setattr(backend.state, "change", cut_off)
    with pytest.raises(KeyboardInterrupt):
        recover.sweep({"c"}, backend)
    half = dict(backend.state.counts("j"))
    monkeypatch.undo()

    recover.sweep({"c"}, backend)

    assert half == {P: 100, C: 150}
    assert backend.state.counts("j") == {P: 250}
    assert backend.state.nodes("c") == []


def test_sweeping_twice_is_as_sweeping_once(backend, compute) -> None:
    put(backend.state, a_job(), a_node(), a_claimed_task())
    lost(compute, "claim-1")
    recover.sweep({"c"}, backend)
    before = task(backend)

    assert recover.sweep({"c"}, backend) == []
    assert task(backend) == before


def test_two_who_sweep_the_same_node_take_each_task_once(backend, compute, tmp_path) -> None:
    put(backend.state, a_job(), a_node(), a_claimed_task())
    lost(compute, "claim-1")

    def another(_: Any) -> None:
        compute.on_fence = lambda _: None
        with closing(a_backend(tmp_path / "home", compute=compute).state) as state:
            recover.sweep({"c"}, replace(backend, state=state))

    compute.on_fence = another

    recover.sweep({"c"}, backend)

    assert (task(backend).state, task(backend).losses) == (P, 1)
    assert backend.state.nodes("c") == []


def test_a_machine_on_which_a_worker_has_started_again_is_not_given_up_with_the_earlier_one(backend, compute) -> None:
    put(backend.state, a_node("7-a", instance="i", instance_id="7"), a_node("7-b", instance="i", instance_id="7"))
    put(backend.state, a_node("8-a", instance="j", instance_id="8"))
    lost(compute, node="7-a")
    lost(compute, node="8-a")

    recover.sweep({"c"}, backend)

    assert compute.forgotten == ["8-a"]


def test_a_node_that_died_while_it_came_up_is_gone(backend, compute) -> None:
    put(backend.state, a_node(state=NodeState.STARTING))
    lost(compute)

    recover.sweep({"c"}, backend)

    assert backend.state.nodes("c") == []


# Settle


@pytest.mark.parametrize(
    ("states", "ends"),
    [
        pytest.param([S, F, K], True, id="all have ended"),
        pytest.param([S, P], False, id="one is pending"),
        pytest.param([S, C], False, id="one is claimed"),
        pytest.param([], True, id="it has no task"),
    ],
)
def test_a_job_ends_when_its_tasks_have(backend, states, ends) -> None:
    put(backend.state, a_job(), *(a_task(index, state=state) for index, state in enumerate(states, start=1)))

    settle("j", backend)

    assert job(backend).state is (JobState.FINISHED if ends else JobState.ACTIVE)
    assert (job(backend).ended is not None) is ends


def test_settling_twice_is_as_settling_once(backend) -> None:
    put(backend.state, a_job(), a_task(state=S))
    settle("j", backend)
    before = job(backend)

    settle("j", backend)

    assert job(backend) == before


def test_a_job_that_is_being_applied_does_not_end(backend) -> None:
    applying = Applying(token="t", digest="d", generation=2, progress=0.0)
    put(backend.state, a_job(applying=applying), a_task(state=S))

    settle("j", backend)

    assert job(backend).state is JobState.ACTIVE


def test_an_apply_that_comes_between_keeps_the_job_open(backend, monkeypatch) -> None:
    put(backend.state, a_job(), a_task(state=S))
    is_open = backend.state.is_open

    def apply_after(name: str) -> bool:
        found = is_open(name)
        put(backend.state, a_job(applying=Applying(token="t", digest="d", generation=2, progress=0.0)), a_task(2))
        return found

    monkeypatch.setattr(backend.state, "is_open", apply_after)

    settle("j", backend)

    assert job(backend).state is JobState.ACTIVE


def test_settling_a_job_that_is_not_there_is_nothing(backend) -> None:
    settle("none", backend)


# Stop, delete, heal


def test_a_stop_ends_what_waits_tells_what_runs_and_leaves_what_has_ended(backend, compute) -> None:
    put(
        backend.state, a_job(), a_cluster(), a_node(), a_claimed_task(1), a_task(2), a_task(3, state=S),
        a_task(4, state=F, reason=Reason.EXIT),
    )  # fmt: skip

    number = recover.stop(job(backend), backend)

    assert number == 2
    assert [(t.state, t.stop, t.reason) for t in backend.state.tasks("j")] == [
        (C, Stop.KILLED, None), (K, None, Reason.KILLED), (S, None, None), (F, None, Reason.EXIT)
    ]  # fmt: skip
    assert backend.state.read([Key.cluster("c")])[Key.cluster("c")].epoch == 2
    assert compute.woken == ["n", "n"], "to stop what runs, and when nothing of it is left in the queue"
    assert (job(backend).state, job(backend).ended) == (JobState.KILLED, None)


def test_a_job_that_is_stopped_while_nothing_runs_has_ended(backend) -> None:
    put(backend.state, a_job(), a_cluster(), a_task(1), a_task(2))

    recover.stop(job(backend), backend)
    recover.stop(job(backend), backend)

    assert job(backend).state is JobState.KILLED
    assert job(backend).ended is not None


def test_a_stop_on_a_dead_node_needs_nobody_else(backend, compute) -> None:
    put(backend.state, a_job(), a_cluster(), a_node(), a_claimed_task())
    lost(compute, "claim-1")

    recover.stop(job(backend), backend)

    assert task(backend).state is K
    assert job(backend).ended is not None


def test_single_tasks_may_be_stopped(backend) -> None:
    put(backend.state, a_job(), a_cluster(), *(a_task(index) for index in (1, 2, 3)))

    numbers = [recover.stop(job(backend), backend, index=index) for index in (1, 9, 3, 1)]

    assert numbers == [1, 0, 1, 0]
    assert [t.state for t in backend.state.tasks("j")] == [K, P, K]
    assert job(backend).state is JobState.ACTIVE


def test_many_tasks_are_stopped_in_as_many_commits_as_it_takes(backend, monkeypatch) -> None:
    put(backend.state, a_job(), a_cluster(), *(a_task(index) for index in range(1, 8)))
    monkeypatch.setattr(type(backend.state), "commit_limit", 3)

    assert recover.stop(job(backend), backend) == 7
    assert backend.state.counts("j") == {K: 7}


@pytest.mark.parametrize("with_results", [True, False])
def test_a_deleted_job_leaves_nothing_but_maybe_its_results(backend, tmp_path, monkeypatch, with_results) -> None:
    applied(a_manifest(tmp_path, parameters={"seq": 5}), backend)
    applied(a_manifest(tmp_path, name="other"), backend)
    backend.objects.promote("j", 1, publish(backend))
    monkeypatch.setattr(type(backend.state), "commit_limit", 2)

    recover.delete(job(backend), backend, results=with_results)

    assert [j.name for j in backend.state.jobs()] == ["other"]
    assert backend.state.counts("j") == {}
    assert list(backend.objects.results("j")) == ([] if with_results else [1])
    assert backend.state.counts("other") == {P: 1}


def test_healing_starts_nodes_for_what_was_given_back(backend, compute) -> None:
    put(
        backend.state, a_job(max_nodes=3), a_cluster(slots=2), a_node(), *(a_claimed_task(index) for index in (1, 2, 3))
    )
    lost(compute, "claim-1")

    recover.heal(job(backend), backend)

    assert compute.fenced == ["n"]
    assert compute.raised == [2]


def test_healing_a_job_that_has_ended_starts_nothing(backend, compute) -> None:
    put(backend.state, a_job(), a_cluster(), a_task(state=S))

    recover.heal(job(backend), backend)

    assert compute.raised == []
    assert job(backend).state is JobState.FINISHED


# After a change of resources: tasks that still run on the old machines


def moved(backend: Backend, tmp_path: Path) -> None:
    """Apply a job, let its task run, and apply it again with other machines."""
    applied(a_manifest(tmp_path, resources={"slots": 1}), backend)
    put(backend.state, a_node(cluster="local-1-w"))
    put(backend.state, replace(task(backend), state=C, node="n", claim="claim-1"))
    applied(a_manifest(tmp_path, resources={"slots": 2}), backend)


def test_a_task_that_still_ran_on_the_old_machines_when_they_died_runs_on_the_new_ones(
    backend, compute, tmp_path
) -> None:
    moved(backend, tmp_path)
    assert (task(backend).state, task(backend).stop) == (C, None)
    lost(compute, "claim-1")

    recover.heal(job(backend), backend)

    assert (task(backend).state, task(backend).cluster) == (P, "local-2-w")


def test_a_stop_reaches_a_task_that_still_runs_on_the_old_machines(backend, compute, tmp_path) -> None:
    moved(backend, tmp_path)
    epoch = backend.state.read([Key.cluster("local-1-w")])[Key.cluster("local-1-w")].epoch

    recover.stop(job(backend), backend)

    assert backend.state.read([Key.cluster("local-1-w")])[Key.cluster("local-1-w")].epoch > epoch
    assert "n" in compute.woken


# Others, meanwhile


def test_a_kill_ends_an_apply_that_is_under_way(backend) -> None:
    applying = Applying(token="t", digest="d", generation=2, progress=1e12)
    put(backend.state, a_job(applying=applying), a_cluster(), a_task())

    recover.stop(job(backend), backend)

    assert (job(backend).state, job(backend).applying) == (JobState.KILLED, None)


def test_a_job_that_took_the_name_of_a_deleted_one_is_not_deleted_in_its_place(backend) -> None:
    put(backend.state, a_job(submitted=1.0), a_cluster())
    old = job(backend)
    put(backend.state, a_job(submitted=2.0))

    with pytest.raises(BackendError, match="changed by someone else meanwhile"):
        recover.delete(old, backend, results=True)

    assert job(backend).submitted == 2.0


def test_a_job_whose_tasks_have_all_ended_cannot_be_killed_any_more(backend) -> None:
    put(backend.state, a_job(), a_cluster(), a_task(state=S))

    assert recover.stop(job(backend), backend) == 0

    assert job(backend).state is JobState.FINISHED


def test_other_nodes_are_told_of_what_a_dead_one_held(backend, compute) -> None:
    put(backend.state, a_job(), a_cluster(epoch=4), a_node(), a_claimed_task())
    lost(compute, "claim-1")

    recover.sweep({"c"}, backend)

    assert backend.state.read([Key.cluster("c")])[Key.cluster("c")].epoch == 5


def test_nothing_is_killed_of_a_node_that_reported_meanwhile(backend, compute) -> None:
    put(backend.state, a_job(), a_cluster(), a_node(beat=7), a_claimed_task())
    lost(compute, "claim-1")
    nodes = backend.state.nodes("c")
    compute.lapsed = lambda _: [replace(nodes[0], beat=6)]

    assert recover.sweep({"c"}, backend) == []

    assert compute.fenced == []


def test_one_task_is_stopped_without_listing_the_others(backend, monkeypatch) -> None:
    put(backend.state, a_job(), a_cluster(), a_task(1), a_task(2))
    monkeypatch.setattr(backend.state, "columns", None)

    assert recover.stop(job(backend), backend, index=2) == 1


def test_a_kill_marks_the_job_before_it_lists_its_tasks(backend, tmp_path, monkeypatch) -> None:
    """Else tasks that an apply adds in between would run although the job was killed."""
    applied(a_manifest(tmp_path, parameters={"seq": 2}), backend)
    listed = backend.state.open_indices
    states = []
    monkeypatch.setattr(
        backend.state, "open_indices", lambda name: states.append(find_job(backend, name).state) or listed(name)
    )

    recover.stop(find_job(backend, "j"), backend)

    assert states[0] is JobState.KILLED
