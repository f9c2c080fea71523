"""`sparkles kill` and `delete`: acting on jobs that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import click

from sparkles import leftovers, lineup, names, recover, results
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.submission import ask, owner, require_owner
from sparkles.errors import RequestError
from sparkles.model import Job, JobState
from sparkles.ports.backend import Backend
from sparkles.quantities import counted

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
