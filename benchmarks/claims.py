"""Claims: workers of one cluster that claim tasks of the same job and finish them at once, as quickly as they can."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import standin
from benchmarks.measure import Run, measure
from benchmarks.nouns import Comparison, Metric, Row
from benchmarks.subject import PROGRAMS, Subject

if TYPE_CHECKING:
    from tests.gcp.cloud import Cloud

#: Sixteen workers must have 0.7 times the rate of one: a task may take them 1/0.7 times as long.
_AT_MOST = 1.43

#: Commits in vain among all.
_CONFLICTS = 0.05


def row(subject: Subject, count: int, *, workers: int) -> Row:
    """Return the row."""
    of, than = f"sparkles, {workers} workers", "sparkles, 1 worker"
    return Row(
        name="claims-cloud", group="cloud", title=f"claim and finish {count:,} tasks in the cloud",
        unit="task", rounds=3,
        contestants=[
            standin.contestant(name, _serve(subject, count, number), count=count, tell=_tell(subject, count))
            for name, number in ((of, workers), (than, 1))
        ],
        comparisons=[
            Comparison(of=of, metric=Metric.WALL, than=than, at_most=_AT_MOST),
            Comparison(of=of, metric=Metric.CONFLICTS, at_most=_CONFLICTS),
            Comparison(of=than, metric=Metric.CONFLICTS),
        ],
    )  # fmt: skip


def _serve(subject: Subject, count: int, workers: int) -> Callable[[Path], Run]:
    """Return the run that begins when all workers are ready, and is over when the last of them is."""

    def make(folder: Path) -> Run:
        before = [_program("submit", count), _program("raise", workers)]
        return replace(
            subject.run(folder), before=before, command=[sys.executable, "-I", "-S", str(PROGRAMS / "go.py")]
        )

    return make


def _tell(subject: Subject, count: int) -> Callable[[Path, Cloud], Mapping[str, float]]:
    """Return what looks at each task, and adds up what the workers tell."""

    def tell(folder: Path, cloud: Cloud) -> Mapping[str, float]:
        measure(standin.there(replace(subject.run(folder), command=_program("check", count)), cloud), folder)
        told = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.told")]
        commits, conflicts = (sum(each[name] for each in told) for name in ("commits", "conflicts"))
        return {Metric.CONFLICTS.value: conflicts / commits}

    return tell


def _program(*words: object) -> list[str]:
    return [sys.executable, str(PROGRAMS / "claims.py"), *map(str, words)]
