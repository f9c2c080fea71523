"""Start-up: commands that do next to nothing, beside the least that click can do; the first line of a one-task job."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Run
from benchmarks.nouns import Comparison, Contestant, Metric, Row
from benchmarks.subject import PROGRAMS, Subject

#: Once is too short to be measured well.
_TIMES = 10

_HELLO = "click hello-world"


def rows(subject: Subject, *, quick: bool) -> list[Row]:
    """Return the rows of this group."""
    times = 2 if quick else _TIMES
    one_job = [["sub", "-n", "j", "true"]]
    return [
        _beside_click("help", "`sparkles --help`", times, lambda to: subject.run(to, "--help", times=times)),
        _beside_click(
            "status", "`sparkles status`, one job",
            times, lambda to: subject.run(to, "status", before=one_job, times=times, ends=True),
        ),
        _echo("echo-cold", "`sparkles sub echo hello world`, no node yet", 0.5, subject, before=[]),
        _echo("echo-warm", "the same, with a node that lingers", 0.25, subject, before=one_job),
    ]  # fmt: skip


def _beside_click(name: str, title: str, times: int, make: Callable[[Path], Run]) -> Row:
    def hello(folder: Path) -> Run:
        shutil.copy(PROGRAMS / "hello.py", folder)
        return Run(command=[sys.executable, "hello.py"], times=times)

    return Row(
        name=name, group="startup", title=title,
        contestants=[
            Contestant(name="sparkles", count=times, make=make),
            Contestant(name=_HELLO, count=times, make=hello),
        ],
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL, than=_HELLO, at_most=2),
            Comparison(of="sparkles", metric=Metric.OWN, than=_HELLO),
        ],
    )  # fmt: skip


def _echo(name: str, title: str, seconds: float, subject: Subject, *, before: list[list[str]]) -> Row:
    def make(folder: Path) -> Run:
        return subject.run(folder, "sub", "echo", "hello", "world", before=before, ends=True)

    return Row(
        name=name, group="startup", title=title, contestants=[Contestant(name="sparkles", make=make)],
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL, at_most=seconds),
            Comparison(of="sparkles", metric=Metric.OWN),
        ],
    )  # fmt: skip
