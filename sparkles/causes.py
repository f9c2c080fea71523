"""Causes: tasks that failed or were killed in, why they did out: each cause once, with how many tasks had it. Pure.

Tasks have the same cause if their last attempts ended in the same way, with the same exit code and a last line of the
same shape (see `folding`). What they wrote does not matter where they were stopped: there the stop is the cause.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sparkles.folding import VARIOUS, Folded, fold, literally, pattern, pieces, unfold
from sparkles.model import Reason, Task, TaskState

#: Causes that are told of a job, if nobody asks for more.
TOLD = 15

#: Shapes of last lines that are told apart, of tasks that ended in one way: there may be a million tasks.
_SHAPES = 1000

#: Here what a task wrote last tells what was wrong.
_TELLING = frozenset({Reason.EXIT, Reason.UPLOAD, None})

#: Characters of a pattern that somebody may still want to copy.
_LONGEST = 300

#: What is hard to quote for a shell.
_AWKWARD = re.compile("['\"`\\\\$!\u2018\u2019\u201c\u201d]")

#: Stand at the edges of pieces, and tell nothing.
_EDGES = " :;,.-()[]{}<>=#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why some tasks failed, or were killed."""

    count: int
    state: TaskState
    reason: Reason | None
    #: None where it does not matter.
    exit: int | None
    #: What they wrote last, with a name for what differs; of killed ones who did it. Empty where neither is known.
    words: str
    #: The first of the tasks.
    example: Task
    #: Expressions for `list` and `retry` that are true of these tasks, and of no others of the job.
    filters: Sequence[str]


@dataclass(frozen=True, slots=True)
class Causes:
    """Why the tasks of a job failed or were killed."""

    #: The most frequent first.
    told: Sequence[Cause] = ()
    #: Causes that are not told, and how many tasks had one of them.
    more: int = 0
    rest: int = 0


#: Of a job of which nothing has failed.
NONE = Causes()


class _Way(NamedTuple):
    """The way in which an attempt ended."""

    state: TaskState
    reason: Reason | None
    exit: int | None


class _Group:
    """Tasks that have a cause in common."""

    __slots__ = ("count", "example", "parts", "shape", "way")

    def __init__(self, way: _Way, said: Folded, example: Task) -> None:
        self.way = way
        self.shape = said.shape
        self.example = example
        #: What stands in the places of the shape; None where that differs.
        self.parts: Sequence[str | None] = said.parts
        self.count = 0

    def add(self, said: Folded) -> None:
        self.count += 1
        if said.parts != self.parts:
            self.parts = [one if one == other else None for one, other in zip(self.parts, said.parts, strict=True)]


def of(tasks: Iterable[Task], *, most: int = TOLD) -> Causes:
    """Return why tasks failed or were killed, those of them that were or did; up to `most` causes are told."""
    ways: dict[_Way, dict[str, _Group]] = defaultdict(dict)
    reasons: dict[int | None, set[Reason | None]] = defaultdict(set)
    for task in tasks:
        if task.state in (TaskState.FAILED, TaskState.KILLED):
            _add(task, ways)
            reasons[task.exit].add(task.reason)
    groups = sorted(
        (group for shapes in ways.values() for group in shapes.values()),
        key=lambda group: (-group.count, group.example.index),
    )
    told = [_cause(group, ways[group.way].values(), reasons[group.way.exit]) for group in groups[:most]]
    return Causes(told, more=len(groups[most:]), rest=sum(group.count for group in groups[most:]))


def _add(task: Task, ways: dict[_Way, dict[str, _Group]]) -> None:
    way = _way(task)
    shapes, said = ways[way], _said(task)
    if said.shape not in shapes:
        if len(shapes) >= _SHAPES:
            said = VARIOUS
        shapes.setdefault(said.shape, _Group(way, said, task))
    shapes[said.shape].add(said)


def _way(task: Task) -> _Way:
    tells = task.state is TaskState.FAILED and task.reason in _TELLING
    return _Way(task.state, task.reason, task.exit if tells else None)


def _said(task: Task) -> Folded:
    """Return what tells a task from others that ended in the same way."""
    if task.state is TaskState.KILLED:
        return Folded(task.killed_by or "")
    if task.reason not in _TELLING or not task.said:
        return Folded("")
    return fold(task.said, json.loads(task.row))


def _cause(group: _Group, among: Iterable[_Group], reasons: Collection[Reason | None]) -> Cause:
    others = [other for other in among if other is not group]
    return Cause(
        count=group.count,
        state=group.way.state,
        reason=group.way.reason,
        exit=group.way.exit,
        words=unfold(group.shape, group.parts),
        example=group.example,
        filters=[f"state={group.way.state.value}", *_filters(group, others, reasons)],
    )


def _filters(group: _Group, others: Sequence[_Group], reasons: Collection[Reason | None]) -> Iterator[str]:
    """Yield as few expressions as tell tasks from `others`, which ended in the same way, and from all the rest.

    `reasons` are those of all tasks that have their exit code.
    """
    way = group.way
    if way.state is TaskState.KILLED:
        yield from [f"killedBy={group.shape}"] if others else []
        return
    if way.reason and (way.exit is None or len(reasons) > 1 or way.reason is not Reason.EXIT):
        yield f"reason={way.reason.value}"
    if way.exit is not None:
        yield f"exit={way.exit}"
    if others and group.shape != VARIOUS.shape:
        yield f"said ~ {_pattern(group, others)}" if group.shape else "said="


def _pattern(group: _Group, others: Sequence[_Group]) -> str:
    """Return a pattern for what these tasks said and `others` did not: a plain piece of it, if there is such a one."""
    for piece in sorted(_plain_pieces(group.shape), key=len, reverse=True):
        if not any(piece in other.shape or piece in (other.example.said or "") for other in others):
            return literally(piece)
    return _apart(pattern(group.shape, group.parts), group, others)


def _apart(found: str, group: _Group, others: Sequence[_Group]) -> str:
    """Return a pattern of whole lines without the lines of `others` that it finds, too, as `^.+$` finds all.

    Those stay of which the pattern would take lines of the group along, and all where nobody could copy the result.
    """
    lines = (pattern(other.shape, other.parts) for other in others if _finds(found, other))
    but = "|".join(line.removeprefix("^") for line in lines if not _finds(line, group))
    return f"^(?!{but}){found.removeprefix('^')}" if 0 < len(but) <= _LONGEST else found


def _finds(text: str, group: _Group) -> bool:
    return re.search(text, group.example.said or "") is not None


def _plain_pieces(shape: str) -> Iterator[str]:
    for piece in pieces(shape):
        yield from filter(None, (part.strip(_EDGES) for part in _AWKWARD.split(piece)))
