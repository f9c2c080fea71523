"""Looking: what the commands that list, sum up and watch tasks take for a job of many, and those that read results."""

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

#: Seconds for which a job is watched. It is looked at each half second: if a look takes no second, it takes less than
#: two thirds of the time.
_WATCHED = 10

#: Each reads the results of all tasks.
_READING = {"fetch-10k": ["fetch", "j", "results"], "logs-grep-10k": ["logs", "j", "--all", "--grep", "9$"]}


def rows(subject: Subject, *, quick: bool) -> list[Row]:
    """Return the rows of this group."""
    count = 100 if quick else 100_000
    return [
        *(_row(name, subject, count, words, seconds) for name, (words, seconds) in _COMMANDS.items()),
        _watched(subject, count),
        *(_read(name, subject, count // 10, words) for name, words in _READING.items()),
    ]


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


def _watched(subject: Subject, count: int) -> Row:
    def make(folder: Path) -> Run:
        write_rows(folder / "rows.csv", count)
        run = subject.run(folder, "watch", "j", before=[BLOCKER, _SUBMISSION], ends=True)
        line = f"timeout --signal INT {_WATCHED} {shlex.join(run.command)} > printed || [ $? = 124 ]"
        return replace(run, before=[*run.before, [*_ENDED, str(count // 2)]], command=["sh", "-c", line])

    return Row(
        name="watch-running", group="looking",
        title=f"{count:,} tasks, half of them ended: {_WATCHED} s of `sparkles watch j`",
        contestants=[Contestant(name="sparkles", make=make)],
        comparisons=[
            Comparison(of="sparkles", metric=Metric.OWN, at_most=_WATCHED * 2 / 3),
            Comparison(of="sparkles", metric=Metric.PEAK),
        ],
    )  # fmt: skip


def _read(name: str, subject: Subject, count: int, words: list[str]) -> Row:
    def make(folder: Path) -> Run:
        write_rows(folder / "rows.csv", count)
        submission = ["sub", "-n", "j", "--slots", "2", "--params", "rows.csv", "echo", "{gene}", "{dose}"]
        run = subject.run(folder, *words, before=[submission], ends=True)
        return replace(run, command=["sh", "-c", f"{shlex.join(run.command)} > printed"])

    return Row(
        name=name, group="looking", title=f"{count:,} results: `sparkles {shlex.join(words)}`",
        contestants=[Contestant(name="sparkles", count=count, make=make)], unit="result",
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL),
            Comparison(of="sparkles", metric=Metric.OWN),
            Comparison(of="sparkles", metric=Metric.PEAK),
        ],
    )  # fmt: skip
