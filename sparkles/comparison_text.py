"""Comparison text: what a comparison of two jobs looks like to people, and to programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from sparkles.comparison import Comparison, Only, Outcome, Turn
from sparkles.indices import to_runs

#: Names, rows, or runs of indices that are shown of each kind.
_SHOWN = 8

#: What is said of one thing.
_ONE = {"files differ": "file differs", "files": "file", "tasks": "task"}


def lines(comparison: Comparison, *, verbose: bool = False) -> list[str]:
    """Return the lines that `diff` prints; `verbose` leaves nothing out."""
    first, second = comparison.jobs
    head = f"job {first} ↔ job {second}"
    if comparison.is_empty:
        return [f"{head}: they are the same, and so is what became of their tasks"]
    limit = None if verbose else _SHOWN
    return [
        head,
        *(f"  ~ {text}" for text in comparison.fields),
        *_counted(_groups(comparison, limit)),
        _sum(comparison),
    ]


def document(comparison: Comparison) -> Mapping[str, Any]:
    """Return the comparison for programs."""
    return {
        "version": 1,
        "jobs": list(comparison.jobs),
        "changes": not comparison.is_empty,
        "fields": list(comparison.fields),
        "files": list(comparison.files),
        "alike": comparison.alike,
        "turns": [
            {
                "before": _outcome_document(turn.before),
                "after": _outcome_document(turn.after),
                "count": len(turn.first),
                "indices": [to_runs(turn.first), to_runs(turn.second)],
            }
            for turn in comparison.turns
        ],
        "only": [_only_document(only) for only in comparison.only],
    }


class _Group(NamedTuple):
    """What is said of some files or tasks: on one line, and on lines below it."""

    sign: str
    number: int
    what: str
    said: str = ""
    below: Sequence[str] = ()


def _groups(comparison: Comparison, limit: int | None) -> Iterator[_Group]:
    sides = list(zip("-+", comparison.jobs, comparison.only, strict=True))
    yield _Group("~", len(comparison.files), "files differ", _some(comparison.files, limit))
    for sign, name, only in sides:
        yield _Group(sign, len(only.files), f"files only in {name}", _some(only.files, limit))
    yield _Group("=", comparison.alike, "tasks alike")
    for turn in comparison.turns:
        change = f"{_some(_pairs(turn), limit)}: {_words(turn.before)} → {_words(turn.after)}"
        yield _Group("~", len(turn.first), "tasks ended differently", change)
    for sign, name, only in sides:
        yield _Group(sign, len(only.indices), f"tasks only in {name}", below=_rows(only, limit))


def _counted(groups: Iterable[_Group]) -> Iterator[str]:
    found = [_singular(group) for group in groups if group.number]
    width = max((len(str(group.number)) for group in found), default=1)
    column = max((len(group.what) for group in found if group.said), default=0)
    for group in found:
        yield f"  {group.sign} {group.number:>{width}} {group.what:<{column}}  {group.said}".rstrip()
        yield from (f"      {line}" for line in group.below)


def _singular(group: _Group) -> _Group:
    if group.number != 1:
        return group
    many, one = next(pair for pair in _ONE.items() if group.what.startswith(pair[0]))
    return group._replace(what=one + group.what.removeprefix(many))


def _some(texts: Sequence[str], limit: int | None) -> str:
    return ", ".join(texts[:limit]) + _more(len(texts), limit)


def _more(number: int, limit: int | None) -> str:
    return f" ({number - limit} more)" if limit is not None and number > limit else ""


def _pairs(turn: Turn) -> list[str]:
    """Write which tasks belong together as runs, e.g. `1-3`, or `7 ↔ 9` where they have other indices."""
    pairs = enumerate(zip(turn.first, turn.second, strict=True))
    runs = groupby(pairs, key=lambda pair: (pair[1][0] - pair[0], pair[1][1] - pair[0]))
    return [_run([pair for _, pair in run]) for _, run in runs]


def _run(pairs: Sequence[tuple[int, int]]) -> str:
    first, second = (to_runs(indices) for indices in zip(*pairs, strict=True))
    return first if first == second else f"{first} ↔ {second}"


def _rows(only: Only, limit: int | None) -> list[str]:
    shown = zip(only.indices[:limit], only.rows[:limit], strict=True)
    rows = [f"{index}{_values(row)}" for index, row in shown]
    more = _more(len(only.indices), limit).strip()
    return [*rows, *([more] if more else [])]


def _values(row: str) -> str:
    texts = [f"{name}={value}" for name, value in json.loads(row).items()]
    return f": {' '.join(texts)}" if texts else ""


def _words(outcome: Outcome) -> str:
    """Return an outcome in words, e.g. `failed (exit 1)`."""
    if outcome.reason is None:
        return outcome.state.value
    return f"{outcome.state.value} ({outcome.reason.value}{'' if outcome.exit is None else f' {outcome.exit}'})"


def _sum(comparison: Comparison) -> str:
    first, second = comparison.only
    both = comparison.alike + comparison.turned
    name, other = comparison.jobs
    return (
        f"Diff: {both} rows in both, {comparison.turned} of them ended differently; "
        f"{len(first.indices)} only in {name}, {len(second.indices)} only in {other}."
    )


def _outcome_document(outcome: Outcome) -> Mapping[str, Any]:
    return {"state": outcome.state.value, "exit": outcome.exit, "reason": outcome.reason and outcome.reason.value}


def _only_document(only: Only) -> Mapping[str, Any]:
    return {
        "files": list(only.files),
        "count": len(only.indices),
        "indices": to_runs(only.indices),
        "rows": [json.loads(row) for row in only.rows],
    }
