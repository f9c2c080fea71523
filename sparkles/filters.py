"""Filters: `FIELD OP VALUE` in, a test of tasks out. Pure.

The value is read once, as what the field holds; what is left for each of a million tasks is a comparison.
"""

from __future__ import annotations

import math
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as hidden
from datetime import datetime, timedelta
from typing import Any

from sparkles import fields, spec
from sparkles.errors import RequestError, nearest
from sparkles.model import Reason, Task, TaskState

#: Is given a value that is set.
Test = Callable[[Any], bool]
#: Makes a test of an operator and what stands after it.
Kind = Callable[[str, str], Test]

_SYNTAX = re.compile(r"\s*(?P<field>.+?)\s*(?P<op>==|!=|!~|<=|>=|=|<|>|~)\s*(?P<value>.*)", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
_SIZE = re.compile(rf"(?P<number>{_NUMBER.pattern})\s*(?P<unit>[a-z]*)", re.IGNORECASE)
_BYTES = {"": 1, "b": 1, "bytes": 1}
_BYTES |= {f"{letter}b": 1000**power for power, letter in enumerate("kmgt", start=1)}
_BYTES |= {f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", start=1)}
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:(?P<minute>\d\d)(?P<second>:\d\d)?(?P<part>\.\d{3})?(?:Z|[-+]\d\d:\d\d)?)?",
    re.ASCII,
)

_OPS = "= != < > <= >= ~ !~"

#: Whether a regular expression is to be found, or not.
_FINDS = {"~": True, "!~": False}

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip

