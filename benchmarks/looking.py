"""Looking: what the commands that list and sum up tasks take for a job of many tasks that have ended."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import Run
from benchmarks.nouns import Comparison, Contestant, Metric, Row
from benchmarks.subject import HOME, PROGRAMS, Subject
from benchmarks.submission import BLOCKER, write_rows

_ENDED = [sys.executable, "-I", "-S", str(PROGRAMS / "ended.py"), f"{HOME}/state.db", "j"]

_SUBMISSION = ["sub", "-n", "j", "--slots", "1", "--no-wait", "--params", "rows.csv", "echo", "{gene}", "{dose}"]

#: Name → (what is run, the most seconds that it may take). No task passes the filter of `list-none`.
_COMMANDS = {
    "status-many": (["status"], 1),
    "list-failed": (["list", "j", "--filter", "state=failed", "--limit", "20"], 1),
    "list-none": (["list", "j", "--filter", "params.gene=none", "--limit", "20"], 1),
    "list-slowest": (["list", "j", "--sort", "-seconds", "--limit", "20"], None),
    "list-all": (["list", "j"], 10),
    "list-params": (["list", "j", "--params"], None),
    "stats": (["status", "j", "--stats"], None),
    "watch-ended": (["watch", "j"], 1),
}


def rows(subject: Subject, *, quick: bool) -> list[Row]:
    """Return the rows of this group."""
    count = 100 if quick else 100_000
    return [_row(name, subject, count, words, seconds) for name, (words, seconds) in _COMMANDS.items()]


def _row(name: str, subject: Subject, count: int, words: list[str], seconds: float | None) -> Row:
    def make(folder: Path) -> Run:
        write_rows(folder / "rows.csv", count)
        run = subject.run(folder, *words, before=[BLOCKER, _SUBMISSION], ends=True)
        line = f"{shlex.join(run.command)} > printed || [ $? = 1 ]"  # `watch` says with a 1 that tasks failed
        return replace(run, before=[*run.before, _ENDED], command=["sh", "-c", line])

    return Row(
        name=name, group="looking", title=f"{count:,} tasks: `sparkles {shlex.join(words)}`",
        contestants=[Contestant(name="sparkles", make=make)],
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL, at_most=seconds),
            Comparison(of="sparkles", metric=Metric.OWN),
            Comparison(of="sparkles", metric=Metric.PEAK),
        ],
    )  # fmt: skip
