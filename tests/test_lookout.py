"""Lookout: what is seen of a job, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from contracts.fakes import a_backend
from contracts.nouns import a_job, a_task, put
from contracts.objects import a_result, always

from sparkles import results
from sparkles.lookout import Lookout
from sparkles.model import Canary, JobState, Reason, TaskState
from sparkles.ports.backend import Backend
from sparkles.sight import Failure

P, C, S, F = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home")
    with closing(backend.state):
        yield backend


def look(lookout, counts, now=1000.0):
    return lookout.look(a_job(), counts, {}, None, now=now)


def test_the_rate_and_the_rest_are_those_of_tasks_that_end(backend):
    lookout = Lookout(backend)

    look(lookout, {P: 100})
    first = look(lookout, {P: 100}, now=1010.0)
    look(lookout, {P: 98, C: 2}, now=1015.0)
    then = look(lookout, {P: 78, C: 2, S: 20}, now=1020.0)

    assert (first.rate, first.eta, first.elapsed) == (None, None, 10.0)
    assert (then.rate, then.eta, then.elapsed) == (pytest.approx(2.0), pytest.approx(40.0), 20.0)


@pytest.mark.parametrize(("state", "held"), [(JobState.ACTIVE, 8), (JobState.FINISHED, 0), (JobState.KILLED, 0)])
def test_what_is_held_back_is_seen_as_long_as_it_may_run(backend, state, held):
    job = a_job(state=state, canary=Canary(first="1-2", held=8))

    assert Lookout(backend).look(job, {F: 2}, {}, None, now=1000.0).held == held


@pytest.mark.parametrize(
    ("asked", "nodes", "first"),
    [
        pytest.param(990.0, {"submitted": 2}, {"submitted": 10.0}, id="who comes later knows since when none has come"),
        pytest.param(900.0, {"staging": 1, "running": 1}, {"staging": 0.0}, id="of one made anew nobody knows it"),
        pytest.param(None, {"staging": 1}, {"staging": 0.0}, id="at home nobody asks"),
    ],
)
def test_for_how_long_nodes_have_been_coming_is_known(backend, asked, nodes, first):
    lookout = Lookout(backend)

    def coming(now, nodes):
        return lookout.look(a_job(), {P: 1}, nodes, None, now=now, asked=asked).coming

    assert coming(1000.0, nodes) == first
    assert coming(1004.0, nodes) == {word: seconds + 4.0 for word, seconds in first.items()}
    assert coming(1005.0, {"running": 2}) == {}
    assert coming(1006.0, {"running": 2, "staging": 1}) == {"staging": 0.0}


def test_the_last_failures_are_seen_with_their_causes_and_last_lines(backend, tmp_path):
    for index, log in [(2, b"first\nlast words\n"), (5, b"")]:
        result = a_result(backend.objects, tmp_path / str(index), f"claim-{index}", index=index, log=log, files={})
        backend.objects.promote("j", index, backend.objects.publish(result, holds=always))
    put(
        backend.state,
        a_task(2, state=F, reason=Reason.EXIT, exit=3, result_generation="claim-2"),
        a_task(5, state=F, reason=Reason.TIMEOUT, result_generation="claim-5"),
        a_task(7, state=F),
    )

    assert look(Lookout(backend), {F: 3}).failures == (
        Failure(id="j.7", how="for an unknown reason"),
        Failure(id="j.5", how="timeout"),
        Failure(id="j.2", how="exit code 3", last_line="last words"),
    )


def test_failures_are_looked_up_when_their_number_changes_and_each_log_is_read_once(backend, monkeypatch):
    put(backend.state, *(a_task(index, state=F, result_generation=f"g{index}") for index in range(1, 11)))
    asked, read = [], []
    some = backend.state.some
    monkeypatch.setattr(
        backend.state, "some", lambda *words, **options: asked.append(options) or some(*words, **options)
    )
    monkeypatch.setattr(results, "last_line", lambda task, _: read.append(task.index) or "")
    lookout = Lookout(backend)

    for _ in range(3):
        look(lookout, {F: 10})
    put(backend.state, a_task(11, state=F, result_generation="g11"))
    seen = look(lookout, {F: 11})

    assert [failure.id for failure in seen.failures] == ["j.11", "j.10", "j.9"]
    assert asked == [{"limit": 3, "last": True}] * 2
    assert read == [10, 9, 8, 11]


def test_no_failures_are_looked_up_where_there_are_none(backend, monkeypatch):
    monkeypatch.setattr(backend.state, "some", None)

    assert look(Lookout(backend), {P: 1, S: 9}).failures == ()


def test_failures_that_run_again_are_seen_no_more(backend):
    put(backend.state, a_task(1, state=F))
    lookout = Lookout(backend)
    look(lookout, {F: 1})
    put(backend.state, a_task(1))

    assert look(lookout, {P: 1}).failures == ()
