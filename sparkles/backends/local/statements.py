"""Statements: the SQL that writes records, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain, compress, islice
from operator import ne
from typing import Any

from sparkles.backends.local import records
from sparkles.model import Key, NewTasks, Records

#: What a statement is executed with.
Values = Sequence[Any]

#: New tasks that one statement inserts: alone, each would take twice as long.
_TASKS_AT_ONCE = 50


def of_records(before: Records, written: Records) -> dict[str, list[Values]]:
    """Return the statements that write records, each with all the values that it is to be executed with.

    Only what has changed is set: each index of a column that a statement sets costs as much as all the rest.
    """
    statements: dict[str, list[Values]] = {}
    for key, record in written.items():
        row = records.encode(record)
        if old := before.get(key):
            changed = tuple(map(ne, row, records.encode(old)))
            values = (*compress(row, changed), *records.where(key)[1])
            statements.setdefault(_update(key.kind, changed), []).append(values)
        else:
            statements.setdefault(_insert(key.kind), []).append(row)
    return statements


def of_new_tasks(tasks: NewTasks, quote: Callable[[Any], str]) -> Iterator[tuple[str, Values]]:
    """Yield the statements that insert new tasks, each with its values; `quote` makes a value SQL.

    What all tasks share is written out: binding it for each of them takes longer.
    """
    shared = [quote(value) for value in (*records.encode(tasks.template)[:-1], 1)]
    shared[1:4] = "???"
    row = f"({','.join(shared)})"
    rows = iter(tasks.rows)
    while some := list(islice(rows, _TASKS_AT_ONCE)):
        yield f"{_into('task')} VALUES {','.join([row] * len(some))}", list(chain.from_iterable(some))


@cache
def _update(kind: str, changed: Sequence[bool]) -> str:
    assignments = ", ".join(f'"{column}" = ?' for column in compress(records.COLUMNS[kind], changed))
    condition, _ = records.where(Key(kind, ""))
    return f"UPDATE {kind} SET {assignments} WHERE {condition}"  # noqa: S608 - names of ours


@cache
def _insert(kind: str) -> str:
    return f"{_into(kind)} VALUES ({','.join('?' * len(records.COLUMNS[kind]))})"


def _into(kind: str) -> str:
    return f"INSERT INTO {kind} ({records.QUOTED[kind]})"
