"""CSV text: records as the lines of a CSV file (RFC 4180) that reads back as they were.

A line ends in a newline alone, as all lines that are printed do.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sparkles.errors import RequestError
from sparkles.fields import parameters
from sparkles.model import Task


class _Lines:
    """Keeps what the csv module writes: a line at a time."""

    def __init__(self) -> None:
        self.last = ""

    def write(self, line: str) -> None:
        self.last = line


def lines(records: Iterable[Sequence[Any]]) -> Iterator[str]:
    r"""Yield the line of each record.

    >>> list(lines([["x", "y"], ["007", "a,\r"], [None, 1.5]]))
    ['x,y\n', '007,"a,\r"\n', ',1.5\n']
    """
    kept = _Lines()
    usual = csv.writer(kept)  # a value with a \r is quoted only where a line ends in one
    quoting = csv.writer(kept, quoting=csv.QUOTE_ALL)  # a value of spaces that is all of a line would be a blank line
    for record in records:
        (quoting if len(record) == 1 else usual).writerow(record)
        yield kept.last.removesuffix("\r\n") + "\n"


def of_parameters(tasks: Iterable[Task], *, columns: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a CSV file with the parameters of tasks, as `sweep.from_csv` reads them.

    Raises RequestError for a name that no header can hold, and for a task that has other parameters.
    """
    if bare := [name for name in columns if name != name.strip() or name.startswith("\ufeff")]:
        raise RequestError(f"a CSV file cannot have a column named {bare[0]!r}: names of columns are stripped")
    yield from lines([columns])
    yield from lines(_values(task, columns) for task in tasks)


def _values(task: Task, columns: Sequence[str]) -> list[str]:
    row = parameters(task.row)
    if row.keys() != set(columns):
        raise RequestError(
            f"{task.id} has the parameters {', '.join(row) or 'none'}, and others have {', '.join(columns)}: "
            "the job is being changed, or that was cut off; apply it again first"
        )
    return [row[name] for name in columns]
