"""Lifecycle: every rule about what may become of a job or a task. Pure; time and tokens are arguments.

The tables below are their whole state machine: a move that they do not name cannot happen. That of nodes is in
`presence`. Both databases run these functions inside their `change`, so a rule is written once and holds everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from sparkles.errors import MoveError
from sparkles.model import (
    LEFT_OUT,
    Canary,
    Cluster,
    Job,
    JobState,
    Node,
    Past,
    Reason,
    Stop,
    Task,
    TaskState,
    Waiting,
)

#: Times that a task may lose its node before it is taken for the cause of it: spot nodes are taken away for others.
LOSS_LIMIT, SPOT_LOSS_LIMIT = 3, 10

#: Attempts that are remembered of a task beside its last one.
HISTORY = 10

TASK_MOVES: Mapping[str, Mapping[TaskState, TaskState]] = {
    "claim": {TaskState.PENDING: TaskState.CLAIMED},
    "requeue": {TaskState.CLAIMED: TaskState.PENDING},
    "succeed": {TaskState.CLAIMED: TaskState.SUCCEEDED},
    "fail": {TaskState.CLAIMED: TaskState.FAILED},
    "kill": {TaskState.PENDING: TaskState.KILLED, TaskState.CLAIMED: TaskState.KILLED},
    "rerun": {
        TaskState.PENDING: TaskState.PENDING,
        TaskState.SUCCEEDED: TaskState.PENDING,
        TaskState.FAILED: TaskState.PENDING,
        TaskState.KILLED: TaskState.PENDING,
    },
}

JOB_MOVES: Mapping[str, Mapping[JobState, JobState]] = {
    "activate": dict.fromkeys(JobState, JobState.ACTIVE),
    "finish": {JobState.ACTIVE: JobState.FINISHED, JobState.KILLED: JobState.KILLED},
    "kill": {JobState.WAITING: JobState.KILLED, JobState.ACTIVE: JobState.KILLED},
    "wait": dict.fromkeys(JobState, JobState.WAITING),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """`retries` of the manifest."""

    limit: int = 0
    on: frozenset[Reason] = frozenset({Reason.EXIT, Reason.OUT_OF_MEMORY, Reason.TIMEOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one execution of a task ended."""

    claim: str
    #: The digest of the task as it was executed.
    digest: bytes
    reason: Reason
    #: None if nothing was executed.
    exit: int | None
    started: float
    ended: float
    peak_memory: int | None = None
    #: The last line that it wrote, if it did not succeed.
    said: str | None = None
    result_generation: str | None = None


def claim(task: Task, *, node: str, token: str) -> Task:
    """Give a pending task to a node."""
    return _move(task, "claim", node=node, claim=token)


def is_mine(task: Task | None, *, claim: str, digest: bytes) -> bool:
    """Say whether the holder of `claim`, who executed `digest`, may finish the task.

    Not if it is to run anew: the digest may be the same, but that run is not the one that was asked for.
    """
    if task is None or task.state is not TaskState.CLAIMED or task.stop is Stop.REPLACED:
        return False
    return task.claim == claim and task.digest == digest


def finish(task: Task, attempt: Attempt, retry: RetryPolicy) -> Task:
    """Take the end of an attempt into the task: succeeded, failed, killed, or once more."""
    ended: dict[str, Any] = {
        "attempts": task.attempts + 1,
        "exit": attempt.exit,
        "reason": attempt.reason,
        "started": attempt.started,
        "ended": attempt.ended,
        "said": attempt.said,
        "peak_memory": attempt.peak_memory,
    }
    killed_by = task.killed_by if attempt.reason is Reason.KILLED else None
    done = {**ended, "stop": None, "killed_by": killed_by, "result_generation": attempt.result_generation}
    if attempt.reason is Reason.EXIT and attempt.exit == 0:
        return _move(task, "succeed", **done)
    if attempt.reason is Reason.KILLED:
        return _move(task, "kill", **done)
    if task.stop is None and attempt.reason in retry.on and task.failures < retry.limit:
        history = _remembered(task, reason=attempt.reason, exit=attempt.exit, started=attempt.started,
                              ended=attempt.ended, said=attempt.said)  # fmt: skip
        return _release(replace(task, **ended, failures=task.failures + 1, history=history), now=attempt.ended)
    return _move(task, "fail", **done)


