"""Containers: tasks that run in an image one after the other, beside the engine's API and its command line.

The engine's own work is done by its daemon and not counted as anybody's CPU; it is in the wall time of all.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import image, needed
from benchmarks.measure import Run, RunFailed, measure
from benchmarks.nouns import Comparison, Contestant, Metric, Row
from benchmarks.subject import HOME, PROGRAMS, Subject

_API, _COMMAND_LINE = "engine's API", "docker run --rm"

_MANIFEST = """\
apiVersion: sparkles/v1
kind: Job
metadata: {{name: j}}
spec:
  image: {image}
  command: [busybox, echo, task, "{{index}}"]
  parameters: {{seq: {count}}}
  resources: {{slots: 1}}
  nodes: {{linger: 2s}}
"""


def rows(subject: Subject, *, quick: bool) -> list[Row]:
    """Return the rows of this group."""
    count = 2 if quick else 30
    contestants = [
        Contestant(
            name="sparkles", count=count, make=_sparkles(subject, count),
            leaves=f"{HOME}/objects/j/*/stdout.txt", missing=functools.partial(_cannot_run_images, subject),
        ),
        Contestant(name=_API, count=count, make=_api(count), leaves="out/*", missing=_without_library),
        Contestant(name=_COMMAND_LINE, count=count, make=_command_line(count), leaves="out/*", missing=image.missing),
    ]  # fmt: skip
    row = Row(
        name="containers", group="containers", title=f"{count} container tasks, 1 slot", unit="task",
        contestants=contestants,
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL, than=_API, at_most=1.1),
            Comparison(of="sparkles", metric=Metric.WALL, than=_COMMAND_LINE),
            Comparison(of="sparkles", metric=Metric.CPU, than=_API),
            Comparison(of=_COMMAND_LINE, metric=Metric.WALL, than=_API),
        ],
    )  # fmt: skip
    return [row]


def _sparkles(subject: Subject, count: int) -> Callable[[Path], Run]:
    def make(folder: Path) -> Run:
        (folder / "job.yaml").write_text(_MANIFEST.format(image=image.NAME, count=count), encoding="utf-8")
        return subject.run(folder, "apply", "--wait", "job.yaml")

    return make


def _api(count: int) -> Callable[[Path], Run]:
    def make(folder: Path) -> Run:
        (folder / "out").mkdir()
        return Run(command=[sys.executable, str(PROGRAMS / "containers.py"), image.NAME, str(count)])

    return make


def _command_line(count: int) -> Callable[[Path], Run]:
    line = f"for i in $(seq {count}); do docker run --rm {image.NAME} busybox echo task $i >out/$i 2>&1 || exit; done"

    def make(folder: Path) -> Run:
        (folder / "out").mkdir()
        return Run(command=["sh", "-c", line])

    return make


def _cannot_run_images(subject: Subject) -> str:
    if why := image.missing():
        return why
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            measure(subject.run(folder, "sub", "--dry-run", "-i", image.NAME, "true"), folder)
        except RunFailed as error:
            return str(error)
    return ""


def _without_library() -> str:
    return needed.library("docker")() or image.missing()
