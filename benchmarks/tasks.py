"""Tasks: many that do nothing but echo, two at a time, each with its output in a file and its exit code kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import needed
from benchmarks.measure import Run
from benchmarks.nouns import Comparison, Contestant, Metric, Row
from benchmarks.subject import HOME, PROGRAMS, Subject

_C = "C posix_spawn loop"
_PARALLEL = "GNU parallel"

#: The node goes soon, so that all it took is known; but after the command, which would else count it as its own.
_MANIFEST = """\
apiVersion: sparkles/v1
kind: Job
metadata: {{name: j}}
spec:
  command: [echo, task, "{{index}}"]
  parameters: {{seq: {count}}}
  resources: {{slots: 2}}
  nodes: {{linger: 2s}}
"""


def rows(subject: Subject, *, quick: bool) -> list[Row]:
    """Return the rows of this group."""
    return [
        _beside_others(subject, 20 if quick else 1000),
        _line(subject, [10, 20] if quick else [1000, 10_000, 100_000]),
    ]


def _beside_others(subject: Subject, count: int) -> Row:
    others = [
        Contestant(name=_C, count=count, make=_c_loop(count), leaves="out/*", missing=needed.program("cc", "gcc")),
        Contestant(name="xargs -P2", count=count, make=_xargs(count), leaves="out/*"),
        Contestant(
            name=_PARALLEL, count=count, make=_parallel(count), leaves="out/*/*/stdout",
            missing=needed.program("parallel", "parallel"),
        ),
        *(
            Contestant(name=name, count=count, make=_python(name, count), leaves="out/*", missing=needed.library(name))
            for name in ("huey", "joblib")
        ),
    ]  # fmt: skip
    return Row(
        name="tasks", group="tasks", title=f"{count:,} trivial tasks, 2 slots", unit="task",
        contestants=[_sparkles("sparkles", subject, count), *others], comparisons=_comparisons(others),
    )  # fmt: skip


def _comparisons(others: Sequence[Contestant]) -> list[Comparison]:
    most = {_C: 2.0, _PARALLEL: 0.2}
    return [
        *(Comparison(of="sparkles", metric=Metric.CPU, than=one.name, at_most=most.get(one.name)) for one in others),
        *(Comparison(of="sparkles", metric=Metric.WALL, than=one.name) for one in others),
        Comparison(of="sparkles", metric=Metric.OWN),
        Comparison(of="sparkles", metric=Metric.REST),
        Comparison(of="sparkles", metric=Metric.PEAK),
    ]


def _line(subject: Subject, counts: Sequence[int]) -> Row:
    names = [f"sparkles, {count:,} tasks" for count in counts]
    first, *_, last = names
    return Row(
        name="line", group="tasks", title="cost of a task in jobs of many", unit="task", rounds=3, long=True,
        contestants=[_sparkles(name, subject, count) for name, count in zip(names, counts, strict=True)],
        comparisons=[
            Comparison(of=last, metric=Metric.CPU, than=first, at_most=1.2),
            *(Comparison(of=name, metric=Metric.REST, than=first) for name in names[1:]),
            Comparison(of=last, metric=Metric.PEAK, than=first),
        ],
    )  # fmt: skip


def _sparkles(name: str, subject: Subject, count: int) -> Contestant:
    def make(folder: Path) -> Run:
        (folder / "job.yaml").write_text(_MANIFEST.format(count=count), encoding="utf-8")
        return subject.run(folder, "apply", "--wait", "job.yaml")

    return Contestant(name=name, count=count, make=make, leaves=f"{HOME}/objects/j/*/stdout.txt")


def _c_loop(count: int) -> Callable[[Path], Run]:
    def make(folder: Path) -> Run:
        (folder / "out").mkdir()
        return Run(before=[["cc", "-O2", "-o", "spawn", str(PROGRAMS / "spawn.c")]], command=["./spawn", str(count)])

    return make


def _xargs(count: int) -> Callable[[Path], Run]:
    def make(folder: Path) -> Run:
        (folder / "out").mkdir()
        _write_numbers(folder, count)
        return Run(command=["xargs", "-a", "numbers", "-P2", "-I{}", "sh", "-c", "exec echo task {} >out/{} 2>&1"])

    return make


def _parallel(count: int) -> Callable[[Path], Run]:
    def make(folder: Path) -> Run:
        _write_numbers(folder, count)
        words = ["--will-cite", "-j2", "--joblog", "log", "--results", "out", "-a", "numbers", "echo", "task"]
        return Run(command=["parallel", *words])

    return make


def _write_numbers(folder: Path, count: int) -> None:
    (folder / "numbers").write_text("".join(f"{index}\n" for index in range(1, count + 1)), encoding="utf-8")


def _python(name: str, count: int) -> Callable[[Path], Run]:
    def make(folder: Path) -> Run:
        (folder / "out").mkdir()
        return Run(command=[sys.executable, str(PROGRAMS / f"{name}_tasks.py"), str(count)])

    return make
