"""Why a job or a task stands where it stands: for each case what is said, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.nouns import a_claimed_task, a_cluster, a_job, a_node, a_task

from sparkles import causes, diagnose
from sparkles.diagnose import Facts, Finding
from sparkles.model import LEFT_OUT, Applying, JobState, NodeState, Past, Reason, Sample, Stop, Task, TaskState

PENDING = {TaskState.PENDING: 3}
WORKING = a_node("w", worked=True)
NOW = 1080.0


def facts(**fields: Any) -> Facts:
    job = a_job(**fields.pop("job", {"max_nodes": 2}))
    return Facts(job=job, now=NOW, cluster=a_cluster(slots=4), **{"counts": PENDING, **fields})


def said(findings: Any) -> str:
    return "\n".join(f"{finding.says} → {finding.do}" for finding in findings)


@pytest.mark.parametrize(
    ("known", "says", "do"),
    [
        pytest.param({"waits": "job j waits for a, b"}, "job j waits for a, b", "", id="other jobs"),
        pytest.param(
            {"job": {"applying": Applying(token="t", digest="d", generation=1, progress=1.0)}},
            "half applied", "run that again", id="an apply that was cut off",
        ),
        pytest.param({}, "no node is there", "sparkles watch j", id="no node"),
        pytest.param({"elsewhere": "they are started at home"}, "they are started at home", "", id="nodes elsewhere"),
        pytest.param({"submitted": 2}, "2 nodes asked for, and not made yet", "", id="asked for"),
        pytest.param(
            {"submitted": 1, "asked": NOW - 65.0}, "and not made yet; nodes were last asked for 1:05 ago", "",
            id="asked for a while ago",
        ),
        pytest.param({"staging": 1}, "1 node starting: made, and yet to report", "", id="made"),
        pytest.param(
            {"staging": 1, "asked": NOW - 65.0}, "yet to report; nodes were last asked for 1:05 ago", "",
            id="made of those that were asked for a while ago",
        ),
        pytest.param({"troubles": ["no more CPUS"]}, "no more CPUS", "", id="trouble"),
        pytest.param(
            {"nodes": [a_node("s", state=NodeState.STARTING)]}, "node s is starting since 1:20", "", id="starting",
        ),
        pytest.param(
            {"nodes": [a_node("s", instance="vm-1", phases={"boot": 12.3, "image": 40.0})]},
            "node vm-1 is starting since 1:20 (boot 12 s, image 40 s)", "", id="starting, in phases",
        ),
        pytest.param(
            {"nodes": [WORKING], "silent": frozenset("w")}, "1 node fell silent", "sparkles watch j", id="silent",
        ),
        pytest.param(
            {"nodes": [WORKING], "job": {"max_nodes": 5, "scaled": 1}},
            "1 node at work, 4 tasks at a time each; sparkles scale lets it have 1 at most, its manifest 5",
            "'sparkles scale j 5'", id="scaled to fewer",
        ),
        pytest.param(
            {"nodes": [WORKING], "job": {"max_nodes": 1}}, "nodes.max lets it have no more", "'sparkles scale j N'",
            id="at its most nodes",
        ),
        pytest.param(
            {"nodes": [WORKING], "most_nodes": 1, "job": {"max_nodes": 5, "scaled": 1}}, "there are no more here",
            "--slots", id="all nodes that there are",
        ),
        pytest.param({"nodes": [WORKING]}, "1 node at work, 4 tasks at a time each", "", id="more may come"),
        pytest.param({"counts": {TaskState.SUCCEEDED: 3}}, "it has ended: 3 tasks succeeded", "", id="succeeded"),
        pytest.param(
            {"counts": {TaskState.SUCCEEDED: 2, TaskState.FAILED: 1}}, "it has ended: 1 of 3 tasks failed", "",
            id="failed",
        ),
        pytest.param(
            {"counts": {TaskState.KILLED: 3}, "job": {"state": JobState.KILLED, "killed_by": "ann"}},
            "it was killed by ann: 3 of 3 tasks", "", id="killed",
        ),
        pytest.param(
            {"counts": {}, "job": {"state": JobState.KILLED}}, "it was killed before it had tasks",
            "'sparkles retry j' lets it wait again", id="killed while it waited",
        ),
        pytest.param(
            {"counts": {}, "job": {"state": JobState.KILLED, "whole": "w", "killed_by": LEFT_OUT}},
            "it waited, and does not begin any more: it is no part of w now", "'sparkles delete j' removes it",
            id="left out of its whole while it waited",
        ),
        pytest.param({"counts": {}}, "it has no tasks", "run its sub or apply again", id="nothing"),
    ],
)  # fmt: skip
def test_a_job_stands_somewhere_for_a_reason(known: dict[str, Any], says: str, do: str) -> None:
    found = diagnose.job(facts(**known))

    (fits,) = [finding for finding in found if says in finding.says]
    assert do in fits.do


def test_a_job_whose_tasks_all_run_is_kept_by_nothing() -> None:
    found = diagnose.job(facts(counts={TaskState.CLAIMED: 2, TaskState.SUCCEEDED: 1}, nodes=[WORKING]))

    assert found == [Finding(says="it is active: 2 tasks claimed, 1 task succeeded; submitted 1:20 ago")]


def failed(index: int = 1, **fields: Any) -> Task:
    return a_task(index, **{"state": TaskState.FAILED, "reason": Reason.EXIT, "exit": 1, "attempts": 1, **fields})


def test_a_job_says_of_each_cause_what_mends_it() -> None:
    tasks = [failed(1, said="MemoryError"), failed(2, said="MemoryError"), failed(3, exit=3)]

    ended, memory, other = diagnose.job(facts(counts={TaskState.FAILED: 3}, causes=causes.of(tasks)))

    assert ended.commands == ["sparkles list j --filter state=failed", "sparkles retry j"]
    assert memory.says == "2 tasks failed: exit code 1, MemoryError, such as j.1"
    assert memory.do.startswith("it looks as if it ran out of memory: give it more (--memory")
    assert memory.commands == [
        "sparkles logs j.1",
        "sparkles list j --filter state=failed --filter exit=1",
        "sparkles retry j --filter state=failed --filter exit=1",
    ]
    assert (other.says, other.do) == ("1 task failed: exit code 3, wrote nothing, such as j.3", "")


def test_a_job_that_goes_on_says_what_has_failed_so_far() -> None:
    counts = {TaskState.CLAIMED: 2, TaskState.FAILED: 1}

    *_, last = diagnose.job(facts(counts=counts, nodes=[WORKING], causes=causes.of([failed(exit=3)])))

    assert last.says == "1 task failed: exit code 3, wrote nothing, such as j.1"


def test_who_killed_tasks_of_a_job_is_told_once() -> None:
    counts = {TaskState.SUCCEEDED: 2, TaskState.KILLED: 1}
    found = causes.of([a_task(state=TaskState.KILLED, killed_by="ann")])

    some = diagnose.job(facts(counts=counts, causes=found))
    whole = diagnose.job(facts(counts=counts, causes=found, job={"state": JobState.KILLED, "killed_by": "ann"}))

    assert [finding.says for finding in some] == [
        "it has ended: 1 of 3 tasks killed",
        "1 task was killed by ann, such as j.1",
    ]
    assert [finding.says for finding in whole] == ["it was killed by ann: 1 of 3 tasks"]


def test_causes_that_are_not_told_are_counted() -> None:
    tasks = [failed(index, exit=index) for index in range(1, 5)]

    *_, last = diagnose.job(facts(counts={TaskState.FAILED: 4}, causes=causes.of(tasks, most=2)))

    assert last.says == "2 more causes with 2 tasks"


PAST = Past(claim="a", node="s-1", reason=Reason.EXIT, exit=3, ended=NOW - 190.0, said="ValueError: NaN")


@pytest.mark.parametrize(
    ("task", "says", "commands"),
    [
        pytest.param(
            a_task(queued=NOW - 80.0), "it is pending since 1:20, and no attempt of it has ended yet", [], id="pending"
        ),
        pytest.param(a_task(), "it is pending, and no attempt of it has ended yet", [], id="an old record"),
        pytest.param(
            a_task(queued=NOW - 9.0, attempts=2, losses=1, failures=1, history=(PAST,)),
            "it is pending since 0:09 (tried 2 times, failed 1 time, lost its node 1 time)", [], id="tried",
        ),
        pytest.param(
            a_task(queued=NOW - 9.0, history=(PAST,)), "it is pending since 0:09", [], id="preempted, free of charge"
        ),
        pytest.param(
            a_claimed_task(node="w"), "it is on node w, and may still be fetching what it needs",
            ["sparkles logs -f j.1"], id="fetching",
        ),
        pytest.param(
            a_claimed_task(node="r"), "it runs on node r: 2 processes, 3.0 MB, for 1:05", ["sparkles logs -f j.1"],
            id="running",
        ),
        pytest.param(
            a_claimed_task(node="w", stop=Stop.KILLED, killed_by="ann"),
            "it is being stopped (killed by ann) on node w", [], id="stopping",
        ),
        pytest.param(
            a_claimed_task(node="w", stop=Stop.REPLACED), "it is being stopped (replaced) on node w", [],
            id="stopping for another one",
        ),
        pytest.param(
            a_claimed_task(node="quiet"), "its node quiet fell silent; the task is given to another", [], id="silent"
        ),
        pytest.param(
            a_task(state=TaskState.SUCCEEDED, attempts=2, failures=1), "it succeeded (tried 2 times, failed 1 time)",
            [], id="succeeded",
        ),
        pytest.param(
            a_task(state=TaskState.KILLED, killed_by="ann", ended=NOW - 65.0),
            "it was killed by ann 1:05 ago, before it ran", ["sparkles retry j.1"], id="killed while it waited",
        ),
        pytest.param(
            a_task(state=TaskState.KILLED, node="w"), "it was killed on node w", ["sparkles retry j.1"],
            id="killed while it ran",
        ),
    ],
)  # fmt: skip
def test_a_task_stands_somewhere_for_a_reason(task: Task, says: str, commands: list[str]) -> None:
    nodes = [WORKING, a_node("r", samples={"claim-1": Sample(2, 3_000_000, 0, 0, 0, 65.0)})]

    first, *_ = diagnose.task(task, facts(nodes=nodes, silent=frozenset(["quiet"])), last_line="")

    assert first.says == says
    assert list(first.commands) == commands


def test_a_pending_task_is_kept_by_what_keeps_its_job() -> None:
    found = diagnose.task(a_task(), facts(troubles=["no more CPUS"]), last_line="")

    assert [finding.says for finding in found] == ["it is pending, and no attempt of it has ended yet", "no more CPUS"]


@pytest.mark.parametrize("state", TaskState)
def test_what_became_of_each_attempt_is_told(state: TaskState) -> None:
    lost = Past(claim="b", node="s-2", reason=Reason.NODE_LOST, ended=NOW - 65.0)

    found = diagnose.task(a_task(state=state, history=(PAST, lost)), facts(), last_line="")

    assert [finding.says for finding in found[-2:]] == [
        "attempt 1 on node s-1 ended 3:10 ago: exit code 3; it last wrote: ValueError: NaN",
        "attempt 2 on node s-2 ended 1:05 ago: its node died under it",
    ]
    assert found[-1].commands == ["sparkles logs j.1 --attempt 2"]


def test_attempts_that_are_forgotten_have_had_their_numbers() -> None:
    (*_, last) = diagnose.task(failed(attempts=13, history=(PAST, PAST)), facts(), last_line="")

    assert last.says.startswith("attempt 12 on node s-1 ended")


def running(seconds: float = 60.0, resident: int = 0, **known: Any) -> list[str]:
    node = a_node(samples={"claim-1": Sample(1, resident, 0, 0, resident, seconds)})
    return [finding.says for finding in diagnose.task(a_claimed_task(), facts(nodes=[node], **known), last_line="")]


def test_a_task_is_slow_that_takes_much_longer_than_the_others() -> None:
    _, slow = running(4800.0, usual=180.0)

    assert slow == "it is slow: it has run for 1:20:00, where most of the others took 3:00"
    assert len(running(4800.0)) == 1  # nobody knows what is usual
    assert len(running(4800.0, usual=4000.0)) == 1
    assert len(running(30.0, usual=0.1)) == 1  # nobody minds half a minute


def test_a_task_that_will_soon_need_too_much_memory_is_told_of() -> None:
    _, near = running(resident=3_900_000_000, memory=4_000_000_000)

    assert near == "its processes have 3.9 GB of the 4.0 GB of memory that it may use"
    assert len(running(resident=2_000_000_000, memory=4_000_000_000)) == 1


@pytest.mark.parametrize(
    ("fields", "says", "do"),
    [
        ({"exit": 3}, "it failed: exit code 3; it last wrote: ValueError: NaN", ""),
        ({"exit": 126}, "it failed: exit code 126, the command cannot be executed; it last wrote", "chmod +x"),
        ({"exit": 139}, "it failed: exit code 139, it reached for memory that is not its own (SIGSEGV)", "library"),
        ({"reason": Reason.TIMEOUT}, "it failed: it took longer than its timeout; it last wrote", "raise --timeout"),
        ({"reason": Reason.OUT_OF_MEMORY}, "it failed: it needed more memory than it may use; it last", "--memory"),
        ({"reason": Reason.NODE_LOST, "losses": 3}, "it failed: its node died under it 3 times; it", "machine type"),
        ({"reason": None}, "it failed: for an unknown reason; it last wrote", ""),
        ({"attempts": 3, "failures": 2}, "it last wrote: ValueError: NaN (tried 3 times, failed 2 times)", ""),
    ],
)
def test_a_task_fails_for_a_reason_with_a_way_out(fields: Any, says: str, do: str) -> None:
    (found,) = diagnose.task(failed(**fields), facts(), last_line="ValueError: NaN\n")

    assert says in found.says
    assert do in found.do
    assert found.commands == ["sparkles logs j.1", "sparkles retry j.1"]


def test_what_a_failed_task_wrote_is_a_sign_of_what_was_wrong() -> None:
    first, sign = diagnose.task(failed(), facts(), last_line="No module named 'numpy'")

    assert first.do == ""
    assert sign.says == "it looks as if the Python module numpy is missing"
    assert "pip install numpy" in sign.do


def test_a_failed_task_that_wrote_nothing_says_so_and_how_near_it_came_to_its_memory() -> None:
    first, near = diagnose.task(failed(exit=137, peak_memory=95), facts(memory=100), last_line="")

    assert "it wrote nothing" in first.says
    assert near.says == "its largest process had 95 bytes of the 100 bytes of memory that it may use"