def give_back(
    task: Task, *, now: float, lost: bool = False, limit: int = LOSS_LIMIT, reason: Reason | None = None
) -> Task:
    """Take a claimed task from its node, free of charge unless the node was `lost` while it ran.

    One that was to be killed is; one that has lost its node as often as the `limit` fails. `reason`: why it was
    stopped, if it had begun.
    """
    task = replace(task, attempts=task.attempts + lost)
    ended: dict[str, Any] = {"exit": None, "ended": now, "said": None}
    if task.stop is Stop.KILLED:
        return _move(task, "kill", **ended, stop=None, reason=Reason.KILLED, result_generation=None)
    losses = task.losses + lost
    if lost and losses >= limit:
        lost_it: dict[str, Any] = {"losses": losses, "reason": Reason.NODE_LOST, "result_generation": None}
        return _move(task, "fail", **ended, **lost_it, stop=None)
    why = Reason.NODE_LOST if lost else reason
    if why and task.stop is None:
        task = replace(task, history=_remembered(task, reason=why, ended=now))
    if reason and task.stop is None:
        task = replace(task, reason=reason, exit=None)
    return _release(replace(task, losses=losses), now=now)


def _release(task: Task, *, now: float) -> Task:
    return _move(task, "requeue", node=None, claim=None, stop=None, queued=now)


def _remembered(task: Task, *, reason: Reason, ended: float, **more: Any) -> tuple[Past, ...]:
    """Return the history of a task with the attempt that ends now."""
    past = Past(claim=task.claim or "", node=task.node or "", reason=reason, ended=ended, **more)
    return (*task.history, past)[-HISTORY:]


def kill(task: Task, *, now: float, by: str | None = None) -> Task:
    """Ask for the end of a task: at once if nobody holds it, else its holder is told to stop. `by`: who asks.

    One whose holder has stopped it already, since it heard of it elsewhere, is told who.
    """
    if task.state is TaskState.PENDING:
        return _move(task, "kill", reason=Reason.KILLED, exit=None, ended=now, result_generation=None, killed_by=by)
    if task.state is TaskState.CLAIMED:
        return replace(task, stop=Stop.KILLED, killed_by=by)
    if task.state is TaskState.KILLED and task.killed_by is None:  # its node heard of the job's end before it was told
        return replace(task, killed_by=by)
    return task


def renew(task: Task, *, row: str, digest: bytes, generation: int, cluster: str, now: float) -> Task:
    """Make an existing task run (again) as the new generation defines it.

    A final task keeps its result until the new one commits. A claimed one is stopped; its holder gives it back.
    """
    anew: dict[str, Any] = {
        "row": row, "digest": digest, "generation": generation, "cluster": cluster, "losses": 0, "failures": 0,
        "history": (), "killed_by": None,
    }  # fmt: skip
    if task.state is TaskState.CLAIMED:
        return replace(task, **anew, stop=Stop.REPLACED)
    fresh: dict[str, Any] = {"attempts": 0, "queued": now, "node": None, "claim": None}
    return _move(task, "rerun", **anew, **fresh, exit=None, reason=None, said=None)


def record(task: Task, *, row: str) -> Task:
    """Record the parameters of a task anew, none of which changes what it computes."""
    return replace(task, row=row)


def finish_job(job: Job, *, now: float) -> Job:
    """End a job whose tasks have all ended."""
    return replace(_move_job(job, "finish"), ended=now)


def may_finish(job: Job) -> bool:
    """Say whether a job without open tasks may end: nobody is adding tasks, and it has not ended yet."""
    return job.applying is None and job.ended is None and job.state in (JobState.ACTIVE, JobState.KILLED)


def is_being_killed(job: Job) -> bool:
    """Say whether a job was killed, and tasks of it may not have been told yet."""
    return job.state is JobState.KILLED and job.ended is None and job.applying is None


def kill_job(job: Job, *, by: str | None = None) -> Job:
    """Mark a job as killed, `by` whom; it ends when its tasks have. An apply that is under way may add no more."""
    if job.applying:  # it has begun anew, although it may still say that it has ended
        job = replace(_move_job(job, "activate"), ended=None)
    job = replace(job, applying=None, waiting=None)
    return replace(_move_job(job, "kill"), killed_by=by) if job.state in JOB_MOVES["kill"] else job


