"""Guards: a canary holds back, and failFast stops, whoever is there to see it, and whatever comes between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import a_backend, a_manifest, applied
from contracts.nouns import a_job, put

from sparkles import ending, guard_text, guards, lifecycle, needs, recover, takeover
from sparkles.apply import execute
from sparkles.errors import BackendError, RequestError
from sparkles.guards import Trial
from sparkles.lifecycle import Need
from sparkles.manifest import Manifest
from sparkles.marking import Submitter
from sparkles.model import Applying, Canary, Job, JobState, Stop, TaskState
from sparkles.plan import Rerun
from sparkles.ports.backend import Backend
from sparkles.prepare import find_job, prepare, prepare_stored
from sparkles.settle import settle, settle_waiting

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED
ME = Submitter(owner="me", environment={})
ACTIVE, FINISHED, KILLED = JobState.ACTIVE, JobState.FINISHED, JobState.KILLED


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home")
    with closing(backend.state):
        yield backend


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Manifest]:
    return lambda command="run", **spec: a_manifest(
        tmp_path, [command, "{index}"], **{"parameters": {"seq": 6}, **spec}
    )


def end(backend: Backend, state: TaskState, *indices: int) -> None:
    """Let open tasks end, all or those of these indices."""
    found = [task for task in backend.state.tasks("j") if not task.state.is_final]
    put(backend.state, *(replace(t, state=state) for t in found if not indices or t.index in indices))


def states(backend: Backend) -> str:
    """Return the first letter of the state of each task, or a dot where there is none."""
    found = {task.index: task.state.value[0] for task in backend.state.tasks("j")}
    return "".join(found.get(index, ".") for index in range(1, 7))


def job(backend: Backend) -> Job:
    found = find_job(backend, "j")
    assert found is not None
    return found


def retry(backend: Backend) -> Job:
    """Run again what failed or was killed, as `sparkles retry` does."""
    again = {task.index for task in backend.state.tasks("j", states=[F, K])}
    return execute(prepare_stored(job(backend), backend, retry=again), backend, None)


# Pure rules


@pytest.mark.parametrize(
    ("of", "trial"),
    [
        ([S, S], Trial.PASSED),
        ([S, P], Trial.OPEN),
        ([F, C], Trial.OPEN),
        ([S, F], Trial.FAILED),
        ([S, K], Trial.FAILED),
        ([], Trial.FAILED),
    ],
)
def test_first_tasks_have_passed_when_all_have_succeeded(of, trial) -> None:
    assert guards.trial(of) is trial


@pytest.mark.parametrize(
    ("text", "tasks", "most"),
    [("0", 10, 0), ("7", 10, 7), ("0%", 10, 0), ("10%", 9, 0), ("10%", 10, 1), ("0.1%", 3000, 3), ("100%", 7, 7)],
)
def test_a_part_of_all_tasks_is_a_whole_number_of_them(text, tasks, most) -> None:
    assert guards.max_failures(text, tasks=tasks) == most


@pytest.mark.parametrize(
    ("most", "before", "failed", "stops"),
    [(None, 0, 99, False), (0, 0, 0, False), (0, 0, 1, True), (5, 0, 5, False), (5, 0, 6, True), (5, 3, 8, False),
     (5, 3, 9, True)],
)  # fmt: skip
def test_a_job_is_stopped_when_more_have_failed_than_may(most, before, failed, stops) -> None:
    found = guards.excess(a_job(max_failures=most, failed_before=before), failed=failed)

    assert (found is not None) is stops
    assert not stops or f"{failed - before} task" in found


@pytest.mark.parametrize(
    ("fields", "kept", "before"),
    [
        pytest.param(None, 0, 0, id="a new job"),
        pytest.param({"state": FINISHED, "ended": 1.0}, 4, 4, id="one that has ended begins anew"),
        pytest.param({"state": KILLED, "ended": 1.0}, 4, 4, id="and so does one that was stopped"),
        pytest.param({"failed_before": 1}, 4, 1, id="one that goes on does not"),
        pytest.param({"failed_before": 3}, 2, 2, id="but for those that run again"),
    ],
)
def test_what_failed_before_a_job_was_begun_is_not_counted(fields, kept, before) -> None:
    assert guards.failed_before(fields and a_job(**fields), kept=kept) == before


@pytest.mark.parametrize("state", JobState)
def test_a_job_with_tasks_that_are_held_back_has_not_succeeded(state: JobState) -> None:
    found = a_job(state=state, canary=Canary(first="1", held=1), ended=1.0)

    assert not lifecycle.has_succeeded(found, {S: 1})


# Canary


def test_others_run_when_the_first_have_succeeded_with_nobody_there(backend, manifest) -> None:
    applied(manifest(canary=2, nodes={"max": 3}), backend)
    first = states(backend)
    end(backend, S)

    settle("j", backend)

    assert (first, states(backend)) == ("pp....", "sspppp")
    assert (job(backend).state, job(backend).canary, job(backend).generation) == (ACTIVE, None, 2)


@pytest.mark.parametrize("how", [F, K])
def test_they_never_do_when_one_of_the_first_has_not(backend, manifest, how) -> None:
    applied(manifest(canary=2), backend)
    end(backend, how, 1)
    end(backend, S, 2)

    settle("j", backend)
    settle_waiting(backend)

    assert (len(states(backend).strip(".")), job(backend).state) == (2, FINISHED)
    assert needs.standing(["j"], backend) == {"j": Need.FAILED}
    assert "4 others were not run" in guard_text.ended(job(backend))[0]
    assert "sparkles retry j" in guard_text.ended(job(backend))[1]


def test_a_job_does_not_end_while_one_of_the_first_runs_although_another_has_failed(backend, manifest) -> None:
    applied(manifest(canary=2), backend)
    end(backend, F, 1)

    settle("j", backend)

    assert job(backend).state is ACTIVE


def test_a_job_that_needs_one_with_a_canary_waits_for_all_of_it(tmp_path, backend, manifest) -> None:
    applied(manifest(canary=2), backend)
    applied(a_manifest(tmp_path, name="later", needs=["j"]), backend)
    end(backend, S)

    settle("j", backend)

    assert find_job(backend, "later").state is JobState.WAITING
    end(backend, S)
    settle("j", backend)
    assert find_job(backend, "later").state is ACTIVE


def test_a_job_that_waited_tries_its_first_rows_when_it_begins(tmp_path, backend, manifest) -> None:
    other = applied(a_manifest(tmp_path, name="first"), backend)
    applied(manifest(canary=2, needs=["first"]), backend)
    put(backend.state, replace(next(iter(backend.state.tasks("first"))), state=S))

    settle(other.name, backend)

    assert (states(backend), job(backend).canary.held) == ("pp....", 4)


def test_a_retry_of_the_first_is_followed_by_the_others(backend, manifest) -> None:
    applied(manifest(canary=2), backend)
    end(backend, F)
    settle("j", backend)

    retry(backend)
    between = states(backend)
    end(backend, S)
    settle("j", backend)

    assert (between, states(backend)) == ("pp....", "sspppp")


def test_without_the_canary_an_apply_goes_on_with_all(backend, manifest) -> None:
    applied(manifest(canary=2), backend)
    end(backend, F)
    settle("j", backend)

    applied(manifest(), backend)

    assert (states(backend), job(backend).canary) == ("ffpppp", None)


def test_results_of_a_job_that_runs_again_stay_until_its_first_rows_have_succeeded(backend, manifest) -> None:
    applied(manifest(), backend)
    end(backend, S)
    settle("j", backend)

    applied(manifest(canary=2), backend, rerun=Rerun.ALL)
    first = states(backend)
    end(backend, S)
    settle("j", backend)
    rest = states(backend)
    end(backend, S)
    settle("j", backend)

    assert (first, rest, job(backend).state) == ("ppssss", "sspppp", FINISHED)


def test_what_runs_is_stopped_by_a_change_that_is_to_be_tried_first(backend, manifest) -> None:
    applied(manifest(), backend)
    held = [task for task in backend.state.tasks("j") if task.index == 4]
    put(backend.state, *(replace(task, state=C, node="n", claim="c") for task in held))

    changed = prepare(manifest("better", canary=2), backend)
    execute(changed, backend, ME)

    assert [action.verb.value for action in changed.plan.asks] == ["stop"]
    assert states(backend) == "ppkckk"
    assert next(t for t in backend.state.tasks("j") if t.index == 4).stop is Stop.KILLED


def test_a_kill_ends_what_was_held_back(backend, manifest) -> None:
    applied(manifest(canary=2), backend)
    end(backend, S, 1)

    recover.stop(job(backend), backend)
    settle("j", backend)

    assert (states(backend), job(backend).state) == ("sk....", KILLED)
    assert job(backend).ended is not None


def test_a_release_that_cannot_be_prepared_is_said_and_not_tried_again(backend, manifest, monkeypatch) -> None:
    applied(manifest(canary=2), backend)
    end(backend, S)

    def failing(*_: Any, **__: Any) -> Any:
        raise RequestError("no such thing")

    with monkeypatch.context() as patch:
        patch.setattr("sparkles.begin.prepare_stored", failing)
        settle("j", backend)
    settle("j", backend)

    assert (states(backend), job(backend).state) == ("ss....", ACTIVE)
    assert "no such thing" in needs.stuck(job(backend), backend)
    retry(backend)
    assert states(backend) == "sspppp"


# Whatever comes between


@contextmanager
def interrupted(backend: Backend, at: int, act: Callable[[], object]) -> Iterator[None]:
    """Let something happen before the `at`-th commit, of which each takes two tasks."""
    writes, change = 0, backend.state.change

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes == at or (writes > at and act is die):
            act()
        return change(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(backend.state), "commit_limit", 3)
        patch.setattr(backend.state, "change", counted)
        with suppress(CutOffError):
            yield
    assert writes >= at, "it came to that"


class CutOffError(Exception):
    """The machine went dark."""


def die() -> None:
    raise CutOffError


#: Commits of an apply of four tasks: its mark, two of tasks, its end.
STEPS = range(1, 5)


@pytest.mark.parametrize("at", STEPS)
def test_a_kill_that_comes_between_holds(backend, manifest, at) -> None:
    applied(manifest(canary=2), backend)
    end(backend, S)

    with interrupted(backend, at, lambda: recover.stop(job(backend), backend)):
        settle("j", backend)
    settle("j", backend)

    assert job(backend).state is KILLED
    assert "p" not in states(backend)


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("rerun", [Rerun.NONE, Rerun.ALL])
def test_a_release_that_was_cut_off_is_completed_by_others_and_nothing_runs_twice(
    backend, manifest, monkeypatch, at, rerun
) -> None:
    if rerun is Rerun.ALL:
        applied(manifest(), backend)
        end(backend, S)
        settle("j", backend)
    applied(manifest(canary=2), backend, rerun=rerun)
    end(backend, S)
    with interrupted(backend, at, die):
        settle("j", backend)
    left = states(backend).count("p")
    put(backend.state, *(replace(task, state=C, node="n", claim="c") for task in backend.state.tasks("j", states=[P])))

    monkeypatch.setattr(takeover, "BEGIN_PATIENCE", -1.0)
    settle("j", backend)

    assert (states(backend).count("c"), states(backend).count("p")) == (left, 4 - left)
    assert all(task.stop is None for task in backend.state.tasks("j"))
    assert (job(backend).applying, job(backend).canary) == (None, None)


@pytest.mark.parametrize("at", STEPS)
def test_two_who_let_the_others_go_on_make_each_of_them_once(backend, manifest, monkeypatch, at) -> None:
    applied(manifest(canary=2), backend)
    end(backend, S)
    monkeypatch.setattr(takeover, "BEGIN_PATIENCE", -1.0)

    with interrupted(backend, at, lambda: settle("j", backend)):
        settle("j", backend)

    assert (states(backend), job(backend).applying, job(backend).canary) == ("sspppp", None, None)


@pytest.mark.parametrize("at", STEPS)
def test_a_client_that_applies_meanwhile_gets_what_it_wants(backend, manifest, at) -> None:
    applied(manifest(canary=2), backend)
    end(backend, S)

    def another() -> None:
        execute(prepare(manifest("other", canary=3), backend), backend, ME, force=True, may_lose=True)

    with interrupted(backend, at, another):
        settle("j", backend)
    settle("j", backend)

    assert job(backend).canary.first == "1-3"
    assert states(backend)[:3] == "ppp"
    assert "p" not in states(backend)[3:]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_apply_that_was_cut_off_runs_nothing_that_is_held_back(backend, manifest, at) -> None:
    with interrupted(backend, at, die):
        applied(manifest(canary=2), backend)
    before = states(backend)
    end(backend, S)

    settle("j", backend)

    assert before[2:] == "...."
    assert "p" not in states(backend) or job(backend).applying is None
    execute(prepare(manifest(canary=2), backend), backend, ME)
    assert states(backend) == ("pp...." if "p" not in before else "sspppp")


# failFast


def test_a_job_is_stopped_when_too_many_tasks_have_failed_with_nobody_there(backend, manifest) -> None:
    applied(manifest(failFast={"maxFailures": "1"}), backend)
    end(backend, F, 1)
    settle("j", backend)
    before = job(backend).state
    end(backend, F, 2)

    settle("j", backend)

    assert (before, job(backend).state, states(backend)) == (ACTIVE, KILLED, "ffkkkk")
    assert job(backend).killed_by == "failFast: 2 tasks failed, more than 1"
    assert {task.killed_by for task in backend.state.tasks("j", states=[K])} == {job(backend).killed_by}
    assert "sparkles retry j" in guard_text.ended(job(backend))[1]


def test_who_stopped_a_task_is_known_although_its_node_heard_of_that_before_the_task_was_told(
    backend, manifest, monkeypatch
) -> None:
    applied(manifest(failFast={"maxFailures": "0"}), backend)
    end(backend, F, 1)
    end(backend, S, 2)
    look = ending.look

    def nodes_hear(*args: Any) -> None:
        end(backend, K, 3)
        look(*args)

    monkeypatch.setattr(ending, "look", nodes_hear)
    settle("j", backend)

    assert (job(backend).state, states(backend)) == (KILLED, "fskkkk")
    assert {task.killed_by for task in backend.state.tasks("j", states=[K])} == {job(backend).killed_by}
    assert {task.killed_by for task in backend.state.tasks("j", states=[F, S])} == {None}


def test_a_part_is_of_all_tasks_and_so_of_those_that_are_held_back(backend, manifest) -> None:
    applied(manifest(failFast={"maxFailures": "50%"}, canary=2), backend)

    assert job(backend).max_failures == 3


def test_what_runs_is_told_to_stop(backend, manifest) -> None:
    applied(manifest(failFast={"maxFailures": "0"}), backend)
    put(backend.state, *(replace(t, state=C, node="n", claim="c") for t in backend.state.tasks("j") if t.index == 2))
    end(backend, F, 1)

    settle("j", backend)

    assert states(backend) == "fckkkk"
    assert [task.stop for task in backend.state.tasks("j", states=[C])] == [Stop.KILLED]
    assert job(backend).ended is None


def test_tasks_that_fail_at_the_very_end_stop_nothing(backend, manifest) -> None:
    applied(manifest(failFast={"maxFailures": "1"}), backend)
    end(backend, F)

    settle("j", backend)

    assert (job(backend).state, states(backend)) == (FINISHED, "ffffff")


def test_a_retry_begins_anew(backend, manifest) -> None:
    applied(manifest(failFast={"maxFailures": "1"}), backend)
    end(backend, F, 1, 2)
    settle("j", backend)

    retry(backend)
    settle("j", backend)

    assert (job(backend).state, job(backend).failed_before, states(backend)) == (ACTIVE, 0, "pppppp")


def test_what_failed_before_a_job_was_begun_again_stops_nothing(backend, manifest) -> None:
    applied(manifest(), backend)
    end(backend, F, 1, 2, 3)
    end(backend, S)
    settle("j", backend)

    applied(manifest(failFast={"maxFailures": "1"}, parameters={"seq": 12}), backend)
    settle("j", backend)
    end(backend, F, 7, 8)
    before = job(backend).state
    settle("j", backend)

    assert (before, job(backend).state, job(backend).failed_before) == (ACTIVE, KILLED, 3)


def test_a_limit_may_come_and_move_while_tasks_run_and_does_not_forget(backend, manifest) -> None:
    applied(manifest(), backend)
    end(backend, F, 1, 2)

    applied(manifest(failFast={"maxFailures": "2"}), backend)
    settle("j", backend)
    between = job(backend).state
    applied(manifest(failFast={"maxFailures": "1"}), backend)
    settle("j", backend)

    assert (between, job(backend).state) == (ACTIVE, KILLED)


def test_a_first_apply_that_was_cut_off_is_guarded(backend, manifest) -> None:
    applied(manifest(failFast={"maxFailures": "1"}), backend)
    mark = Applying(token="t", digest="d", generation=2, progress=0.0)
    put(backend.state, replace(job(backend), applying=mark))
    end(backend, F, 1, 2)

    settle("j", backend)

    assert (job(backend).state, states(backend)) == (KILLED, "ffkkkk")


def test_an_apply_that_was_cut_off_while_it_made_what_failed_run_again_is_not_stopped_by_that(
    backend, manifest
) -> None:
    applied(manifest(failFast={"maxFailures": "1"}), backend)
    end(backend, F)
    settle("j", backend)
    with interrupted(backend, 3, die):
        retry(backend)

    settle("j", backend)

    assert states(backend) == "ppffff"


@pytest.mark.parametrize("at", range(1, 6))
def test_a_stop_that_was_cut_off_is_completed_by_others(backend, manifest, at) -> None:
    applied(manifest(failFast={"maxFailures": "1"}), backend)
    end(backend, F, 1, 2)
    with interrupted(backend, at, die):
        settle("j", backend)

    settle("j", backend)

    assert (job(backend).state, states(backend)) == (KILLED, "ffkkkk")


@pytest.mark.parametrize("at", range(1, 6))
def test_a_retry_that_comes_between_runs(backend, manifest, at) -> None:
    applied(manifest(failFast={"maxFailures": "1"}), backend)
    end(backend, F, 1, 2)
    again = 0

    def another() -> None:
        nonlocal again
        retry(backend)
        again = states(backend).count("p")

    with interrupted(backend, at, another):
        settle("j", backend)
    settle("j", backend)

    assert job(backend).state is ACTIVE
    assert states(backend)[:2] == "pp"


def test_what_cannot_be_written_now_is_tried_again(backend, manifest) -> None:
    applied(manifest(canary=2), backend)
    end(backend, S)

    def refuse() -> None:
        raise BackendError("out of reach")

    with interrupted(backend, 2, refuse):
        settle("j", backend)
    settle("j", backend)

    assert states(backend) == "sspppp"
