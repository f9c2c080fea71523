"""Jobs: how a job stands, what keeps it from going on, and why its tasks failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sparkles import cause_text, guard_text, lifecycle, presence, takeover
from sparkles.causes import Cause
from sparkles.diagnose import cures
from sparkles.diagnose.facts import Facts, Finding
from sparkles.model import OPEN, JobState, NodeState, TaskState
from sparkles.quantities import clock, counted


def job(facts: Facts) -> Sequence[Finding]:
    """Return how a job stands, the weightiest first."""
    found = facts.job
    if facts.waits:
        return [Finding(says=facts.waits)]
    if found.applying and takeover.is_cut_off(found, now=facts.now):
        return [Finding(says="it is half applied: its last sub or apply was cut off", do="run that again")]
    if any(facts.counts.get(state) for state in OPEN):
        return [Finding(says=_standing(facts)), *_held_back(facts), *staffed(facts), *_caused(facts)]
    return _held_back(facts) or [*_guarded(facts), *_ended(facts), *_caused(facts)]


def _standing(facts: Facts) -> str:
    told = [f"{counted(facts.counts[state], 'task')} {state.value}" for state in TaskState if facts.counts.get(state)]
    return f"it is {facts.job.state.value}: {', '.join(told)}; submitted {facts.ago(facts.job.submitted)}"


def _held_back(facts: Facts) -> list[Finding]:
    held = guard_text.holds(facts.job)
    return [Finding(says=held)] if held else []


def _guarded(facts: Facts) -> list[Finding]:
    found = guard_text.ended(facts.job)
    return [Finding(says=found[0], do=found[1])] if found else []


def _ended(facts: Facts) -> Iterator[Finding]:
    name, counts = facts.job.name, facts.counts
    failed, killed = counts.get(TaskState.FAILED, 0), counts.get(TaskState.KILLED, 0)
    by = f" by {facts.job.killed_by}" if facts.job.killed_by and not facts.job.is_left_out else ""
    if lifecycle.has_succeeded(facts.job, counts):
        yield Finding(says=f"it has ended: {_all(counts)} succeeded")
    elif facts.job.is_left_out:
        says = f"it waited, and does not begin any more: it is no part of {facts.job.whole} now"
        yield Finding(says=says, do=f"'sparkles delete {name}' removes it, 'sparkles retry {name}' lets it wait again")
    elif failed:
        see = f"sparkles list {name} --filter state=failed"
        yield Finding(says=f"it has ended: {failed} of {_all(counts)} failed", commands=[see, f"sparkles retry {name}"])
    elif facts.job.state is JobState.KILLED and not sum(counts.values()):
        yield Finding(says=f"it was killed{by} before it had tasks", do=f"'sparkles retry {name}' lets it wait again")
    elif facts.job.state is JobState.KILLED:
        yield Finding(says=f"it was killed{by}: {killed} of {_all(counts)}", commands=[f"sparkles retry {name}"])
    elif killed:
        yield Finding(says=f"it has ended: {killed} of {_all(counts)} killed", commands=[f"sparkles retry {name}"])
    else:
        yield Finding(says="it has no tasks", do="run its sub or apply again")


def _caused(facts: Facts) -> Iterator[Finding]:
    """Say of each cause of failures what mends it. That a job was killed is said once."""
    is_said = facts.job.state is JobState.KILLED and not facts.counts.get(TaskState.FAILED)
    for cause in () if is_said else facts.causes.told:
        cure = cures.cure(cause.reason, cause.exit, cause.example.said or "")
        yield Finding(
            says="; ".join(filter(None, [_such_as(cause), cause_text.doubt(cause)])),
            do=": ".join(filter(None, cure)) if cure else "",
            commands=cause_text.commands(cause, facts.job.name),
        )
    if facts.causes.more:
        yield Finding(says=f"{counted(facts.causes.more, 'more cause')} with {counted(facts.causes.rest, 'task')}")


def _such_as(cause: Cause) -> str:
    return f"{cause_text.headline(cause)}, such as {cause.example.id}"


def _all(counts: Mapping[TaskState, int]) -> str:
    return counted(sum(counts.values()), "task")


def staffed(facts: Facts) -> Iterator[Finding]:
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
    asked = "" if facts.asked is None else f"; nodes were last asked for {facts.ago(facts.asked)}"
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
    if presence.standing(facts.nodes):
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
