"""Nouns: what is measured (rows, contestants) and what is said of it (comparisons)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from benchmarks.measure import Run


class Metric(str, Enum):
    """What of a sample is compared; `rest` is the CPU of all that the command did not wait for: of the node.

    What comes after `peak` a contestant tells by itself.
    """

    WALL = "wall"
    CPU = "cpu"
    OWN = "own"
    REST = "rest"
    PEAK = "peak"
    CONFLICTS = "conflicts"
    REQUESTS = "requests"
    UPLOADS = "uploads"


def nothing(_: Path) -> Mapping[str, float]:
    """Tell nothing."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way to do the work of a row."""

    name: str
    #: Writes what is needed into an empty folder; returns what to run there.
    make: Callable[[Path], Run]
    #: How many things are done: costs are per thing.
    count: int = 1
    #: The pattern of the files that must be there afterwards, one for each thing.
    leaves: str = ""
    #: Looks at what a run in a folder has done, and says what was counted. Raises RunFailed if it is not what it should
    #: have done.
    tells: Callable[[Path], Mapping[str, float]] = nothing
    #: Why it cannot take part, and what would help; empty if it can.
    missing: Callable[[], str] = str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A line of the table: one contestant's metric, alone or beside another's; with a budget or without."""

    of: str
    metric: Metric
    than: str = ""
    #: The most that the ratio, or without `than` the value, may be.
    at_most: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """Work that all its contestants do."""

    name: str
    group: str
    title: str
    contestants: Sequence[Contestant]
    comparisons: Sequence[Comparison]
    #: What one thing is called.
    unit: str = ""
    rounds: int = 5
    #: Rounds before those, which do not count.
    warm_ups: int = 1
    #: Takes minutes: only measured when asked for.
    long: bool = False


def beside(row: Row, other: Row) -> Row:
    """Return a row with the contestants of another checkout's sparkles added."""
    names = {contestant.name for contestant in row.contestants if contestant.name.startswith("sparkles")}
    added = [replace(one, name=_other(one.name)) for one in other.contestants if one.name in names]
    pairs = dict.fromkeys((one.of, one.metric) for one in row.comparisons if one.of in names)
    compared = [Comparison(of=of, metric=metric, than=_other(of)) for of, metric in pairs]
    return replace(row, contestants=[*row.contestants, *added], comparisons=[*row.comparisons, *compared])


def _other(name: str) -> str:
    return f"other {name}"
