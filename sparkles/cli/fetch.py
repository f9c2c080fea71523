"""`sparkles fetch`: results come to a folder here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from sparkles import fetching, leftovers, lineup, names, patterns, results, selection
from sparkles.cli.context import Chosen, hint, with_backend
from sparkles.cli.transfer import Transfer
from sparkles.errors import BackendError, RequestError
from sparkles.fetching import Choice, Destination, Folder, Outcome
from sparkles.model import Job, Task
from sparkles.ports.backend import Backend
from sparkles.prepare import find_job
from sparkles.quantities import counted, human_bytes


@click.command("fetch")
@click.option(
    "--include", multiple=True, metavar="PATTERN",
    help="Only files of these names, such as '*.csv' or plots/; patterns as in spec.outputs.include.",
)  # fmt: skip
@click.option("--flat", is_flag=True, help="Put the tasks' own files into DEST_DIR itself, without folders.")
@click.option("--prefix", is_flag=True, help="With --flat: begin each name with the index of its task, as in 3-a.csv.")
@click.option(
    "--filter", "expressions", multiple=True, metavar="EXPR",
    help="Only of tasks for which this holds, such as state=failed; as in 'sparkles list'.",
)  # fmt: skip
@click.argument("target", metavar="JOB[.N]")
@click.argument("destination", metavar="DEST_DIR", type=click.Path(path_type=Path, file_okay=False))
@with_backend
def fetch_cmd(
    chosen: Chosen, target: str, destination: Path, include: tuple[str, ...], flat: bool, prefix: bool,
    expressions: Sequence[str],
) -> None:  # fmt: skip
    """Copy the results of a job to a folder.

    Each task's files go to DEST_DIR/<index>/; those of a whole to DEST_DIR/<job>/<index>/. What is there already is not
    copied again, so the same command goes on with what was cut off, and brings what has come since.

    \b
    Examples:
      sparkles fetch LAST results
      sparkles fetch fit results --include '*.csv' --filter state=succeeded
      sparkles fetch fit tables --flat --prefix --include out.csv
    """
    _check(include, flat=flat, prefix=prefix)
    backend = chosen.open()
    parts = _parts(target, expressions, backend)
    choice = Choice(include=include, flat=flat, prefix=prefix, several=len(parts) > 1)
    if flat:
        everything = (folder for part in parts for folder in part.folders(backend))
        fetching.check_names(everything, choice, backend)
    for part in parts:
        with Transfer(f"fetching {part.name}", files=0) as transfer:
            found = part.folders(backend)
            outcome = fetching.fetch(found, Destination(destination), backend, choice=choice, moved=transfer.add)
        _require_that_it_is_there(part, outcome, destination, backend)
        _say(part, outcome, destination, include, is_filtered=bool(expressions))


def _check(include: Sequence[str], *, flat: bool, prefix: bool) -> None:
    for pattern in include:
        if flaw := patterns.flaw(pattern):
            raise RequestError(f"--include {pattern!r}: {flaw}")
    if prefix and not flat:
        raise RequestError("--prefix is for --flat; without it each task has a folder of its own")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What is wanted of one job."""

    name: str
    #: None if it is deleted.
    job: Job | None = None
    #: Yields the tasks, as they are now; None for all that a deleted job left.
    tasks: Callable[[], Iterator[Task]] | None = None

    def folders(self, backend: Backend) -> Iterator[Folder]:
        """Yield the result folders, as they are now."""
        return fetching.folders(self.name, self.tasks() if self.tasks else None, backend)


def _parts(target: str, expressions: Sequence[str], backend: Backend) -> list[_Part]:
    name, index = names.split_task(target)
    jobs = backend.state.jobs()
    if index is None and (left := _left(name, jobs, backend)):
        if expressions:
            raise RequestError(
                f"job {name} is deleted: of its tasks nothing is known but their results; leave out --filter"
            )
        return [_Part(name=job) for job in left]
    found, index = lineup.target(target, jobs, backend)
    if index and expressions:
        raise RequestError(f"{target} is one task; --filter is for those of a job")
    if index:
        return [_Part(name=found[0].name, job=found[0], tasks=partial(_one, found[0], index, backend))]
    wanted = selection.passing(expressions)
    wanted.require(found, backend)
    return [_Part(name=job.name, job=job, tasks=partial(wanted.of, [job], backend)) for job in found]


def _one(job: Job, index: int, backend: Backend) -> Iterator[Task]:
    yield results.find_task(job, index, backend)


def _left(name: str, jobs: Sequence[Job], backend: Backend) -> list[str]:
    """Return the deleted jobs that a name stands for, if it stands for no other."""
    is_known = any(name in (job.name, job.whole) for job in jobs)
    return [] if is_known else leftovers.of(name, jobs, backend)


def _require_that_it_is_there(part: _Part, outcome: Outcome, destination: Path, backend: Backend) -> None:
    """Raise BackendError if what was copied has been deleted meanwhile: then not all of it has come."""
    now = find_job(backend, part.name)
    is_there = part.job is None or (now is not None and now.submitted == part.job.submitted)
    if is_there and not outcome.gone:
        return
    left = backend.objects.results(part.name) if now is None else ()
    rest = (
        f"'sparkles fetch {part.name} {destination}' brings the others, which were kept" if left else "others are gone"
    )
    came = f"{counted(outcome.results, 'result')} came to {destination}"
    raise BackendError(f"{part.name} was deleted while it was copied: {came}; {rest}")


def _say(part: _Part, outcome: Outcome, destination: Path, include: Sequence[str], *, is_filtered: bool) -> None:
    files, name = outcome.files, part.name
    if is_filtered and not outcome.results + outcome.without:
        hint(f"{name}: there is no such task, so nothing was copied; 'sparkles list {name}' shows those that there are")
        return
    if not outcome.results:
        hint(f"no task of {name} has a result yet; 'sparkles status {name}' says how far it is")
        return
    of = f"of {counted(outcome.results, 'result')}"
    if files.files:
        there = f"; {files.there} more were there already" if files.there else ""
        click.echo(
            f"{name}: {counted(files.files, 'file')} ({human_bytes(files.size)}) {of} copied to {destination}{there}"
        )
    elif files.there:
        click.echo(f"{name}: all {counted(files.there, 'file')} {of} are in {destination} already")
    else:
        wanted = f"called {' or '.join(map(repr, include))}" if include else "the task's own"
        hint(f"{name}: no file {of} is {wanted}; 'sparkles fetch {name}.N DEST_DIR' brings all of one task")
    if outcome.without:
        hint(f"{name}: {counted(outcome.without, 'task')} without a result; 'sparkles list {name}' says why")
