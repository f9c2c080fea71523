"""`sparkles report`: a page about a job, as one file."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from sparkles import __version__, leavings, lineup, names, results
from sparkles.backends.replacing import replacing
from sparkles.cli.context import Chosen, hint, with_backend
from sparkles.cli.terminal import is_terminal
from sparkles.errors import RequestError
from sparkles.model import Job, Task
from sparkles.nodes import find_cluster
from sparkles.paths import is_inside
from sparkles.ports import Backend
from sparkles.quantities import counted, human_bytes
from sparkles.report import GENERATOR, Subject, page

#: Seconds after which it is said how far it is, and between two times.
_PATIENCE = 1.0

#: Bytes at the beginning of a page in which it says who made it.
_HEAD = 1024


@click.command("report")
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path),
    help="The file to write, - for stdout; JOB.html if nothing is said.",
)  # fmt: skip
@click.option(
    "--fields-from", "source", metavar="FILE",
    help="A file that each task left, such as metrics.json: a JSON object, or a CSV of one row. Its fields are shown, "
    "too.",
)  # fmt: skip
@click.argument("job", default=names.LAST)
@with_backend
def report_cmd(chosen: Chosen, job: str, target: Path | None, source: str | None) -> None:
    """Write a page about a job: what became of it, where its time went, what broke.

    It is one file that needs no network; of a whole it has all jobs. When each task ran where, how run times and memory
    are spread, the tasks with their parameters, the manifest, and what the results come from are in it as well. It may
    be made while the job runs; a page that is there already is replaced.

    \b
    Examples:
      sparkles report fit
      sparkles report LAST -o fit.html --fields-from metrics.json
    """
    if source is not None and not is_inside(source):
        raise RequestError(f"--fields-from {source}: expected the name of a file in the result folders of the tasks")
    backend = chosen.open(write=False)
    jobs = lineup.one_or_whole(job, backend.state.jobs(), backend)
    name = jobs[0].whole if len(jobs) > 1 and jobs[0].whole else jobs[0].name
    target = target or Path(f"{name}.html")
    _require_ours(target)
    now = time.time()
    subjects = [_subject(one, source, backend) for one in jobs]
    text = page(name, subjects, now=now).encode("utf-8", "replace")
    if str(target) == "-":
        click.echo(text, nl=False)
        return
    with replacing(target) as path:
        path.write_bytes(text)
    hint(f"wrote {target}; open it in a browser")
    if source is not None and not any(subject.fields for subject in subjects):
        hint(
            f"hint: no task has left a file {source} with fields; 'sparkles fetch JOB.N DEST_DIR' brings what one left"
        )


def _require_ours(target: Path) -> None:
    """Refuse to write over what is no report."""
    if str(target) == "-" or not target.exists():
        return
    if target.is_dir():
        raise RequestError(f"{target} is a folder; name a file in it: -o {target / 'report.html'}")
    with target.open("rb") as file:
        head = file.read(_HEAD)
    if head and f'content="{GENERATOR}"'.encode() not in head:
        raise RequestError(f"{target} is there, and no report; choose another name with -o")


def _subject(job: Job, source: str | None, backend: Backend) -> Subject:
    """Read all that the page shows of a job."""
    tasks = list(_counting(f"reading tasks of {job.name}", backend.state.tasks(job.name)))
    fields: Mapping[str, leavings.Values] = {}
    notes: list[str] = []
    if source is not None:
        said = _Progress(f"reading {source} of {len(tasks):,} tasks of {job.name}")
        left = leavings.read(tasks, source, backend, done=said)
        fields, notes = left.fields, list(_gaps(left, source))
    return Subject(
        job=job,
        tasks=tasks,
        document=results.manifest(job, backend) if job.generation else None,
        fields=fields,
        origin=dict(_origin(job, backend)),
        notes=notes,
    )


def _gaps(left: leavings.Leavings, source: str) -> Iterator[str]:
    if left.missing:
        yield f"{counted(left.missing, 'result')} without {source}."
    if left.unreadable:
        one = left.unreadable == 1
        yield (
            f"{left.unreadable} {'file' if one else 'files'} {source} {'holds' if one else 'hold'} no fields: neither "
            f"a JSON object nor a CSV of one row, or more than {human_bytes(leavings.LARGEST)}."
        )


def _origin(job: Job, backend: Backend) -> Iterator[tuple[str, str]]:
    """Yield what is known of where a job ran and runs."""
    yield "backend", backend.name
    yield "results", backend.objects.url(job.name)
    cluster = find_cluster(job.cluster, backend)
    yield "cluster", job.cluster
    if cluster and cluster.machine:
        yield "machines", f"{cluster.machine.type} in {cluster.machine.region}"
        yield "worker", cluster.machine.program.sha256
    yield "this page", f"sparkles {__version__}, Python {platform.python_version()}"


class _Progress:
    """Says on a terminal how far something is that takes more than a moment."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._due = time.monotonic() + _PATIENCE

    def __call__(self, count: int) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _PATIENCE
            if is_terminal(sys.stderr):
                hint(f"{self._what}: {count:,}")


def _counting(what: str, tasks: Iterator[Task]) -> Iterator[Task]:
    said: Callable[[int], None] = _Progress(what)
    for count, task in enumerate(tasks, start=1):
        said(count)
        yield task
