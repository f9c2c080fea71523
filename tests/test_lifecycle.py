"""Lifecycle: the tables, and every rule that uses them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contracts.nouns import a_claimed_task, a_cluster, a_job, a_task, digest_of

from sparkles import lifecycle
from sparkles.errors import MoveError
from sparkles.lifecycle import (
    HISTORY,
    JOB_MOVES,
    LOSS_LIMIT,
    TASK_MOVES,
    Attempt,
    Need,
    RetryPolicy,
)
from sparkles.model import (
    Applying,
    Canary,
    JobState,
    Past,
    Reason,
    Stop,
    Task,
    TaskState,
    Waiting,
)

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED


def an_attempt(**fields) -> Attempt:
    known = {"claim": "claim-1", "digest": digest_of("1"), "reason": Reason.EXIT, "exit": 0}
    return Attempt(**{**known, "started": 1.0, "ended": 3.0, "result_generation": "claim-1", **fields})


def applying(**fields) -> Applying:
    return Applying(**{"token": "t", "digest": "mine", "generation": 5, "progress": 100.0, **fields})


# The tables


@pytest.mark.parametrize(
    ("stop", "reason"),
    [(None, Reason.PREEMPTED), (Stop.REPLACED, None), (Stop.KILLED, Reason.KILLED)],
    ids=["taken away", "to run anew", "to be killed"],
)
def test_a_task_that_is_given_back_says_why_it_was_stopped(stop, reason) -> None:
    after = lifecycle.give_back(a_claimed_task(attempts=1, stop=stop), now=9.0, reason=Reason.PREEMPTED)

    assert (after.reason, after.exit, after.attempts) == (reason, None, 1)


@pytest.mark.parametrize("state", TaskState)
@pytest.mark.parametrize("move", TASK_MOVES)
def test_a_task_makes_the_moves_of_its_table_and_no_other(move: str, state: TaskState) -> None:
    task = a_task(state=state)

    if state in TASK_MOVES[move]:
        assert lifecycle._move(task, move) == replace(task, state=TASK_MOVES[move][state])
    else:
        with pytest.raises(MoveError, match=rf"task j\.1: no move '{move}' from {state.value}"):
            lifecycle._move(task, move)


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("move", JOB_MOVES)
def test_a_job_makes_the_moves_of_its_table_and_no_other(move: str, state: JobState) -> None:
    job = a_job(state=state)

    if state in JOB_MOVES[move]:
        assert lifecycle._move_job(job, move) == replace(job, state=JOB_MOVES[move][state])
    else:
        with pytest.raises(MoveError, match=f"job j: no move '{move}' from {state.value}"):
            lifecycle._move_job(job, move)


def test_only_a_rerun_leaves_a_final_state() -> None:
    ways_out = {move for move, table in TASK_MOVES.items() if {S, F, K} & table.keys()}

    assert ways_out == {"rerun"}


# A claim and its end


def test_a_claim_gives_a_task_to_a_node() -> None:
    claimed = lifecycle.claim(a_task(), node="n", token="t")

    assert claimed == a_task(state=C, node="n", claim="t")


@pytest.mark.parametrize(
    ("task", "mine"),
    [
        pytest.param(a_claimed_task(), True, id="mine"),
        pytest.param(a_claimed_task(stop=Stop.KILLED), True, id="to be killed"),
        pytest.param(a_claimed_task(stop=Stop.REPLACED), False, id="to run anew"),
        pytest.param(a_claimed_task(claim="other"), False, id="another claim"),
        pytest.param(a_claimed_task(digest=digest_of("changed")), False, id="another definition"),
        pytest.param(a_claimed_task(state=P), False, id="given back"),
        pytest.param(a_claimed_task(state=F), False, id="ended"),
        pytest.param(None, False, id="removed"),
    ],
)
def test_only_the_holder_of_the_claim_may_finish_what_it_executed(task: Task | None, mine: bool) -> None:
    assert lifecycle.is_mine(task, claim="claim-1", digest=digest_of("1")) is mine


RETRY = RetryPolicy(limit=2)


@pytest.mark.parametrize(
    ("reason", "code", "fields", "retry", "state", "failures"),
    [
        pytest.param(Reason.EXIT, 0, {}, RETRY, S, 0, id="success"),
        pytest.param(Reason.EXIT, 0, {"stop": Stop.KILLED}, RETRY, S, 0, id="success before the kill came"),
        pytest.param(Reason.EXIT, 1, {}, RetryPolicy(), F, 0, id="failure without retries"),
        pytest.param(Reason.EXIT, 1, {}, RETRY, P, 1, id="failure, first retry"),
        pytest.param(Reason.EXIT, 1, {"failures": 1}, RETRY, P, 2, id="failure, last retry"),
        pytest.param(Reason.EXIT, 1, {"failures": 2}, RETRY, F, 2, id="failure, no retry left"),
        pytest.param(Reason.EXIT, 1, {"stop": Stop.KILLED}, RETRY, F, 0, id="failure of one to be killed"),
        pytest.param(Reason.EXIT, 1, {"losses": 2}, RETRY, P, 1, id="losses are not counted as failures"),
        pytest.param(Reason.TIMEOUT, 0, {}, RETRY, P, 1, id="a time-out is no success, whatever the exit code"),
        pytest.param(
            Reason.TIMEOUT, 143, {}, RetryPolicy(limit=2, on=frozenset({Reason.EXIT})), F, 0, id="not on this"
        ),
        pytest.param(Reason.OUT_OF_MEMORY, 137, {}, RETRY, P, 1, id="out of memory"),
        pytest.param(Reason.UPLOAD, 0, {}, RETRY, F, 0, id="upload trouble never runs a command again"),
        pytest.param(Reason.KILLED, 143, {"stop": Stop.KILLED}, RETRY, K, 0, id="killed"),
        pytest.param(Reason.KILLED, 0, {"stop": Stop.KILLED}, RETRY, K, 0, id="killed, and ended well"),
    ],
)
def test_the_end_of_an_attempt_decides_what_becomes_of_its_task(reason, code, fields, retry, state, failures) -> None:
    task = a_claimed_task(attempts=4, **fields)

    attempt = an_attempt(reason=reason, exit=code, peak_memory=5, said="ValueError: NaN")
    after = lifecycle.finish(task, attempt, retry)

    assert (after.state, after.failures, after.attempts, after.stop) == (state, failures, 5, None)
    assert (after.reason, after.exit, after.started, after.ended, after.peak_memory) == (reason, code, 1.0, 3.0, 5)
    assert after.said == "ValueError: NaN"
    if state is P:
        assert (after.node, after.claim, after.result_generation, after.queued) == (None, None, None, 3.0)
    else:
        assert (after.node, after.claim, after.result_generation) == (task.node, "claim-1", "claim-1")


def test_an_attempt_that_does_not_end_its_task_is_remembered() -> None:
    failed = lifecycle.finish(a_claimed_task(node="n"), an_attempt(exit=1, said="no"), RETRY)
    taken = lifecycle.give_back(lifecycle.claim(failed, node="m", token="2"), now=8.0, reason=Reason.PREEMPTED)
    lost = lifecycle.give_back(lifecycle.claim(taken, node="m", token="3"), now=9.0, lost=True)

    assert lost.history == (
        Past(claim="claim-1", node="n", reason=Reason.EXIT, exit=1, started=1.0, ended=3.0, said="no"),
        Past(claim="2", node="m", reason=Reason.PREEMPTED, ended=8.0),
        Past(claim="3", node="m", reason=Reason.NODE_LOST, ended=9.0),
    )


def test_what_never_began_is_no_attempt() -> None:
    assert lifecycle.give_back(a_claimed_task(), now=9.0).history == ()


def test_only_the_last_few_attempts_are_remembered() -> None:
    task = a_task()
    for number in range(HISTORY + 5):
        task = lifecycle.give_back(lifecycle.claim(task, node="n", token=str(number)), now=9.0, reason=Reason.PREEMPTED)

    assert [past.claim for past in task.history] == [str(number) for number in range(5, HISTORY + 5)]


@pytest.mark.parametrize(
    ("ending", "by"),
    [
        pytest.param({"reason": Reason.KILLED, "exit": 143}, "eva", id="killed"),
        pytest.param({"exit": 0}, None, id="succeeded before the kill came"),
        pytest.param({"exit": 1}, None, id="failed before the kill came"),
    ],
)
def test_who_killed_a_task_is_known_if_that_ended_it(ending, by) -> None:
    task = lifecycle.kill(a_claimed_task(), now=1.0, by="eva")

    assert lifecycle.finish(task, an_attempt(**ending), RetryPolicy()).killed_by == by


def test_a_retry_leaves_the_result_of_an_earlier_run_committed() -> None:
    task = a_claimed_task(result_generation="earlier")

    after = lifecycle.finish(task, an_attempt(exit=1), RETRY)

    assert (after.state, after.result_generation) == (P, "earlier")


@pytest.mark.parametrize(
    ("fields", "lost", "state", "losses", "reason"),
    [
        pytest.param({}, False, P, 0, None, id="given back free of charge"),
        pytest.param({}, True, P, 1, None, id="lost once"),
        pytest.param({"losses": LOSS_LIMIT - 2}, True, P, LOSS_LIMIT - 1, None, id="lost once too few"),
        pytest.param({"losses": LOSS_LIMIT - 1}, True, F, LOSS_LIMIT, Reason.NODE_LOST, id="lost too often"),
        pytest.param(
            {"losses": LOSS_LIMIT}, False, P, LOSS_LIMIT, None, id="free of charge, however often it was lost"
        ),
        pytest.param({"stop": Stop.KILLED}, False, K, 0, Reason.KILLED, id="to be killed"),
        pytest.param({"stop": Stop.KILLED, "losses": 2}, True, K, 2, Reason.KILLED, id="to be killed, and lost"),
        pytest.param({"stop": Stop.REPLACED}, False, P, 0, None, id="to run anew"),
    ],
)
def test_a_task_that_is_taken_from_its_node(fields, lost, state, losses, reason) -> None:
    task = a_claimed_task(attempts=1, failures=1, **fields)

    after = lifecycle.give_back(task, now=9.0, lost=lost)

    assert (after.state, after.losses, after.reason) == (state, losses, reason)
    assert (after.stop, after.attempts, after.failures) == (None, 1 + lost, 1)
    assert (after.node, after.ended) == ((None, None) if state is P else (task.node, 9.0))
    assert (after.claim is None) is (state is P)


@pytest.mark.parametrize("state", TaskState)
def test_a_kill_ends_what_nobody_holds_tells_who_holds_it_and_leaves_the_rest(state: TaskState) -> None:
    task = a_task(state=state, exit=1, reason=Reason.EXIT, ended=1.0, result_generation="g")

    after = lifecycle.kill(task, now=9.0, by="eva")

    expected = {
        P: replace(task, state=K, reason=Reason.KILLED, exit=None, ended=9.0, result_generation=None, killed_by="eva"),
        C: replace(task, stop=Stop.KILLED, killed_by="eva"),
        K: replace(task, killed_by="eva"),  # its node heard of it first
    }
    assert after == expected.get(state, task)
    assert lifecycle.kill(a_task(state=K, killed_by="bob"), now=9.0, by="eva").killed_by == "bob"


@pytest.mark.parametrize("state", TaskState)
def test_a_renewed_task_runs_as_the_new_generation_defines_it(state: TaskState) -> None:
    held = {"node": "n", "claim": "t"} if state is C else {}
    task = a_task(
        state=state, failures=2, losses=2, attempts=3, exit=1, reason=Reason.EXIT, result_generation="g", **held
    )

    after = lifecycle.renew(task, row='{"x":"2"}', digest=digest_of("new"), generation=2, cluster="d", now=7.0)

    assert (after.row, after.digest, after.generation, after.cluster) == ('{"x":"2"}', digest_of("new"), 2, "d")
    assert (after.failures, after.losses, after.result_generation) == (0, 0, "g")
    if state is C:
        assert (after.state, after.stop, after.node, after.claim) == (C, Stop.REPLACED, "n", "t")
    else:
        assert (after.state, after.stop, after.attempts, after.exit, after.reason) == (P, None, 0, None, None)
        assert (after.node, after.queued) == (None, 7.0)


def test_a_task_that_was_to_be_killed_and_is_then_renewed_runs() -> None:
    task = lifecycle.kill(a_claimed_task(), now=1.0)

    renewed = lifecycle.renew(task, row="{}", digest=digest_of("1"), generation=2, cluster="c", now=1.5)

    assert lifecycle.give_back(renewed, now=2.0).state is P


# Jobs


@pytest.mark.parametrize(
    ("job", "may"),
    [
        pytest.param(a_job(), True, id="active"),
        pytest.param(a_job(state=JobState.KILLED), True, id="killed"),
        pytest.param(a_job(state=JobState.KILLED, ended=1.0), False, id="killed and ended"),
        pytest.param(a_job(state=JobState.FINISHED, ended=1.0), False, id="finished"),
        pytest.param(a_job(state=JobState.WAITING), False, id="waiting for other jobs"),
        pytest.param(
            a_job(applying=Applying(token="t", digest="d", generation=2, progress=0.0)), False, id="being applied"
        ),
    ],
)
def test_a_job_may_end_when_nobody_adds_tasks_and_it_has_not_ended(job, may) -> None:
    assert lifecycle.may_finish(job) is may


def test_a_job_ends_finished_or_stays_killed() -> None:
    finished = lifecycle.finish_job(a_job(), now=9.0)
    killed = lifecycle.finish_job(a_job(state=JobState.KILLED), now=9.0)

    assert (finished.state, finished.ended) == (JobState.FINISHED, 9.0)
    assert (killed.state, killed.ended) == (JobState.KILLED, 9.0)


@pytest.mark.parametrize("state", JobState)
def test_a_kill_marks_a_job_that_has_not_ended(state: JobState) -> None:
    after = lifecycle.kill_job(a_job(state=state)).state

    assert after is (JobState.FINISHED if state is JobState.FINISHED else JobState.KILLED)


@pytest.mark.parametrize("state", JobState)
def test_a_job_is_active_after_an_apply_whatever_it_was(state: JobState) -> None:
    applying = Applying(token="t", digest="d", generation=2, progress=0.0)
    job = a_job(state=state, ended=5.0, applying=applying)

    after = lifecycle.activate(job, generation=2, cluster="d", last_index=7, max_nodes=3, scaled=5)

    assert after == a_job(state=JobState.ACTIVE, generation=2, cluster="d", last_index=7, max_nodes=3, scaled=5)


@pytest.mark.parametrize("state", JobState)
def test_a_job_waits_after_an_apply_if_there_is_something_to_wait_for(state: JobState) -> None:
    waiting = Waiting(needs=("a",), rerun="all")

    after = lifecycle.activate(
        a_job(state=state, ended=5.0),
        generation=2,
        cluster="c",
        last_index=0,
        max_nodes=1,
        scaled=None,
        waiting=waiting,
    )

    assert (after.state, after.waiting, after.ended) == (JobState.WAITING, waiting, None)
    assert not lifecycle.may_finish(after)


def test_the_kill_of_a_waiting_job_ends_its_wait() -> None:
    waiting = a_job(state=JobState.WAITING, waiting=Waiting(needs=("a",)))

    after = lifecycle.kill_job(waiting)

    assert (after.state, after.waiting) == (JobState.KILLED, None)
    assert lifecycle.may_finish(after)


@pytest.mark.parametrize(
    ("fields", "counts", "need"),
    [
        pytest.param({"state": JobState.FINISHED, "ended": 5.0}, {S: 3}, Need.MET, id="all succeeded"),
        pytest.param({"state": JobState.FINISHED, "ended": 5.0}, {S: 3, F: 1}, Need.FAILED, id="one failed"),
        pytest.param({"state": JobState.KILLED, "ended": 5.0}, {S: 3, K: 1}, Need.FAILED, id="killed"),
        pytest.param({"state": JobState.KILLED}, {S: 3, C: 1}, Need.OPEN, id="being killed"),
        pytest.param({"state": JobState.ACTIVE}, {S: 3}, Need.OPEN, id="about to end"),
        pytest.param({"state": JobState.ACTIVE}, {S: 3, P: 1}, Need.OPEN, id="active"),
        pytest.param({"state": JobState.WAITING, "waiting": Waiting(needs=("x",))}, {S: 3}, Need.OPEN, id="waiting"),
        pytest.param(
            {"state": JobState.FINISHED, "ended": 5.0, "applying": applying()}, {S: 3}, Need.OPEN, id="being applied",
        ),
    ],
)  # fmt: skip
def test_how_a_job_stands_for_those_that_need_it(fields, counts, need) -> None:
    assert lifecycle.need_of(a_job(**fields), counts) is need


def test_a_job_that_is_not_there_is_missing() -> None:
    assert lifecycle.need_of(None, {}) is Need.MISSING


def test_a_scaled_job_has_as_many_nodes_as_it_was_scaled_to() -> None:
    job = a_job(max_nodes=2)

    assert lifecycle.nodes_wanted_by(job) == 2
    assert lifecycle.nodes_wanted_by(lifecycle.scale(job, 5)) == 5
    assert lifecycle.scale(lifecycle.scale(job, 5), 2) == job


# What is read of records


def test_a_bump_moves_the_epoch() -> None:
    assert lifecycle.bump(a_cluster(epoch=4)) == a_cluster(epoch=5)


@pytest.mark.parametrize("state", TaskState)
def test_final_is_what_is_not_open(state: TaskState) -> None:
    assert state.is_final is (state not in (P, C))


@pytest.mark.parametrize("state", JobState)
def test_a_job_has_more_while_it_waits_or_holds_tasks_back(state: JobState) -> None:
    canary, waiting = Canary(first="1", held=1), Waiting(needs=("other",))

    assert not a_job(state=state).has_more
    assert a_job(state=state, canary=canary).has_more is (state is JobState.ACTIVE)
    assert a_job(state=JobState.WAITING, waiting=waiting).has_more
