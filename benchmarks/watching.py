"""Watching: what a look at a job costs when it has few tasks and when it has a million."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import Run
from benchmarks.nouns import Comparison, Contestant, Metric, Row
from benchmarks.subject import PROGRAMS, Subject
from benchmarks.submission import BLOCKER

#: Once is too short to be measured well.
_TIMES = 10

_COUNT = [sys.executable, "-I", "-S", str(PROGRAMS / "count.py"), "counted.db"]


def rows(subject: Subject, *, quick: bool) -> list[Row]:
    """Return the rows of this group."""
    few, many = (10, 100) if quick else (100, 1_000_000)
    times = 2 if quick else _TIMES
    of, than = f"sparkles, {many:,} tasks", f"sparkles, {few:,} tasks"
    store = f"{than}, and SQL that counts {many:,}"
    row = Row(
        name="look", group="watching", title="a look: `sparkles status JOB`", rounds=3, long=True,
        contestants=[
            Contestant(name=of, count=times, make=_status(subject, many, times)),
            Contestant(name=than, count=times, make=_status(subject, few, times)),
            Contestant(name=store, count=times, make=_and_count(_status(subject, few, times), many)),
        ],
        comparisons=[
            Comparison(of=of, metric=Metric.OWN, than=store, at_most=1.1),
            Comparison(of=of, metric=Metric.OWN, than=than),
            Comparison(of=of, metric=Metric.PEAK, than=than),
        ],
    )  # fmt: skip
    return [row]


def _status(subject: Subject, count: int, times: int) -> Callable[[Path], Run]:
    steps = [BLOCKER, ["sub", "-n", "j", "--slots", "1", "--no-wait", "--seq", str(count), "true"]]

    def make(folder: Path) -> Run:
        return subject.run(folder, "status", "j", before=steps, times=times, ends=True)

    return make


def _and_count(make: Callable[[Path], Run], count: int) -> Callable[[Path], Run]:
    """Return a run with, after each command, the counting of so many tasks that no store can do without."""

    def both(folder: Path) -> Run:
        run = make(folder)
        line = f"{shlex.join(run.command)} && {shlex.join(_COUNT)}"
        return replace(run, before=[*run.before, [*_COUNT, str(count)]], command=["sh", "-c", line])

    return both
