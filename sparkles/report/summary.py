"""Summary: did it work, how long did it take, what was used: the first screen of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from sparkles import guard_text
from sparkles.model import OPEN, Job, JobState, Task, TaskState
from sparkles.quantities import clock, duration, human_bytes
from sparkles.report.lanes import Lane
from sparkles.stats import Stats, stats_of

_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What there is to say of a job at one glance."""

    state: str
    #: `good`, `bad`, `busy` or `quiet`: how the verdict is coloured.
    tone: str
    verdict: str
    counts: Mapping[TaskState, int]
    total: int
    #: Label and value of each number.
    numbers: Sequence[tuple[str, str]]
    submitted: str
    ended: str | None


def summary(job: Job, tasks: Sequence[Task], there: Sequence[Lane], *, now: float) -> Summary:
    """Sum up a job."""
    counts = Counter(task.state for task in tasks)
    return Summary(
        state="applying" if job.applying else job.state.value,
        tone=_tone(job, counts),
        verdict=verdict(job, counts),
        counts={state: counts[state] for state in TaskState},
        total=len(tasks),
        numbers=list(_numbers(job, tasks, there, now=now)),
        submitted=iso(job.submitted),
        ended=None if job.is_open or job.ended is None else iso(job.ended),
    )


def iso(moment: float) -> str:
    """Return a wall clock time as HTML has it; the page's script shows it in the reader's time zone."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="seconds")


def _tone(job: Job, counts: Mapping[TaskState, int]) -> str:
    if counts.get(TaskState.FAILED) or counts.get(TaskState.KILLED) or job.state is JobState.KILLED:
        return "bad"
    if job.is_open:
        return "busy"
    return "good" if counts else "quiet"


def verdict(job: Job, counts: Mapping[TaskState, int]) -> str:
    """Say in one sentence how the job stands, and why not all of it has run if a guard sees to that."""
    guarded, stands = guard_text.words(job), _stands(job, counts)
    return f"{stands.removesuffix('.')}; {guarded}." if guarded else stands


def _stands(job: Job, counts: Mapping[TaskState, int]) -> str:
    total = sum(counts.values())
    if job.state is JobState.WAITING and job.waiting:
        return f"It waits for {', '.join(job.waiting.needs)}."
    if not total:
        return "It has no tasks."
    still_open = sum(counts.get(state, 0) for state in OPEN)
    bad = _bad(counts)
    if still_open:
        ended = f"{total - still_open:,} of {_tasks(total)} have ended"
        return f"{ended}; {' and '.join(bad)}." if bad else f"{ended}."
    if not bad:
        return "The task succeeded." if total == 1 else f"All {total:,} tasks succeeded."
    first, *rest = bad
    return f"{' and '.join([_of(first, total), *rest])}."


def _tasks(number: int) -> str:
    return "1 task" if number == 1 else f"{number:,} tasks"


def _bad(counts: Mapping[TaskState, int]) -> list[str]:
    failed, killed = counts.get(TaskState.FAILED, 0), counts.get(TaskState.KILLED, 0)
    words = [f"{failed:,} failed"] if failed else []
    return [*words, f"{killed:,} {'was' if killed == 1 else 'were'} killed"] if killed else words


def _of(words: str, total: int) -> str:
    """Say of how many tasks some words are true.

    >>> _of("3 failed", 10)
    '3 of 10 tasks failed'
    """
    number, _, fate = words.partition(" ")
    return f"{number} of {_tasks(total)} {fate}"


def _numbers(job: Job, tasks: Sequence[Task], there: Sequence[Lane], *, now: float) -> Iterable[tuple[str, str]]:
    ended = now if job.is_open or job.ended is None else job.ended
    yield "elapsed", clock(max(0.0, ended - job.submitted))
    if there:
        yield "node time", hours(_node_seconds(there))
        yield "task time", hours(sum(span.end - span.start for lane in there for span in lane.spans))
        yield "nodes", f"{len({lane.node for lane in there}):,}"
    yield from _measured(stats_of(task for task in tasks if task.state.is_final))
    again = sum(task.attempts > 1 for task in tasks)
    if again:
        yield "run more than once", _tasks(again)


def _measured(stats: Stats) -> Iterable[tuple[str, str]]:
    runs, waits, memory = (stats.measured[measure].quantiles for measure in ("seconds", "waited", "memory"))
    if runs:
        yield "run time, median", duration(runs["median"])
        yield "run time, longest", duration(runs["max"])
    if waits:
        yield "queue time, median", duration(waits["median"])
    if memory:
        yield "peak memory", human_bytes(int(memory["max"]))


def _node_seconds(there: Sequence[Lane]) -> float:
    """Return for how long nodes were held: each from its first task of this job to the end of its last."""
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for lane in there:
        first[lane.node] = min(first.get(lane.node, lane.spans[0].start), lane.spans[0].start)
        last[lane.node] = max(last.get(lane.node, 0.0), *(span.end for span in lane.spans))
    return sum(last[node] - first[node] for node in first)


def hours(seconds: float) -> str:
    """Return a time span in hours, as machines are paid; a short one as such.

    >>> hours(5400), hours(30)
    ('1.5 h', '30 s')
    """
    return duration(seconds) if seconds < _HOUR else f"{seconds / _HOUR:,.1f} h"
