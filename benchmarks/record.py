"""Record: what a run of the benchmarks has found, as a file of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Sample
from benchmarks.nouns import Comparison, Metric, Row


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A contestant's part in a row: samples of `count` things each, or why there are none."""

    count: int
    samples: Sequence[Sample] = ()
    skipped: str = ""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A row that was measured."""

    name: str
    title: str
    unit: str
    comparisons: Sequence[Comparison]
    entries: Mapping[str, Entry]


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that was measured in one go."""

    versions: Mapping[str, str]
    rows: Sequence[Measured]


def measured(row: Row, entries: Mapping[str, Entry]) -> Measured:
    """Return a row with what was found."""
    return Measured(name=row.name, title=row.title, unit=row.unit, comparisons=row.comparisons, entries=entries)


def write(record: Record, path: Path) -> None:
    """Write a record, a sample a line."""
    path.write_text(json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> Record:
    """Read a record."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Record(versions=found["versions"], rows=[_row(row) for row in found["rows"]])


def _row(found: dict[str, Any]) -> Measured:
    comparisons = [Comparison(**{**one, "metric": Metric(one["metric"])}) for one in found["comparisons"]]
    entries = {
        name: Entry(**{**one, "samples": [Sample(**sample) for sample in one["samples"]]})
        for name, one in found["entries"].items()
    }
    return Measured(**{**found, "comparisons": comparisons, "entries": entries})
