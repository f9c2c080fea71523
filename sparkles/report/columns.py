"""Columns: the tasks of a job as the page's script reads them: a list for each field, times counted from one moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sparkles.model import Task, TaskState
from sparkles.report import texts
from sparkles.report.lanes import Lane, Span, lanes
from sparkles.report.subject import Subject

#: The letter that stands for a state, and the one for an attempt that was not the last of its task.
LETTERS = {
    TaskState.PENDING: "p", TaskState.CLAIMED: "c", TaskState.SUCCEEDED: "s", TaskState.FAILED: "f",
    TaskState.KILLED: "k",
}  # fmt: skip
EARLIER = "e"

#: Parameters that are shown.
MOST_PARAMETERS = 60


def spans(tasks: Sequence[Task], *, now: float) -> Iterator[Span]:
    """Yield every attempt of which is known when it ran, and where."""
    for place, task in enumerate(tasks):
        for past in task.history:
            if past.started is not None and past.ended is not None and past.node:
                yield Span(past.started, past.ended, past.node, place, EARLIER)
        if task.started is not None and task.node and task.state is not TaskState.PENDING:
            end = task.ended if task.state.is_final and task.ended is not None else now
            yield Span(task.started, end, task.node, place, LETTERS[task.state])


def columns(subject: Subject, there: Sequence[Lane], *, now: float) -> dict[str, Any]:
    """Return the tasks as columns, and their attempts by lanes, as values that JSON has."""
    tasks, base = subject.tasks, subject.job.submitted
    return {
        "job": subject.job.name,
        "base": base,
        "now": _since(now, base),
        "index": [task.index for task in tasks],
        "state": "".join(LETTERS[task.state] for task in tasks),
        "reason": texts.column(task.reason.value if task.reason else None for task in tasks),
        "exit": [task.exit for task in tasks],
        "attempts": [task.attempts for task in tasks],
        "queued": [_since(task.queued, base) for task in tasks],
        "started": [_since(task.started, base) for task in tasks],
        "ended": [_since(task.ended, base) if task.state.is_final else None for task in tasks],
        "memory": [task.peak_memory for task in tasks],
        "node": texts.column(task.node for task in tasks),
        "said": texts.column(task.said for task in tasks),
        "params": _parameters(tasks),
        "fields": [{"name": name, **texts.column(values)} for name, values in subject.fields.items()],
        **_timeline(there, base),
    }


def _since(moment: float | None, base: float) -> float | None:
    return None if moment is None else round(moment - base, 3)


def _parameters(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    rows = [json.loads(task.row) for task in tasks]
    names = list(dict.fromkeys(name for row in rows for name in row))[:MOST_PARAMETERS]
    return [{"name": name, **texts.column(row.get(name) for row in rows)} for name in names]


def _timeline(there: Sequence[Lane], base: float) -> dict[str, Any]:
    """Return the nodes of the lanes, how many attempts each has, and these one after another."""
    attempts = [span for lane in there for span in lane.spans]
    return {
        "lanes": texts.column(lane.node for lane in there),
        "lane_sizes": [len(lane.spans) for lane in there],
        "span_task": [span.place for span in attempts],
        "span_start": [_since(span.start, base) for span in attempts],
        "span_end": [_since(span.end, base) for span in attempts],
        "span_kind": "".join(span.kind for span in attempts),
    }


def lanes_of(tasks: Sequence[Task], *, now: float) -> list[Lane]:
    """Return the lanes of all attempts of some tasks."""
    return lanes(spans(tasks, now=now))
