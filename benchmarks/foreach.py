"""Foreach: what its three phases take, beside the same commands as one job whose files are there already."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import Run
from benchmarks.nouns import Comparison, Contestant, Metric, Row
from benchmarks.subject import HOME, Subject

_BARE = "the same commands"

_SCRIPT = """\
def get_foreach_args(count):
    return dict(elements=range(int(count)))


def foreach(x):
    return x


def gather(results):
    assert results == list(range(len(results)))
"""

#: The node goes soon, so that all it took is known.
_FOREACH = """\
apiVersion: sparkles/v1
kind: Foreach
metadata: {name: j}
spec:
  script: scatter.py
  args: ["COUNT"]
  resources: {slots: 2}
  nodes: {linger: 2s}
"""

_JOB = """\
apiVersion: sparkles/v1
kind: Job
metadata: {name: j}
spec:
  command: [python3, .foreach/run.py, foreach, scatter.py, foreach, "{key}"]
  env: {PYTHONHASHSEED: "0"}
  parameters: {csv: .foreach/batches.csv}
  uploads: [.foreach/run.py, scatter.py, .foreach/extra.pkl, ".foreach/elements/{batch}:.foreach/elements"]
  resources: {slots: 2}
  nodes: {linger: 2s}
"""


def rows(subject: Subject, *, quick: bool) -> list[Row]:
    """Return the rows of this group."""
    return [
        _row("foreach-1k", subject, 20 if quick else 1000),
        _row("foreach-10k", subject, 30 if quick else 10_000, long=True),
    ]


def _row(name: str, subject: Subject, count: int, *, long: bool = False) -> Row:
    return Row(
        name=name, group="foreach", title=f"foreach of {count:,} trivial elements, 2 slots", unit="element",
        rounds=3, long=long,
        contestants=[_phases(subject, count), _bare(subject, count)],
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL, than=_BARE, at_most=1.2),
            Comparison(of="sparkles", metric=Metric.CPU, than=_BARE, at_most=1.2),
            Comparison(of="sparkles", metric=Metric.PEAK, than=_BARE),
        ],
    )  # fmt: skip


def _phases(subject: Subject, count: int) -> Contestant:
    def make(folder: Path) -> Run:
        _write(folder, _FOREACH.replace("COUNT", str(count)))
        return subject.run(folder, "apply", "--wait", "job.yaml")

    return Contestant(name="sparkles", count=count, make=make, leaves=f"{HOME}/objects/j/*/.foreach/result.pkl")


def _bare(subject: Subject, count: int) -> Contestant:
    def make(folder: Path) -> Run:
        _write(folder, _JOB)
        (folder / ".foreach").mkdir()
        shutil.copy(subject.checkout / "templates" / "foreach.py", folder / ".foreach" / "run.py")
        made = [sys.executable, ".foreach/run.py", "getargs", "scatter.py", "get_foreach_args", "1", str(count)]
        return replace(subject.run(folder, "apply", "--wait", "job.yaml"), before=[made])

    return Contestant(name=_BARE, count=count, make=make, leaves=f"{HOME}/objects/j/*/.foreach/result.pkl")


def _write(folder: Path, document: str) -> None:
    (folder / "scatter.py").write_text(_SCRIPT, encoding="utf-8")
    (folder / "job.yaml").write_text(document, encoding="utf-8")
