"""`sparkles kill`, `delete` and `fetch`: acting on jobs that exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import click

from sparkles import leftovers, lineup, names, recover, results
from sparkles.cli.context import Chosen, hint, with_backend
from sparkles.cli.submission import ask, owner, require_owner
from sparkles.errors import RequestError
from sparkles.model import Job, JobState, Task
from sparkles.ports import Backend
from sparkles.quantities import counted, human_bytes

_YES = click.option("--yes", is_flag=True, help="Do not ask; also for jobs of others.")


@click.command("kill")
@_YES
@click.argument("targets", nargs=-1, required=True, metavar="JOB[.N]...")
@with_backend
def kill_cmd(chosen: Chosen, targets: Sequence[str], yes: bool) -> None:
    """Stop the tasks of a job that have not ended.

    Tasks that have ended stay as they are, with their results.

    \b
    Examples:
      sparkles kill LAST
      sparkles kill fit.3 fit.4
    """
    backend = chosen.open()
    jobs = backend.state.jobs()
    found = [_target(text, jobs, backend) for text in targets]
    chosen_jobs = [(job, index) for some, index in found for job in some]
    for job, _ in chosen_jobs:
        require_owner(job, yes=yes)
    for job, index in chosen_jobs:
        number = recover.stop(job, backend, by=owner(), index=index)
        waited = "; it waits no longer" if job.state is JobState.WAITING and index is None else ""
        click.echo(f"{job.name}: {counted(number, 'task')} stopped{waited}")


def _target(text: str, jobs: Sequence[Job], backend: Backend) -> tuple[list[Job], int | None]:
    name, index = names.split_task(text)
    if index is None:
        return lineup.jobs_of(name, jobs, backend)[::-1], None  # lest one begins that waits for another
    job = names.one(name, jobs)
    results.find_task(job, index, backend)
    return [job], index


@click.command("delete")
@click.option("--results", "with_results", is_flag=True, help="Also remove the results.")
@_YES
@click.argument("jobs", nargs=-1, required=True)
@with_backend
def delete_cmd(chosen: Chosen, jobs: Sequence[str], with_results: bool, yes: bool) -> None:
    """Remove jobs, and their results if asked to.

    \b
    Example:
      sparkles delete --results fit
    """
    backend = chosen.open()
    there = backend.state.jobs()
    left = {name: leftovers.of(name, there, backend) for name in jobs}
    gone = [name for name in jobs if left[name] and not any(name in (job.name, job.whole) for job in there)]
    if gone and not with_results:
        raise RequestError(f"job {gone[0]} is deleted, but its results are still there; remove them with --results")
    known = [name for name in jobs if name not in gone]
    found = {job.name: job for name in known for job in lineup.jobs_of(name, there, backend)[::-1]}
    for job in found.values():
        require_owner(job, yes=yes)
    if not yes:
        _ask_for(found, there, backend)
    for job in found.values():
        recover.delete(job, backend, results=with_results)
        kept = "; its results are kept" if backend.objects.results(job.name) else ""
        click.echo(f"{job.name}: removed{kept}")
    for name in dict.fromkeys(chain(*left.values())) if with_results else ():
        backend.objects.remove_results(name)
        click.echo(f"{name}: results removed")


def _ask_for(doomed: Mapping[str, Job], there: Sequence[Job], backend: Backend) -> None:
    """Ask before jobs are removed that still run, or that others wait for."""
    busy = [name for name in doomed if backend.state.is_open(name)]
    if busy:
        ask(f"{', '.join(busy)}: tasks have not ended; they would be stopped")
    for job in there:
        needed = [name for name in (job.waiting.needs if job.waiting else ()) if name in doomed]
        if needed and job.name not in doomed:
            ask(f"job {job.name} waits for {', '.join(needed)}; it would wait for ever")


def _is_leftover(name: str, jobs: Sequence[Job], backend: Backend) -> bool:
    return all(job.name != name for job in jobs) and name != names.LAST and bool(backend.objects.results(name))


@click.command("fetch")
@click.argument("target", metavar="JOB[.N]")
@click.argument("destination", metavar="DEST_DIR", type=click.Path(path_type=Path, file_okay=False))
@with_backend
def fetch_cmd(chosen: Chosen, target: str, destination: Path) -> None:
    """Copy the results of a job to a folder.

    Each task's files go to DEST_DIR/<index>/; those of a whole to DEST_DIR/<job>/<index>/.

    \b
    Example:
      sparkles fetch LAST results
    """
    backend = chosen.open()
    name, index = names.split_task(target)
    jobs = backend.state.jobs()
    if index:
        job = names.one(name, jobs)
        _fetch(job.name, iter([results.find_task(job, index, backend)]), destination, backend)
    elif _is_leftover(name, jobs, backend):
        _fetch(name, None, destination, backend)
    else:
        found = lineup.one_or_whole(name, jobs, backend)
        for job in found:
            folder = destination if len(found) == 1 else destination / job.name
            _fetch(job.name, backend.state.tasks(job.name), folder, backend)


def _fetch(name: str, tasks: Iterable[Task] | None, destination: Path, backend: Backend) -> None:
    count, size = results.fetch(name, tasks, destination, backend)
    if count:
        click.echo(f"{count} results ({human_bytes(size)}) of {name} are in {destination}")
    else:
        hint(f"no task of {name} has a result yet; 'sparkles status {name}' says how far it is")
