"""Causes: tasks that failed or were killed in, why they did out: each cause once, with how many tasks had it. Pure.

Tasks have the same cause if their last attempts ended in the same way, with the same exit code and a last line of the
same shape (see `folding`). What they wrote does not matter where they were stopped: there the stop is the cause.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sparkles import telling
from sparkles.folding import VARIOUS, Folded, fold, unfold
from sparkles.model import Reason, Task, TaskState
from sparkles.telling import Kind, Lines

#: Causes that are told of a job, if nobody asks for more.
TOLD = 15

#: Shapes of last lines that are told apart, of tasks that ended in one way: there may be a million tasks.
_SHAPES = 1000

#: Here what a task wrote last tells what was wrong.
_TELLING = frozenset({Reason.EXIT, Reason.UPLOAD, None})

#: Kinds of tasks that filters are tried on.
_KINDS = 20_000


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
    #: Expressions for `list` and `retry` that are true of these tasks.
    filters: Sequence[str]
    #: Whether they are surely true of no others of the job.
    is_exact: bool = True


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

    __slots__ = ("count", "example", "lines", "way")

    def __init__(self, way: _Way, said: Folded, example: Task) -> None:
        self.way = way
        self.example = example
        self.lines = Lines(said.shape, said.parts)
        self.count = 0

    def add(self, said: Folded) -> None:
        self.count += 1
        known = self.lines.parts
        if said.parts != known:
            self.lines.parts = [one if one == other else None for one, other in zip(known, said.parts, strict=True)]


class _Groups:
    """All causes there are."""

    def __init__(self) -> None:
        self._ways: dict[_Way, dict[str, _Group]] = defaultdict(dict)
        self._kinds = 0
        #: Whether all kinds of tasks are known.
        self.are_complete = True

    def add(self, task: Task) -> None:
        way = _way(task)
        shapes, said = self._ways[way], _said(task)
        if said.shape not in shapes:
            if len(shapes) >= _SHAPES:
                said = VARIOUS
            shapes.setdefault(said.shape, _Group(way, said, task))
        shapes[said.shape].add(said)
        self._note(_kind(task, way), shapes[said.shape].lines.kinds)

    def _note(self, kind: Kind, kinds: set[Kind]) -> None:
        if kind in kinds:
            return
        if kinds and self._kinds >= _KINDS and (kind.said or kind.killedBy):  # of those without there are not many
            self.are_complete = False
            return
        kinds.add(kind)
        self._kinds += 1

    def by_count(self) -> list[_Group]:
        """Return the most frequent first."""
        found = (group for shapes in self._ways.values() for group in shapes.values())
        return sorted(found, key=lambda group: (-group.count, group.example.index))


def of(tasks: Iterable[Task], *, most: int = TOLD) -> Causes:
    """Return why tasks failed or were killed, those of them that were or did; up to `most` causes are told."""
    groups = _Groups()
    for task in tasks:
        if task.state in (TaskState.FAILED, TaskState.KILLED):
            groups.add(task)
    found = groups.by_count()
    told = [_cause(group, found, are_complete=groups.are_complete) for group in found[:most]]
    return Causes(told, more=len(found[most:]), rest=sum(group.count for group in found[most:]))


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


def _kind(task: Task, way: _Way) -> Kind:
    tells = way.state is TaskState.FAILED and way.reason in _TELLING
    reason = task.reason and task.reason.value
    return Kind(task.state.value, reason, task.exit, task.said if tells else None, task.killed_by)


def _cause(group: _Group, among: Iterable[_Group], *, are_complete: bool) -> Cause:
    others = [other.lines for other in among if other is not group]
    by_ending = list(_by_ending(group.way, others))
    near = telling.of_others(by_ending, others)
    more = list(_by_words(group, near)) if near else []
    texts = [*by_ending, *more]
    return Cause(
        count=group.count,
        state=group.way.state,
        reason=group.way.reason,
        exit=group.way.exit,
        words=unfold(group.lines.shape, group.lines.parts),
        example=group.example,
        filters=texts,
        is_exact=(are_complete or not more) and telling.are_exact(texts, group.lines, near),
    )


def _by_ending(way: _Way, others: Sequence[Lines]) -> Iterator[str]:
    """Yield as few filters as tell how tasks ended."""
    texts = [f"state={way.state.value}"]
    if way.exit is not None:
        texts.append(f"exit={way.exit}")
    yield texts[0]
    if way.state is TaskState.FAILED:
        reasons = {kind.reason for other in telling.of_others(texts, others) for kind in other.kinds}
        if way.exit is None or way.reason is not Reason.EXIT or reasons - {way.reason.value}:
            yield f"reason={way.reason.value}" if way.reason else "reason !~ ."
    yield from texts[1:]


def _by_words(group: _Group, near: Sequence[Lines]) -> Iterator[str]:
    """Yield filters that tell tasks from those that ended in the same way."""
    if group.way.state is TaskState.KILLED:
        yield f"killedBy={group.lines.shape}"
    else:
        yield from telling.by_line(group.lines, near)