#: A value as the user wrote it may stand for a span, as a day does: its first and its last instant.
_COMPARE_SPAN: Mapping[str, Callable[[float, float], Test]] = {
    "=": lambda low, high: lambda value: low <= value <= high,
    "!=": lambda low, high: lambda value: not low <= value <= high,
    "<": lambda low, _: lambda value: value < low,
    ">": lambda _, high: lambda value: value > high,
    "<=": lambda _, high: lambda value: value <= high,
    ">=": lambda low, _: lambda value: value >= low,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A test that a task passes or not."""

    #: As the user wrote it.
    text: str
    field: fields.Field
    _test: Test = hidden(repr=False, compare=False)
    #: What holds for a task that has no such value.
    _unset: bool = hidden(repr=False, compare=False)

    def matches(self, task: Task) -> bool:
        """Say whether the task passes."""
        return self.allows(self.field.read(task))

    def allows(self, value: Any) -> bool:
        """Say whether a task passes whose field has this value."""
        return self._unset if value is None else self._test(value)


def parse(text: str) -> Filter:
    """Read a filter.

    >>> parse("exit != 0").matches(Task(job="j", index=1, row="{}", digest=b"", generation=1, cluster="c", exit=3))
    True
    """
    match = _SYNTAX.fullmatch(text)
    if not match:
        raise RequestError(
            f"filter {text!r}: expected FIELD OP VALUE, such as state=failed or 'params.x > 0.5'; OP is one of {_OPS}"
        )
    name, op, value = match["field"], match["op"], match["value"]
    try:
        return _filter(text, name, op, value)
    except _UnexpectedError as error:
        raise RequestError(f"filter {text!r}: {name}: expected {error}") from None


def select(filters: Sequence[Filter], tasks: Iterable[Task]) -> Iterator[Task]:
    """Yield the tasks that pass all filters."""
    for one in filters:
        tasks = filter(one.matches, tasks)
    return iter(tasks)


def row_test(filters: Sequence[Filter]) -> Callable[[str], bool] | None:
    """Return a test for the rows of tasks, which those alone pass that pass all filters of parameters.

    Of other tasks no record needs to be made. None if there is no such filter.

    >>> passes = row_test([parse("params.x > 1"), parse("exit = 0")])
    >>> passes('{"x": "2"}'), passes('{"x": "1"}')
    (True, False)
    """
    wanted = [(one.field.parameter, one.allows) for one in filters if one.field.parameter is not None]

    def passes(row: str) -> bool:
        values = fields.parameters(row)
        return all(allows(values.get(name)) for name, allows in wanted)

    return passes if wanted else None


def states(filters: Sequence[Filter]) -> list[TaskState]:
    """Return the states in which a task may pass all filters: of other tasks no record needs to be read.

    >>> [state.value for state in states([parse("state ~ ed$"), parse("state != claimed"), parse("exit = 0")])]
    ['succeeded', 'failed', 'killed']
    """
    of_state = [one for one in filters if one.field.name == "state"]
    return [state for state in TaskState if all(one.allows(state.value) for one in of_state)]


class _UnexpectedError(Exception):
    """What was expected, and what was found."""


def _filter(text: str, name: str, op: str, value: str) -> Filter:
    if op == "==":
        raise _UnexpectedError(f"one of {_OPS}, found '=='")
    found = fields.field(name, f"filter {text!r}", _KINDS)
    kind = _parameter if found.parameter is not None else _KINDS[name]
    return Filter(text=text, field=found, _test=kind(op, value), _unset=_holds_of_nothing(op, value))


def _holds_of_nothing(op: str, value: str) -> bool:
    """Say whether a filter is true of what is not set: that is equal to no value, and nothing is found in it."""
    return op == "!~" or op == ("!=" if value.strip() else "=")


def _spans(read: Callable[[str], tuple[float, float] | None], expected: str) -> Kind:
    def kind(op: str, text: str) -> Test:
        if op not in _COMPARE_SPAN:
            raise _UnexpectedError(f"one of {' '.join(_COMPARE_SPAN)}, found {op!r}")
        if (span := read(text.strip())) is None:
            raise _UnexpectedError(f"{expected}, found {text!r}")
        return _COMPARE_SPAN[op](*span)

    return kind


def _words(*choices: str) -> Kind:
    def kind(op: str, text: str) -> Test:
        if op in _FINDS:
            return _pattern(op, text)
        if op not in ("=", "!="):
            raise _UnexpectedError(f"one of = != ~ !~, found {op!r}")
        word = text.strip()
        if choices and word not in choices:
            raise _UnexpectedError(f"one of {', '.join(choices)}; found {word!r}{nearest(word, choices)}")
        compare = _COMPARE[op]
        return lambda value: compare(value, word)

    return kind


def _parameter(op: str, text: str) -> Test:
    """Compare as numbers if both sides are, else as text."""
    if op in _FINDS:
        return _pattern(op, text)
    compare, wanted = _COMPARE[op], fields.number(text)
    if wanted is None:
        return lambda value: compare(value, text)

    def test(value: str) -> bool:
        number = fields.number(value)
        return compare(value, text) if number is None else compare(number, wanted)

    return test


def _pattern(op: str, text: str) -> Test:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python may read in another way some day, such as [[x]
            search = re.compile(text).search
    except (re.error, OverflowError, RecursionError) as error:
        raise _UnexpectedError(f"a regular expression, found {text!r}: {error}") from None
    wanted = _FINDS[op]
    return lambda value: (search(value) is not None) is wanted


def _number(text: str) -> tuple[float, float] | None:
    return (float(text), float(text)) if _NUMBER.fullmatch(text) else None


def _seconds(text: str) -> tuple[float, float] | None:
    return (spec.seconds(text),) * 2 if spec.is_duration(text) else _number(text)


def _size(text: str) -> tuple[float, float] | None:
    """Return bytes.

    >>> _size("1.5GiB")
    (1610612736.0, 1610612736.0)
    """
    match = _SIZE.fullmatch(text)
    factor = _BYTES.get(match["unit"].lower()) if match else None
    return (float(match["number"]) * factor,) * 2 if match and factor else None


def _time(text: str) -> tuple[float, float] | None:
    """Return the first and the last instant of a day, a minute, a second or a fraction of one."""
    match = _TIME.fullmatch(text)
    if not match:
        return None
    lengths = {"part": timedelta(milliseconds=1), "second": timedelta(seconds=1), "minute": timedelta(minutes=1)}
    length = next((length for group, length in lengths.items() if match[group]), timedelta(days=1))
    try:
        first = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return first.timestamp(), math.nextafter((first + length).timestamp(), -math.inf)
    except (ValueError, OverflowError, OSError):  # no such day, or one that no clock counts
        return None


_NUMBERS = _spans(_number, "a number")
_TIMES = _spans(_time, "a time such as 2026-03-01 or 2026-03-01T14:30")

_DURATIONS = _spans(_seconds, "seconds or a duration such as 90s, 10m or 1h30m")

#: Of each field that can be filtered by, what its values are.
_KINDS: Mapping[str, Kind] = {
    "task": _words(),
    "index": _NUMBERS,
    "state": _words(*(state.value for state in TaskState)),
    "exit": _NUMBERS,
    "reason": _words(*(reason.value for reason in Reason)),
    "attempts": _NUMBERS,
    "failures": _NUMBERS,
    "losses": _NUMBERS,
    "waited": _DURATIONS,
    "seconds": _DURATIONS,
    "queued": _TIMES,
    "started": _TIMES,
    "ended": _TIMES,
    "memory": _spans(_size, "bytes or a size such as 500MB, 2GB or 1.5GiB"),
    "node": _words(),
    "said": _words(),
    "killedBy": _words(),
    "generation": _NUMBERS,
}

#: The fields that there are; behind the last one stands the name of a parameter.
FIELDS = (*_KINDS, fields.PREFIX)
