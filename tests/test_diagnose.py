"""Why a job or a task stands where it stands: for each case what is said, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.nouns import a_claimed_task, a_cluster, a_job, a_node, a_task

from sparkles import diagnose
from sparkles.diagnose import Facts, Finding
from sparkles.lifecycle import Applying
from sparkles.model import JobState, NodeState, Reason, Sample, Stop, TaskState

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
            {"counts": {TaskState.SUCCEEDED: 2, TaskState.FAILED: 1}}, "1 of 3 tasks failed",
            "'sparkles list j --filter state=failed'", id="failed",
        ),
        pytest.param(
            {"counts": {TaskState.KILLED: 3}, "job": {"state": JobState.KILLED}}, "it was killed: 3 of 3 tasks",
            "'sparkles retry j'", id="killed",
        ),
        pytest.param(
            {"counts": {}, "job": {"state": JobState.KILLED}}, "it was killed before it had tasks",
            "'sparkles retry j' lets it wait again", id="killed while it waited",
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


@pytest.mark.parametrize(
    ("task", "says", "do"),
    [
        (a_task(), "it is pending since 1:20, and no try of it has ended yet", ""),
        (a_task(generation=0), "it is pending, and no try of it has ended yet", ""),
        (
            a_task(attempts=2, losses=1, reason=Reason.EXIT, exit=3, ended=NOW - 9.0),
            "it is pending (tried 2 times, lost its node 1 time, the last one ended 0:09 ago by exit code 3)",
            "",
        ),
        (a_claimed_task(node="w"), "it is on node w, and may still be fetching what it needs", "sparkles logs -f j.1"),
        (a_claimed_task(node="r"), "it runs on node r: 2 processes, 3.0 MB", "sparkles logs -f j.1"),
        (a_claimed_task(node="w", stop=Stop.KILLED), "it is being stopped (killed) on node w", ""),
        (a_claimed_task(node="quiet"), "its node quiet fell silent; the task is given to another", "sparkles watch j"),
        (a_task(state=TaskState.SUCCEEDED, attempts=2, failures=1), "it succeeded (tried 2 times, failed 1 time)", ""),
        (a_task(state=TaskState.KILLED), "it was killed", "'sparkles retry j.1'"),
    ],
    ids=["pending", "kept", "tried", "fetching", "running", "stopping", "silent", "succeeded", "killed"],
)
def test_a_task_stands_somewhere_for_a_reason(task, says, do) -> None:
    nodes = [WORKING, a_node("r", samples={"claim-1": Sample(2, 3_000_000, 0, 0, 0)})]

    first, *_ = diagnose.task(task, facts(nodes=nodes, silent=frozenset(["quiet"])), last_line="")

    assert first.says == says
    assert do in first.do


def test_a_pending_task_is_kept_by_what_keeps_its_job() -> None:
    found = diagnose.task(a_task(), facts(troubles=["no more CPUS"]), last_line="")

    assert [finding.says for finding in found] == [
        "it is pending since 1:20, and no try of it has ended yet",
        "no more CPUS",
    ]


@pytest.mark.parametrize(
    ("reason", "code", "says", "do"),
    [
        (Reason.EXIT, 3, "exit code 3", ""),
        (Reason.EXIT, 126, "the command cannot be executed", "chmod +x"),
        (Reason.EXIT, 127, "there is no such command", "how the command is spelled"),
        (Reason.EXIT, 137, "it was ended with SIGKILL", "--memory"),
        (Reason.EXIT, 139, "SIGSEGV", ""),
        (Reason.TIMEOUT, None, "it took longer than its timeout", "raise --timeout"),
        (Reason.OUT_OF_MEMORY, 137, "it needed more memory than it may use", "--memory"),
        (Reason.NODE_LOST, None, "its node died under it 3 times", "larger machine type"),
        (Reason.NODE_LIMIT, None, "its node had come to the end of its life", "nodes.maxLife"),
        (Reason.UPLOAD, 1, "its result could not be stored", "bucket"),
        (None, None, "for an unknown reason", ""),
    ],
)
def test_a_task_fails_for_a_reason_with_a_way_out(reason, code, says, do) -> None:
    task = a_task(state=TaskState.FAILED, reason=reason, exit=code, attempts=1, losses=3 * (reason is Reason.NODE_LOST))

    (found,) = diagnose.task(task, facts(), last_line="ValueError: NaN\n")

    assert found.says.startswith(f"it failed: {says}" if reason is not Reason.EXIT else "it failed: exit code")
    assert says in found.says
    assert "; it last wrote: ValueError: NaN" in found.says
    assert do in found.do
    assert found.do.endswith("'sparkles logs j.1' shows all that it wrote; 'sparkles retry j.1' runs it again")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason) -> None:
    (found,) = diagnose.task(a_task(state=TaskState.FAILED, reason=reason), facts(), last_line="")

    assert "unknown" not in found.says
    assert "it wrote nothing" in found.says
