"""Tasks: how a task stands, what became of its attempts, and what mends what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sparkles import lifecycle
from sparkles.diagnose import cures
from sparkles.diagnose.facts import Facts, Finding
from sparkles.diagnose.jobs import staffed
from sparkles.model import Past, Reason, Sample, Stop, Task, TaskState
from sparkles.quantities import clock, counted, human_bytes

#: A task is slow that takes so many times as long as most, and so many seconds longer.
_SLOW, _SLOW_SECONDS = 3.0, 60.0

#: Part of the memory that a task may use, from which on it is said that it may end by that.
_NEAR = 0.9


def task(one: Task, facts: Facts, *, last_line: str) -> Sequence[Finding]:
    """Return how a task stands; of one that waits for a node also what keeps its job's nodes.

    `last_line` is the end of what it wrote.
    """
    match one.state:
        case TaskState.PENDING:
            found = [_pending(one, facts), *staffed(facts)]
        case TaskState.CLAIMED:
            found = list(_held(one, facts))
        case TaskState.SUCCEEDED:
            found = [Finding(says=f"it succeeded{_tries(one)}")]
        case TaskState.KILLED:
            found = [_killed(one, facts)]
        case TaskState.FAILED:
            found = list(_failed(one, facts, last_line))
    return [*found, *_past(one, facts)]


def _pending(one: Task, facts: Facts) -> Finding:
    since = "" if one.queued is None else f" since {clock(max(0.0, facts.now - one.queued))}"
    none_yet = "" if one.history or one.attempts else ", and no attempt of it has ended yet"
    return Finding(says=f"it is pending{since}{none_yet}{_tries(one)}")


def _tries(one: Task) -> str:
    """Return how often a task was tried, if that is worth a word."""
    told = [f"tried {counted(one.attempts, 'time')}"] if one.attempts > 1 or (one.attempts and one.history) else []
    told += [f"failed {counted(one.failures, 'time')}"] if one.failures else []
    told += [f"lost its node {counted(one.losses, 'time')}"] if one.losses else []
    return f" ({', '.join(told)})" if told else ""


def _past(one: Task, facts: Facts) -> Iterator[Finding]:
    """Say of each attempt before the last how it ended."""
    for number, past in enumerate(one.history, start=lifecycle.forgotten(one) + 1):
        node = f" on node {past.node}" if past.node else ""
        yield Finding(
            says=f"attempt {number}{node} ended {facts.ago(past.ended)}: {_ending(past)}",
            commands=[f"sparkles logs {one.id} --attempt {number}"],
        )


def _ending(past: Past) -> str:
    wrote = f"; it last wrote: {past.said}" if past.said else ""
    return f"{cures.at_length(past.reason, past.exit)}{wrote}"


def _held(one: Task, facts: Facts) -> Iterator[Finding]:
    if one.node in facts.silent:
        yield Finding(
            says=f"its node {one.node} fell silent; the task is given to another",
            do=f"'sparkles watch {one.job}' sees to that at once",
        )
        return
    if one.stop:
        by = f" by {one.killed_by}" if one.stop is Stop.KILLED and one.killed_by else ""
        yield Finding(says=f"it is being stopped ({one.stop.value}{by}) on node {one.node}")
        return
    sample = next((node.samples.get(one.claim or "") for node in facts.nodes if node.name == one.node), None)
    doing = f"runs on node {one.node}: {_use(sample)}" if sample else f"is on node {one.node}, {_NOT_SEEN}"
    yield Finding(says=f"it {doing}{_tries(one)}", commands=[f"sparkles logs -f {one.id}"])
    if sample:
        yield from _slow(one, sample, facts)
        yield from _near_limit(sample.resident, facts, "its processes have")


#: Of a command that nothing has been measured of.
_NOT_SEEN = "and may still be fetching what it needs"


def _use(sample: Sample) -> str:
    processes = f"{sample.processes} {'process' if sample.processes == 1 else 'processes'}"
    return f"{processes}, {human_bytes(sample.total)}" + (f", for {clock(sample.seconds)}" if sample.seconds else "")


def _slow(one: Task, sample: Sample, facts: Facts) -> Iterator[Finding]:
    usual = facts.usual
    if usual is None or sample.seconds < max(_SLOW * usual, usual + _SLOW_SECONDS):
        return
    yield Finding(
        says=f"it is slow: it has run for {clock(sample.seconds)}, where most of the others took {clock(usual)}",
        do="look whether it still writes something; if it hangs, kill it and run it again, and set a --timeout",
        commands=[f"sparkles kill {one.id}", f"sparkles retry {one.id}"],
    )


def _near_limit(used: int | None, facts: Facts, who: str) -> Iterator[Finding]:
    if used and facts.memory and used >= _NEAR * facts.memory:
        yield Finding(
            says=f"{who} {human_bytes(used)} of the {human_bytes(facts.memory)} of memory that it may use",
            do="with more it is ended, as out-of-memory: give it more with --memory",
        )


def _killed(one: Task, facts: Facts) -> Finding:
    by = f" by {one.killed_by}" if one.killed_by else ""
    ago = "" if one.ended is None else f" {facts.ago(one.ended)}"
    how = f" on node {one.node}" if one.node else ", before it ran"
    return Finding(says=f"it was killed{by}{ago}{how}", commands=[f"sparkles retry {one.id}"])


def _failed(one: Task, facts: Facts, last_line: str) -> Iterator[Finding]:
    words = last_line.strip()
    times = f" {counted(one.losses, 'time')}" if one.reason is Reason.NODE_LOST else ""
    wrote = f"it last wrote: {words}" if words else "it wrote nothing"
    found = cures.cure(one.reason, one.exit, words)
    yield Finding(
        says=f"it failed: {cures.at_length(one.reason, one.exit)}{times}; {wrote}{_tries(one)}",
        do=found.do if found and not found.says else "",
        commands=[f"sparkles logs {one.id}", f"sparkles retry {one.id}"],
    )
    if found and found.says:
        yield Finding(says=found.says, do=found.do)
    if one.reason is Reason.EXIT:
        yield from _near_limit(one.peak_memory, facts, "its largest process had")
