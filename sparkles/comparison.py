"""Comparison: what two jobs are, and what became of them, in; how they differ out. Pure.

Tasks are told by their rows, not by their indices: the k-th of equal rows belongs to the k-th. They are read one by
one, and of a row that both jobs have nothing is kept but its indices.
"""

from __future__ import annotations

import json
import shlex
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sparkles import canonical
from sparkles.changes import between, members
from sparkles.model import Reason, Task, TaskState
from sparkles.spec import PinnedFile, upload_of

#: Fields that are compared more closely than by their values.
_APART = {"command", "env", "parameters", "uploads"}


class Outcome(NamedTuple):
    """What became of a task. Exit code and reason only where they tell more than the state."""

    state: TaskState
    exit: int | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One of the two jobs."""

    name: str
    #: The pinned document.
    document: Mapping[str, Any]
    #: By index.
    tasks: Iterable[Task]


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """What only one of the jobs has."""

    #: Destinations of uploads.
    files: Sequence[str]
    indices: Sequence[int]
    #: The row of each index, as canonical JSON.
    rows: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.files or self.indices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Rows that both jobs have and that ended in one way there, in another way here."""

    before: Outcome
    after: Outcome
    #: The tasks of these rows in the first job, and in the second.
    first: Sequence[int]
    second: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How two jobs differ."""

    jobs: tuple[str, str]
    #: E.g. "image r:1 → r:2".
    fields: Sequence[str]
    #: Destinations of the uploads that both have, with another content.
    files: Sequence[str]
    only: tuple[Only, Only]
    turns: Sequence[Turn]
    #: How many rows both have that ended alike.
    alike: int

    @property
    def is_empty(self) -> bool:
        """Say whether the jobs are the same, and so is what became of them."""
        return not (self.fields or self.files or any(self.only) or self.turns)

    @property
    def turned(self) -> int:
        """Return how many rows both have that ended differently."""
        return sum(len(turn.first) for turn in self.turns)


def compare(first: Subject, second: Subject) -> Comparison:
    """Find out how two jobs differ."""
    old, new = _files(first.document), _files(second.document)
    matched = _Matching(first.tasks)
    for key, task in _keyed(second.tasks):
        matched.meet(key, task)
    indices, rows = matched.left()
    return Comparison(
        jobs=(first.name, second.name),
        fields=_fields(first.document, second.document),
        files=[name for name in old if name in new and old[name] != new[name]],
        only=(
            Only(files=[name for name in old if name not in new], indices=indices, rows=rows),
            Only(files=[name for name in new if name not in old], indices=matched.new, rows=matched.new_rows),
        ),
        turns=matched.turns(),
        alike=matched.alike,
    )


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, after = old["spec"], new["spec"]
    return [
        *_command(before["command"], after["command"]),
        *members("env", before.get("env", {}), after.get("env", {})),
        *(change.text for change in between(_rest(old), _rest(new))),
    ]


def _rest(document: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = {field: value for field, value in document["spec"].items() if field not in _APART}
    return {**document, "spec": spec}


def _command(before: str | list[str], after: str | list[str]) -> list[str]:
    """Compare commands as a shell would take them; those of several lines are not shown."""
    if before == after:
        return []
    if not (isinstance(before, str) and isinstance(after, str)):
        before, after = _quoted(before), _quoted(after)
    text = f"command {before} → {after}"
    return ["command" if "\n" in text else text]


def _quoted(command: str | list[str]) -> str:
    return shlex.join(["/bin/sh", "-c", command] if isinstance(command, str) else command)


def _files(document: Mapping[str, Any]) -> dict[str, PinnedFile | None]:
    """Return what each destination holds; where each row chooses its file, with the name of the file."""
    found: dict[str, PinnedFile | None] = {}
    for upload in map(upload_of, document["spec"].get("uploads", [])):
        if upload.files is None:
            found[upload.dest or upload.src] = upload.file
        else:
            found |= {f"{upload.dest} ({src})" if upload.dest else src: file for src, file in upload.files.items()}
    return found


class _Matching:
    """The tasks of the first job, which meet those of the second."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.alike = 0
        self.new = array("q")
        self.new_rows: list[str] = []
        self._indices = array("q")
        self._outcomes: list[Outcome] = []
        #: Key of a task that has not met another → its position.
        self._waiting: dict[str, int] = {}
        self._turns: defaultdict[tuple[Outcome, Outcome], tuple[array[int], array[int]]]
        self._turns = defaultdict(lambda: (array("q"), array("q")))
        for position, (key, task) in enumerate(_keyed(tasks)):
            self._waiting[key] = position
            self._indices.append(task.index)
            self._outcomes.append(_outcome(task.state, task.exit, task.reason))

    def meet(self, key: str, task: Task) -> None:
        position = self._waiting.pop(key, None)
        if position is None:
            self.new.append(task.index)
            self.new_rows.append(_row(key))
            return
        before, after = self._outcomes[position], _outcome(task.state, task.exit, task.reason)
        if before == after:
            self.alike += 1
            return
        first, second = self._turns[before, after]
        first.append(self._indices[position])
        second.append(task.index)

    def turns(self) -> Sequence[Turn]:
        return [
            Turn(before=before, after=after, first=first, second=second)
            for (before, after), (first, second) in self._turns.items()
        ]

    def left(self) -> tuple[Sequence[int], Sequence[str]]:
        """Return index and row of the tasks that met none."""
        indices = array("q", (self._indices[position] for position in self._waiting.values()))
        return indices, [_row(key) for key in self._waiting]


def _keyed(tasks: Iterable[Task]) -> Iterator[tuple[str, Task]]:
    """Yield each task under a key: its row, whatever the order of its parameters; the k-th time with k after it."""
    times: dict[str, int] = {}
    for task in tasks:
        row = canonical.text(json.loads(task.row))
        number = times[row] = times.get(row, 0) + 1
        yield (row if number == 1 else f"{row}{number}"), task


def _row(key: str) -> str:
    """Return the row of a key: it ends in a brace."""
    return key.rstrip("0123456789")


@lru_cache(maxsize=1024)
def _outcome(state: TaskState, exit: int | None, reason: Reason | None) -> Outcome:  # noqa: A002 - the record's word
    """Return the one value for all tasks with this outcome."""
    if state is not TaskState.FAILED:
        return Outcome(state)
    return Outcome(state, exit if reason is Reason.EXIT else None, reason)
