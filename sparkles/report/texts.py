"""Texts: a text for each of many tasks, as little of it as a page can hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)

#: Characters of one text at most; and of all texts of a column, whose texts are cut to `_SHORT` if that is too much.
_LENGTH, _COLUMN, _SHORT = 200, 3_000_000, 24


def column(values: Iterable[str | None]) -> dict[str, Any]:
    """Return texts as the distinct ones, sorted, and the number of each task's; -1 for none.

    >>> column(["b", "a", None, "b"])
    {'values': ['a', 'b'], 'codes': [1, 0, -1, 1], 'numeric': False}
    """
    given = list(values)
    distinct = sorted({value for value in given if value is not None}, key=_order)
    number = {value: code for code, value in enumerate(distinct)}
    return {
        "values": _cut(distinct),
        "codes": [-1 if value is None else number[value] for value in given],
        "numeric": bool(distinct) and all(_NUMBER.fullmatch(value) for value in distinct),
    }


def _order(value: str) -> tuple[bool, float, str]:
    """Sort numbers as such, before all else."""
    is_number = _NUMBER.fullmatch(value) is not None
    return not is_number, float(value) if is_number else 0.0, value


def _cut(distinct: Sequence[str]) -> list[str]:
    """Shorten texts that are very long, or very many."""
    limit = _LENGTH if sum(min(len(value), _LENGTH) for value in distinct) <= _COLUMN else _SHORT
    return [value if len(value) <= limit else f"{value[: limit - 1]}…" for value in distinct]
