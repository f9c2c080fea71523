"""Fields: what there is to say of a task, by name; choosing of them, and sorting by them. Pure.

A parameter is a field, too: `params.NAME`. What is not set is None.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sparkles import lifecycle
from sparkles.errors import RequestError, nearest
from sparkles.model import Task

#: What the name of a field begins with that is a parameter.
PREFIX = "params."

_NUMBER = re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?\s*", re.ASCII)

_DECODER = json.JSONDecoder()

Read = Callable[[Task], Any]


@lru_cache(maxsize=1)
def parameters(row: str) -> Mapping[str, str]:
    """Read a row; once for all that looks at it."""
    read: dict[str, str]
    read, _ = _DECODER.raw_decode(row)  # looks for no spaces around it: takes half the time of all else
    return read


#: In the order in which all of them are listed.
FIELDS: Mapping[str, Read] = {
    "task": lambda task: task.id,
    "index": lambda task: task.index,
    "state": lambda task: task.state.value,
    "exit": lambda task: task.exit,
    "reason": lambda task: task.reason and task.reason.value,
    "attempts": lambda task: task.attempts,
    "failures": lambda task: task.failures,
    "losses": lambda task: task.losses,
    "waited": lifecycle.waited,
    "seconds": lifecycle.seconds,
    "queued": lambda task: task.queued,
    "started": lambda task: task.started,
    "ended": lambda task: task.ended,
    "memory": lambda task: task.peak_memory,
    "node": lambda task: task.node,
    "said": lambda task: task.said,
    "killedBy": lambda task: task.killed_by,
    "generation": lambda task: task.generation,
    "parameters": lambda task: parameters(task.row),
}

_MOMENTS = frozenset({"queued", "started", "ended"})


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to say of a task."""

    name: str
    read: Read
    #: The parameter that it is; None for a field of the record, which costs less to look at.
    parameter: str | None = None

    @property
    def is_moment(self) -> bool:
        """Whether it is a time of the wall clock, in seconds."""
        return self.name in _MOMENTS


def field(name: str, where: str, known: Iterable[str] = FIELDS) -> Field:
    """Return the field of this name. Raises RequestError if there is none; `where` is what the error begins with.

    >>> field("params.x", "--sort").parameter
    'x'
    """
    if name.startswith(PREFIX) and name != PREFIX:
        parameter = name.removeprefix(PREFIX)
        return Field(name, lambda task: parameters(task.row).get(parameter), parameter)
    if name not in known:
        there = [*known, f"{PREFIX}NAME"]
        raise RequestError(f"{where}: no field {name!r}; there is: {', '.join(there)}{nearest(name, there)}")
    return Field(name, FIELDS[name])


def chosen(texts: Sequence[str], where: str) -> list[Field]:
    """Return the fields that lists of names name, in order; `all` are all but the single parameters.

    >>> [one.name for one in chosen(['index,params.x', '"params.a,b"'], "--fields")]
    ['index', 'params.x', 'params.a,b']
    """
    names = [name.strip() for line in csv.reader(texts, skipinitialspace=True) for name in line]
    named = [one for name in names for one in (FIELDS if name == "all" else [name])]
    return [field(name, where) for name in dict.fromkeys(named)]


def require(wanted: Mapping[str, str], rows: Iterable[str]) -> None:
    """Raise RequestError for a parameter that none of the rows has. Reads only as many as that takes.

    `wanted` maps each parameter to what an error about it begins with. Without rows, every parameter may come.
    """
    missing = dict(wanted)
    known: set[str] | None = None
    for text in rows if missing else ():
        row = parameters(text)
        known = {*(known or ()), *row}
        missing = {name: where for name, where in missing.items() if name not in row}
        if not missing:
            return
    if missing and known is not None:
        name, where = next(iter(missing.items()))
        there = f"there is: {', '.join(sorted(known))}" if known else "they have none"
        raise RequestError(f"{where}: no task has a parameter {name!r}; {there}{nearest(name, known)}")


@dataclass(frozen=True, slots=True)
class Order:
    """A field to sort by."""

    field: Field
    descending: bool = False


def order(text: str) -> Order:
    """Read `FIELD`, or `-FIELD` for the largest first."""
    known = [name for name in FIELDS if name != "parameters"]  # a row as a whole has no place among others
    return Order(field(text.removeprefix("-").strip(), "--sort", known), text.startswith("-"))


def in_order(orders: Sequence[Order], tasks: Iterable[Task]) -> list[Task]:
    """Return tasks sorted by the first of `orders`, those that are equal in it by the next one; unset ones are last."""
    found = list(tasks)
    for one in reversed(orders):
        found = _sorted(one, found)
    return found


def _sorted(by: Order, tasks: Sequence[Task]) -> list[Task]:
    """Return tasks sorted by one field. A parameter is compared as a number if it is one everywhere, else as text."""
    values = [by.field.read(task) for task in tasks]
    keys = (_numbers(values) or values) if by.field.parameter is not None else values
    unset = [place for place, value in enumerate(values) if value is None]
    there = [place for place, value in enumerate(values) if value is not None]
    there.sort(key=keys.__getitem__, reverse=by.descending)
    return [tasks[place] for place in there + unset]


def _numbers(values: Sequence[str | None]) -> list[Any] | None:
    """Return values as numbers; None if not all that are set are."""
    numbers = [None if value is None else number(value) for value in values]
    return None if any(n is None and v is not None for n, v in zip(numbers, values, strict=True)) else numbers


def number(text: str) -> Decimal | None:
    """Return a number exactly, so that long ones that differ are not equal; None for other text.

    >>> number(" 1e3 "), number("0x10")
    (Decimal('1E+3'), None)
    """
    return Decimal(text.strip()) if _NUMBER.fullmatch(text) else None
