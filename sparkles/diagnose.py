"""Diagnose: how a job or a task stands in, why it stands there and what to do about it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sparkles import lifecycle
from sparkles.model import OPEN, Cluster, Job, JobState, Node, NodeState, Reason, Sample, Task, TaskState
from sparkles.quantities import clock, counted, human_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is so, and what to do about it."""

    says: str
    #: Empty if nothing has to be done.
    do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of a job at one moment."""

    job: Job
    counts: Mapping[TaskState, int]
    #: Seconds, the time of day.
    now: float
    cluster: Cluster | None = None
    #: Those of the job's cluster that are not gone.
    nodes: Sequence[Node] = ()
    #: Names of nodes whose worker is dead or hung.
    silent: frozenset[str] = frozenset()
    #: Nodes without a record: asked for, and made.
    submitted: int = 0
    staging: int = 0
    #: Seconds, the time of day: when nodes were asked for the last time.
    asked: float | None = None
    #: Why nodes do not come; each says what to do about it, too.
    troubles: Sequence[str] = ()
    #: What the job waits for, in words; None if it does not.
    waits: str | None = None
    #: Why its nodes are not started from here; None if they are.
    elsewhere: str | None = None
    #: The most nodes that there can be, whatever the manifest says; None if that decides.
    most_nodes: int | None = None


def job(facts: Facts) -> Sequence[Finding]:
    """Return how a job stands, the weightiest first."""
    found = facts.job
    if facts.waits:
        return [Finding(says=facts.waits)]
    if found.applying and lifecycle.is_cut_off(found, now=facts.now):
        return [Finding(says="it is half applied: its last sub or apply was cut off", do="run that again")]
    if any(facts.counts.get(state) for state in OPEN):
        return [Finding(says=_standing(facts)), *_staffed(facts)]
    return [_ended(facts)]


def task(one: Task, facts: Facts, *, last_line: str) -> Sequence[Finding]:
    """Return how a task stands; of one that waits for a node also what keeps its job's nodes.

    `last_line` is the end of what it wrote.
    """
    if one.state is TaskState.PENDING:
        return [Finding(says=f"it is pending{_since(one, facts)}{_history(one, facts)}"), *_staffed(facts)]
    if one.state is TaskState.CLAIMED:
        return [_held(one, facts)]
    if one.state is TaskState.SUCCEEDED:
        return [Finding(says=f"it succeeded{_history(one, facts)}")]
    if one.state is TaskState.KILLED:
        return [Finding(says="it was killed", do=f"'sparkles retry {one.id}' runs it again")]
    return [_failed(one, facts, last_line)]


def _standing(facts: Facts) -> str:
    told = [f"{counted(facts.counts[state], 'task')} {state.value}" for state in TaskState if facts.counts.get(state)]
    return f"it is {facts.job.state.value}: {', '.join(told)}; submitted {_ago(facts.job.submitted, facts)}"


def _ago(moment: float, facts: Facts) -> str:
    return f"{clock(max(0.0, facts.now - moment))} ago"


def _since(one: Task, facts: Facts) -> str:
    """Say since when a task has been pending, if that is known: not once it was kept by a later apply, or held."""
    is_as_submitted = one.generation == facts.job.generation and not (one.attempts or one.losses)
    return f" since {clock(max(0.0, facts.now - facts.job.submitted))}" if is_as_submitted else ""


def _ended(facts: Facts) -> Finding:
    name, counts = facts.job.name, facts.counts
    if lifecycle.has_succeeded(facts.job, counts):
        return Finding(says=f"it has ended: {_all(counts)} succeeded")
    again = f"'sparkles retry {name}' runs them again"
    if failed := counts.get(TaskState.FAILED, 0):
        see = f"'sparkles list {name} --filter state=failed' shows them, 'sparkles why {name}.N' what became of one"
        return Finding(says=f"it has ended: {failed} of {_all(counts)} failed", do=f"{see}; {again}")
    if facts.job.state is JobState.KILLED and not sum(counts.values()):
        return Finding(says="it was killed before it had tasks", do=f"'sparkles retry {name}' lets it wait again")
    if facts.job.state is JobState.KILLED or counts.get(TaskState.KILLED):
        return Finding(says=f"it was killed: {counts.get(TaskState.KILLED, 0)} of {_all(counts)}", do=again)
    return Finding(says="it has no tasks", do="run its sub or apply again")


def _all(counts: Mapping[TaskState, int]) -> str:
    return counted(sum(counts.values()), "task")


def _staffed(facts: Facts) -> Iterator[Finding]:
    """Say what keeps pending tasks from being taken."""
    if not facts.counts.get(TaskState.PENDING):
        return
    yield from (Finding(says=trouble) for trouble in facts.troubles)
    yield from _starting(facts)
    if silent := len(facts.silent):
        yield Finding(
            says=f"{counted(silent, 'node')} fell silent; what they ran is given to others",
            do=f"'sparkles watch {facts.job.name}' sees to that at once",
        )
    yield from _limits(facts) if _working(facts) else _unstaffed(facts)


def _starting(facts: Facts) -> Iterator[Finding]:
    """Say of nodes that have not taken a task yet how long that has been so."""
    asked = "" if facts.asked is None else f"; nodes were last asked for {_ago(facts.asked, facts)}"
    if facts.submitted:
        yield Finding(says=f"{counted(facts.submitted, 'node')} asked for, and not made yet{asked}")
    if facts.staging:
        yield Finding(says=f"{counted(facts.staging, 'node')} starting: made, and yet to report{asked}")
    for node in facts.nodes:
        is_new = node.state is NodeState.STARTING or (node.state is NodeState.ALIVE and not node.worked)
        if is_new and node.name not in facts.silent:
            took = ", ".join(f"{phase} {seconds:.0f} s" for phase, seconds in node.phases.items())
            since = clock(max(0.0, facts.now - node.created))
            yield Finding(says=f"node {node.instance or node.name} is starting since {since}{took and f' ({took})'}")


def _working(facts: Facts) -> int:
    """Return how many nodes have taken tasks and go on doing so."""
    return sum(node.worked and node.state is NodeState.ALIVE and node.name not in facts.silent for node in facts.nodes)


def _unstaffed(facts: Facts) -> Iterator[Finding]:
    if lifecycle.standing(facts.nodes):
        return
    if facts.submitted or facts.staging or facts.troubles:
        return
    if facts.elsewhere:
        yield Finding(says=f"no node is there: {facts.elsewhere}")
    else:
        yield Finding(says="no node is there", do=f"'sparkles watch {facts.job.name}' starts what is missing")


def _limits(facts: Facts) -> Iterator[Finding]:
    """Say what keeps a job with working nodes from having more."""
    found, working = facts.job, _working(facts)
    slots = facts.cluster.slots if facts.cluster else 1
    busy = f"{counted(working, 'node')} at work, {counted(slots, 'task')} at a time each"
    if facts.most_nodes is not None and facts.most_nodes <= working:
        yield Finding(says=f"{busy}; there are no more here", do="more slots (--slots) run more tasks at once")
    elif found.scaled and found.scaled < found.max_nodes:
        yield Finding(
            says=f"{busy}; sparkles scale lets it have {found.scaled} at most, its manifest {found.max_nodes}",
            do=f"'sparkles scale {found.name} {found.max_nodes}' lets it have them again",
        )
    elif lifecycle.nodes_wanted_by(found) <= working:
        yield Finding(
            says=f"{busy}; nodes.max lets it have no more",
            do=f"'sparkles scale {found.name} N' lets it have N nodes",
        )
    else:
        yield Finding(says=busy)


def _history(one: Task, facts: Facts) -> str:
    """Return what became of a task so far."""
    told = [f"tried {counted(one.attempts, 'time')}"] if one.attempts > 1 or one.state is TaskState.PENDING else []
    if not one.attempts:  # a try that was cut short by the end of a spot node counts for nothing
        return ", and no try of it has ended yet" if one.state is TaskState.PENDING else ""
    if one.failures:
        told.append(f"failed {counted(one.failures, 'time')}")
    if one.losses:
        told.append(f"lost its node {counted(one.losses, 'time')}")
    if one.reason and one.state is TaskState.PENDING:
        ago = "" if one.ended is None else f" {_ago(one.ended, facts)}"
        told.append(f"the last one ended{ago} by {_how(one)}")
    return f" ({', '.join(told)})" if told else ""


def _held(one: Task, facts: Facts) -> Finding:
    where = f"on node {one.node}"
    if one.node in facts.silent:
        return Finding(
            says=f"its node {one.node} fell silent; the task is given to another",
            do=f"'sparkles watch {one.job}' sees to that at once",
        )
    if one.stop:
        return Finding(says=f"it is being stopped ({one.stop.value}) {where}")
    sample = next((node.samples.get(one.claim or "") for node in facts.nodes if node.name == one.node), None)
    doing = f"it runs {where}: {_use(sample)}" if sample else f"it is {where}, and may still be fetching what it needs"
    return Finding(says=f"{doing}{_history(one, facts)}", do=f"'sparkles logs -f {one.id}' shows what it writes")


def _use(sample: Sample) -> str:
    processes = f"{sample.processes} {'process' if sample.processes == 1 else 'processes'}"
    return f"{processes}, {human_bytes(sample.total)}"


def _failed(one: Task, facts: Facts, last_line: str) -> Finding:
    wrote = f"; it last wrote: {last_line.strip()}" if last_line.strip() else "; it wrote nothing"
    do = _CURES.get((one.reason, one.exit)) or _CURES.get((one.reason, None), "")
    see = f"'sparkles logs {one.id}' shows all that it wrote; 'sparkles retry {one.id}' runs it again"
    return Finding(says=f"it failed: {_how(one)}{wrote}{_history(one, facts)}", do=f"{do}; {see}" if do else see)


def _how(one: Task) -> str:
    words = _WORDS.get((one.reason, one.exit)) or _WORDS.get((one.reason, None)) or "for an unknown reason"
    return words.format(exit=one.exit, losses=one.losses)


#: (reason, exit code; None for any) → how an attempt ended.
_WORDS: Mapping[tuple[Reason | None, int | None], str] = {
    (Reason.EXIT, None): "exit code {exit}",
    (Reason.EXIT, 126): "exit code 126, the command cannot be executed",
    (Reason.EXIT, 127): "exit code 127, there is no such command",
    (Reason.EXIT, 137): "exit code 137, it was ended with SIGKILL",
    (Reason.EXIT, 139): "exit code 139, it reached for memory that is not its own (SIGSEGV)",
    (Reason.TIMEOUT, None): "it took longer than its timeout",
    (Reason.OUT_OF_MEMORY, None): "it needed more memory than it may use",
    (Reason.PREEMPTED, None): "Google took its node away",
    (Reason.NODE_LOST, None): "its node died under it {losses} times",
    (Reason.NODE_LIMIT, None): "its node had come to the end of its life",
    (Reason.KILLED, None): "it was killed",
    (Reason.UPLOAD, None): "its result could not be stored",
}

#: And what to do about it.
_CURES: Mapping[tuple[Reason | None, int | None], str] = {
    (Reason.EXIT, 126): "make the file executable (chmod +x) and give it a first line such as #!/bin/sh; a program for "
    "another processor cannot be executed either",
    (Reason.EXIT, 127): "check how the command is spelled, that the image has it, and that files of yours are uploaded "
    "(-u) and named as ./FILE",
    (Reason.EXIT, 137): "it may have run out of memory: give it more (--memory, or a larger machine type with -m)",
    (Reason.TIMEOUT, None): "raise --timeout, or make the task smaller",
    (Reason.OUT_OF_MEMORY, None): "give it more (--memory, or a larger machine type with -m), or run fewer at once "
    "(--slots)",
    (Reason.NODE_LOST, None): "it may be what kills its nodes, by using up their memory or disk: give it a larger "
    "machine type (-m) or disk",
    (Reason.NODE_LIMIT, None): "raise nodes.maxLife, or make the task smaller",
    (Reason.UPLOAD, None): "check that the bucket can be written to",
}