def leave_out(job: Job) -> Job:
    """End the wait of a job that is no part of its whole any more."""
    return kill_job(job, by=LEFT_OUT) if job.state is JobState.WAITING else job


def activate(
    job: Job,
    *,
    generation: int,
    cluster: str,
    last_index: int,
    max_nodes: int,
    scaled: int | None,
    waiting: Waiting | None = None,
    canary: Canary | None = None,
    failed_before: int = 0,
) -> Job:
    """Complete an apply: the job is at `generation` from now on; it waits if there is something to wait for."""
    return replace(
        _move_job(job, "wait" if waiting else "activate"),
        generation=generation,
        max_nodes=max_nodes,
        scaled=scaled,
        cluster=cluster,
        last_index=last_index,
        applying=None,
        ended=None,
        waiting=waiting,
        canary=canary,
        failed_before=failed_before,
        killed_by=None,
    )


def scale(job: Job, nodes: int) -> Job:
    """Let at most this many nodes serve the job, whatever its manifest says."""
    return replace(job, scaled=nodes if nodes != job.max_nodes else None)


def nodes_wanted_by(job: Job) -> int:
    """Return the most nodes that may serve a job."""
    return job.scaled or job.max_nodes


def blocked(job: Job, *, problem: str, tried: str) -> Job:
    """Note why a waiting job cannot begin although what it needs is done, as it was when that was `tried`."""
    assert job.waiting is not None
    return replace(job, waiting=replace(job.waiting, problem=problem, tried=tried))


def has_succeeded(job: Job, counts: Mapping[TaskState, int]) -> bool:
    """Say whether a job that has ended, with so many tasks in each state, is what was wanted."""
    return job.state is not JobState.KILLED and job.canary is None and set(counts) == {TaskState.SUCCEEDED}


class Need(str, Enum):
    """How a job that others need stands."""

    #: All its tasks have succeeded.
    MET = "met"
    #: It has not ended.
    OPEN = "open"
    #: It has ended, and not well: somebody has to do something.
    FAILED = "failed"
    #: There is no such job.
    MISSING = "missing"


def need_of(job: Job | None, counts: Mapping[TaskState, int]) -> Need:
    """Return how a job, with so many tasks in each state, stands for those that need it."""
    if job is None:
        return Need.MISSING
    if job.applying or job.state in (JobState.WAITING, JobState.ACTIVE) or job.ended is None:
        return Need.OPEN
    return Need.MET if has_succeeded(job, counts) else Need.FAILED


def loss_limit(node: Node) -> int:
    """Return how often a task may lose a node like this one."""
    return SPOT_LOSS_LIMIT if node.spot else LOSS_LIMIT


def bump(cluster: Cluster) -> Cluster:
    """Make the nodes of a cluster look at it."""
    return replace(cluster, epoch=cluster.epoch + 1)


def forgotten(task: Task) -> int:
    """Return how many attempts a task had before those of its history: all are numbered from the first one on."""
    return max(0, task.attempts - task.state.is_final - len(task.history))


def seconds(task: Task) -> float | None:
    """Return how long the last attempt of a task took; None while it has not ended."""
    if task.started is None or task.ended is None or not task.state.is_final:
        return None
    return round(task.ended - task.started, 3)


def waited(task: Task) -> float | None:
    """Return how long a task waited for the node of its last attempt; None while that has not ended."""
    if task.queued is None or task.started is None or task.node is None or not task.state.is_final:
        return None
    return max(0.0, round(task.started - task.queued, 3))  # the two clocks may be of different machines


def _move(task: Task, move: str, **changes: Any) -> Task:
    try:
        state = TASK_MOVES[move][task.state]
    except KeyError:
        raise MoveError(f"task {task.id}: no move {move!r} from {task.state.value}") from None
    return replace(task, state=state, **changes)


def _move_job(job: Job, move: str) -> Job:
    try:
        return replace(job, state=JOB_MOVES[move][job.state])
    except KeyError:
        raise MoveError(f"job {job.name}: no move {move!r} from {job.state.value}") from None
