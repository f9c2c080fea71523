"""Cloud: what the other groups measure at home, with state and files in the stand-in cloud; and what only is there."""

from __future__ import annotations

from pathlib import Path

from benchmarks import claims, files, standin
from benchmarks.measure import Run
from benchmarks.nouns import Comparison, Metric, Row
from benchmarks.subject import Subject
from benchmarks.submission import BLOCKER, write_rows

#: Once is too short to be measured well.
_TIMES = 10


def rows(subject: Subject, *, quick: bool) -> list[Row]:
    """Return the rows of this group."""
    scale = 100 if quick else 1
    return [
        _looks(subject, 2 if quick else _TIMES),
        _echo(subject),
        _submission("submit-cloud-10k", subject, 10_000 // scale, seconds=2),
        _submission("submit-cloud-100k", subject, 100_000 // scale, seconds=8),
        claims.row(subject, 40 if quick else 2000, workers=2 if quick else 16),
        files.many(subject, 10_000 // scale),
        files.large(subject, 5_000_000_000 // scale),
    ]


def _looks(subject: Subject, times: int) -> Row:
    def make(folder: Path) -> Run:
        return subject.run(folder, "status", before=[["sub", "-n", "j", "true"]], times=times, ends=True)

    return Row(
        name="status-cloud", group="cloud", title="`sparkles status`, one job, in the cloud",
        contestants=[standin.contestant("sparkles", make, count=times)],
        comparisons=[Comparison(of="sparkles", metric=metric) for metric in (Metric.WALL, Metric.OWN)],
    )  # fmt: skip


def _echo(subject: Subject) -> Row:
    def make(folder: Path) -> Run:
        return subject.run(folder, "sub", "echo", "hello", "world", before=[["sub", "-n", "j", "true"]], ends=True)

    return Row(
        name="sub-echo-cloud", group="cloud",
        title="`sparkles sub echo hello world`, in the cloud, with a node that lingers",
        contestants=[standin.contestant("sparkles", make)],
        comparisons=[Comparison(of="sparkles", metric=metric) for metric in (Metric.WALL, Metric.OWN)],
    )  # fmt: skip


def _submission(name: str, subject: Subject, count: int, *, seconds: float) -> Row:
    def make(folder: Path) -> Run:
        write_rows(folder / "rows.csv", count)
        words = ["sub", "-n", "j", "--slots", "1", "--no-wait", "--params", "rows.csv", "echo", "{gene}", "{dose}"]
        return subject.run(folder, *words, before=[BLOCKER], ends=True)

    return Row(
        name=name, group="cloud", title=f"submit {count:,} rows of a CSV file to the cloud",
        warm_ups=standin.WARM_UPS, contestants=[standin.contestant("sparkles", make)],
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL, at_most=seconds),
            Comparison(of="sparkles", metric=Metric.OWN),
            Comparison(of="sparkles", metric=Metric.PEAK),
        ],
    )  # fmt: skip
