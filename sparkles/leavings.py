"""Leavings: what tasks left in a small file of their results, such as metrics.json, as fields of theirs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparkles import results
from sparkles.errors import BackendError
from sparkles.model import Task
from sparkles.ports.backend import Backend

#: Bytes of a file that is read, and fields of all files.
LARGEST, MOST_FIELDS = 64 << 10, 50

#: A field's value as text; None where a task left none.
Values = Sequence[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leavings:
    """The fields of many tasks, each with a value for every task."""

    fields: Mapping[str, Values]
    #: Tasks with a result that has no such file; and those whose file cannot be read as fields, or is too large.
    missing: int
    unreadable: int


def read(
    tasks: Sequence[Task], name: str, backend: Backend, *, done: Callable[[int], object] = lambda _: None
) -> Leavings:
    """Read the file of this name of each task that has a result; call `done` with how many were read."""
    found: list[Mapping[str, str] | None] = []
    missing = unreadable = 0
    for content in results.each(lambda task: _content(task, name, backend), tasks, backend):
        missing += content is _MISSING
        fields = _fields(name, content) if isinstance(content, bytes) else None
        unreadable += content is _TOO_LARGE or (isinstance(content, bytes) and fields is None)
        found.append(fields)
        done(len(found))
    names = list(dict.fromkeys(key for fields in found for key in fields or ()))[:MOST_FIELDS]
    return Leavings(
        fields={key: [fields.get(key) if fields else None for fields in found] for key in names},
        missing=missing,
        unreadable=unreadable,
    )


class _Absence:
    """Why there is no content."""


_NO_RESULT, _MISSING, _TOO_LARGE = _Absence(), _Absence(), _Absence()


def _content(task: Task, name: str, backend: Backend) -> bytes | _Absence:
    """Return what a task's committed result has in a file."""
    document = results.in_place(task, backend)
    if document is None:
        return _NO_RESULT
    listed = next((file for file in document.get("files", []) if file["name"] == name), None)
    if listed is None:
        return _MISSING
    if listed["size"] > LARGEST:
        return _TOO_LARGE
    try:
        return backend.objects.read_output(task.job, task.index, name)
    except BackendError:  # another result takes its place just now
        return _MISSING


def _fields(name: str, content: bytes) -> Mapping[str, str] | None:
    """Return the fields of a file: a JSON object, or a CSV of one row. None if it is neither.

    >>> _fields("m.json", b'{"auc": 0.93, "deep": {"x": 1}, "ok": true}')
    {'auc': '0.93', 'ok': 'true'}
    >>> _fields("m.csv", b"auc,n\\n0.93,7\\n")
    {'auc': '0.93', 'n': '7'}
    """
    try:
        text = content.decode("utf-8-sig")
        return _row(text) if name.lower().endswith((".csv", ".tsv")) else _scalars(json.loads(text))
    except (ValueError, RecursionError, csv.Error):
        return None


def _scalars(value: Any) -> Mapping[str, str] | None:
    if not isinstance(value, dict):
        return None
    return {key: _text(item) for key, item in value.items() if isinstance(item, str | int | float)}


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _row(text: str) -> Mapping[str, str] | None:
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    if len(rows) != 2 or len(rows[0]) != len(rows[1]):
        return None
    return dict(zip(rows[0], rows[1], strict=True))
