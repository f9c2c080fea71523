"""A worker on a machine of its own: its record, its departure, and what it asks of the cloud meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import FakeCompute, FakePlace, a_backend, a_manifest, applied, rows
from contracts.nouns import a_machine, a_node, put

from sparkles import lifecycle, presence
from sparkles.errors import BackendError, UnreachableError
from sparkles.model import Cluster, Key, Node, NodeState, Reason, Task, TaskState
from sparkles.ports.backend import Backend
from sparkles.prepare import find_job
from sparkles.presence import FencedError
from sparkles.timing import Timing
from sparkles.worker.loop import Worker
from sparkles.worker.tenure import Tenure


@pytest.fixture
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def backend(tmp_path: Path, compute: FakeCompute) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home", compute=compute)
    with closing(backend.state):
        applied(a_manifest(tmp_path, parameters=rows("ab")), backend)
        put(backend.state, replace(cluster(backend), machine=a_machine(), keep=0, boots=1))
        yield backend


@pytest.fixture
def place(tmp_path: Path, backend: Backend) -> Iterator[FakePlace]:
    place = FakePlace("1-a", tmp_path / "work")
    place.node = a_node("1-a", cluster=cluster(backend).name, instance="i", instance_id="1", spot=True)
    yield place
    place.leave()


def a_worker(backend: Backend, place: FakePlace, **timing: float) -> Worker:
    return Worker(backend, place, Timing(**{"ahead": 0.0, "grace": 0.0, **timing}))


def cluster(backend: Backend) -> Cluster:
    job = find_job(backend, "j")
    assert job
    found = backend.state.read([Key.cluster(job.cluster)])[Key.cluster(job.cluster)]
    assert isinstance(found, Cluster)
    return found


def node(backend: Backend) -> Node:
    found = backend.state.read([Key.node("1-a")])[Key.node("1-a")]
    assert isinstance(found, Node)
    return found


def states(backend: Backend) -> set[TaskState]:
    return {task.state for task in backend.state.tasks("j")}


def test_it_writes_its_record_works_and_has_its_machine_removed_before_it_is_gone(backend, place, compute) -> None:
    seen = []
    place.on_depart = lambda: seen.append(place.boot)

    a_worker(backend, place).run()

    assert states(backend) == {TaskState.SUCCEEDED}
    assert (node(backend).state, node(backend).instance_id) == (NodeState.GONE, "1")
    assert place.departed == [False]
    assert compute.shed_for == [cluster(backend).name]
    assert cluster(backend).boots == 0


def test_what_logs_end_with_comes_in_before_its_machine_goes(backend, place, monkeypatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(backend.objects, "complete_logs", lambda *, patience: seen.append(f"logs, {patience:g} s"))
    place.on_depart = lambda: seen.append("machine")

    a_worker(backend, place).run()

    assert seen == ["logs, 15 s", "machine"]


@pytest.mark.parametrize("error", [BackendError("not now"), ValueError("nobody thought of this")])
def test_a_departure_that_fails_is_tried_again_whatever_went_wrong(backend, place, error) -> None:
    failures = iter([error])

    def fail() -> None:
        for error in failures:
            raise error

    place.on_depart = fail

    a_worker(backend, place).run()

    assert place.departed == [False]
    assert node(backend).state is NodeState.GONE


def test_one_that_starts_while_the_store_is_out_of_reach_waits_for_it(backend, place, monkeypatch) -> None:
    change, failures = backend.state.change, iter([UnreachableError("no answer")])

    def out_of_reach(*args: Any) -> Any:
        for error in failures:
            place.ahead += presence.RESERVATION + 60.0
            raise error
        return change(*args)

    monkeypatch.setattr(backend.state, "change", out_of_reach)

    a_worker(backend, place).run()

    assert states(backend) == {TaskState.SUCCEEDED}


@pytest.mark.parametrize("error", [UnreachableError("no answer"), BackendError("no rights")])
def test_one_that_never_gets_to_the_store_ends(backend, place, monkeypatch, error) -> None:
    def fail(*_: Any) -> Any:
        place.ahead += 600.0 if isinstance(error, UnreachableError) else 60.0
        raise error

    monkeypatch.setattr(backend.state, "change", fail)

    with pytest.raises(FencedError):
        a_worker(backend, place).run()


def test_what_is_queued_while_it_sheds_is_found(backend, place, compute, tmp_path) -> None:
    def queue() -> None:
        if len(compute.shed_for) == 0:
            with closing(backend.reopen().state) as state:
                task = next(iter(state.tasks("j")))
                put(state, replace(task, index=3, state=TaskState.PENDING, claim=None, result_generation=None))

    compute.on_shed = queue

    a_worker(backend, place).run()

    assert len(compute.shed_for) == 2
    assert place.departed == [False]
    third = backend.state.read([Key.task("j", 3)])[Key.task("j", 3)]
    assert isinstance(third, Task)
    assert third.state is not TaskState.PENDING


def test_one_that_is_told_to_go_has_its_machine_made_anew_for_what_is_left(backend, place) -> None:
    worker = a_worker(backend, place)
    worker.terminate()

    worker.run()

    assert place.departed == [True]
    assert worker.comes_anew
    assert states(backend) == {TaskState.PENDING}


def test_one_that_is_told_to_go_and_leaves_nothing_has_its_machine_removed_for_good(backend, place) -> None:
    a_worker(backend, place).run()
    place.departed.clear()
    place.node = a_node("1-b", cluster=cluster(backend).name, instance="i", instance_id="1")
    place.name = "1-b"
    worker = a_worker(backend, place)
    worker.terminate()

    worker.run()

    assert place.departed == [False]
    assert not worker.comes_anew


def test_one_that_is_taken_away_asks_for_nothing_and_is_counted(backend, place, compute) -> None:
    worker = a_worker(backend, place)
    worker.terminate(Reason.PREEMPTED)
    worker.terminate()  # whoever takes the machine away has its processes end, too

    worker.run()

    assert place.departed == []
    assert cluster(backend).preemptions == 1
    assert worker.comes_anew
    assert node(backend).state is NodeState.GONE


def test_one_that_is_taken_away_gives_back_what_runs_although_its_engine_does_not_answer(backend, place) -> None:
    answers, answered, worker = threading.Event(), [], a_worker(backend, place, log_patience=0.1)

    def run(running: Any) -> None:
        running.signal = lambda _: answered.append(answers.wait(30))
        worker.terminate(Reason.PREEMPTED)
        answers.wait(30)

    backend.host.scripts["true"] = run

    worker.run()

    assert answered == []
    assert node(backend).state is NodeState.GONE
    tasks = list(backend.state.tasks("j"))
    assert {(task.state, task.attempts, task.losses) for task in tasks} == {(TaskState.PENDING, 0, 0)}
    assert Reason.PREEMPTED in {task.reason for task in tasks}
    answers.set()


def test_one_that_is_taken_away_does_not_go_before_what_it_stops_has_said_its_last_words(backend, place) -> None:
    is_gone, worker = threading.Event(), a_worker(backend, place, log_patience=30.0)

    def run(running: Any) -> int:
        worker.terminate(Reason.PREEMPTED)
        running.launch.log.write_text("too late\n" if is_gone.wait(0.5) else "saved\n")
        return 143

    backend.host.scripts["true"] = run

    worker.run()
    is_gone.set()

    (begun,) = [task for task in backend.state.tasks("j") if task.history]
    (past,) = begun.history
    assert backend.objects.read_log("j", begun.index, past.claim, start=0) == b"saved\n"


@pytest.mark.parametrize(
    ("age", "silence", "stays"),
    [
        pytest.param(10.0, 12.0, True, id="not heard of since this one came"),
        pytest.param(10.0, 8.0, False, id="heard of since"),
        pytest.param(1000.0, 30.0, True, id="quiet for long"),
        pytest.param(1000.0, 12.0, False, id="quiet for a moment"),
    ],
)
def test_it_waits_for_another_that_may_be_lost_and_holds_tasks(
    backend, place, monkeypatch, age, silence, stays
) -> None:
    other = a_node("1-z", cluster=cluster(backend).name, instance="z", instance_id="9", silence=silence)
    put(backend.state, other)
    for task in list(backend.state.tasks("j")):
        put(backend.state, lifecycle.claim(task, node=other.name, token="t"))
    monkeypatch.setattr(backend.state, "nodes", lambda *_, **__: [other])
    tenure = Tenure(backend, place, Timing(beat=5.0))

    place.ahead += age

    assert tenure.waits_for_lost(place.node, place.clock()) is stays


def test_at_the_end_of_its_life_it_claims_nothing_and_is_replaced(backend, place) -> None:
    place.end = place.clock() + 0.0

    a_worker(backend, place).run()

    assert place.departed == [True]
    assert states(backend) == {TaskState.PENDING}


def test_one_too_many_goes_although_there_is_work(backend, place) -> None:
    put(backend.state, replace(cluster(backend), drain=1))

    a_worker(backend, place).run()

    assert place.departed == [False]
    assert cluster(backend).drain == 0
    assert states(backend) == {TaskState.PENDING}
