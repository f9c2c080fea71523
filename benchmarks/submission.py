"""Submission: jobs of many rows while the node is busy with another, and applying again what has not changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.measure import Run
from benchmarks.nouns import Comparison, Contestant, Metric, Row
from benchmarks.subject import HOME, Subject

#: Keeps the one slot of the node busy, so that it does nothing but wait.
BLOCKER = ["sub", "-n", "blocker", "--slots", "1", "--no-wait", "sleep", "3600"]

_MANIFEST = """\
apiVersion: sparkles/v1
kind: Job
metadata: {name: j}
spec: {command: ["true"], uploads: [data], nodes: {linger: 0s}}
"""

#: Files younger than a moment are read anew each time, since they may still change.
SETTLED = 3.0


def rows(subject: Subject, *, quick: bool) -> list[Row]:
    """Return the rows of this group."""
    scale = 100 if quick else 1
    return [
        _submission("submit-10k", subject, 10_000 // scale, seconds=0.3),
        _submission("submit-100k", subject, 100_000 // scale, seconds=1),
        _submission("submit-1m", subject, 1_000_000 // scale, seconds=6, megabytes=100),
        _again(subject, 10_000 // scale),
    ]


def _submission(name: str, subject: Subject, count: int, *, seconds: float, megabytes: float | None = None) -> Row:
    def make(folder: Path) -> Run:
        write_rows(folder / "rows.csv", count)
        words = ["sub", "-n", "j", "--slots", "1", "--no-wait", "--params", "rows.csv", "echo", "{gene}", "{dose}"]
        return subject.run(folder, *words, before=[BLOCKER], ends=True)

    return Row(
        name=name, group="submission", title=f"submit {count:,} rows of a CSV file",
        contestants=[Contestant(name="sparkles", make=make)],
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL, at_most=seconds),
            Comparison(of="sparkles", metric=Metric.OWN),
            Comparison(of="sparkles", metric=Metric.PEAK, at_most=megabytes and megabytes * 1e6),
        ],
    )  # fmt: skip


def write_rows(path: Path, count: int) -> None:
    """Write a table of two columns, no two rows alike."""
    lines = (f"gene{index},{index % 10 / 10}\n" for index in range(count))
    path.write_text("gene,dose\n" + "".join(lines), encoding="utf-8")


def _again(subject: Subject, count: int) -> Row:
    def make(folder: Path) -> Run:
        (folder / "job.yaml").write_text(_MANIFEST, encoding="utf-8")
        (folder / HOME).mkdir(mode=0o700)  # hashes are only remembered in a home that is there
        _write_files(folder / "data", count)
        return subject.run(folder, "apply", "job.yaml", before=[["apply", "--wait", "job.yaml"]])

    return Row(
        name="reapply", group="submission", title=f"apply again, unchanged, {count:,} uploads",
        contestants=[Contestant(name="sparkles", make=make)],
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL, at_most=0.5),
            Comparison(of="sparkles", metric=Metric.OWN),
            Comparison(of="sparkles", metric=Metric.PEAK),
        ],
    )  # fmt: skip


def _write_files(folder: Path, count: int) -> None:
    folder.mkdir()
    for index in range(count):
        (folder / f"{index}.txt").write_text(f"file {index}\n", encoding="utf-8")
    os.sync()
    time.sleep(SETTLED)
