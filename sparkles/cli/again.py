"""`sparkles retry` and `sparkles scale`: asking more of a job that is there, without its manifest."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sparkles import filters, names, results
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.submission import carry_out_or_heal, confirm, fetch_image, follow_all, require_owner, show_all
from sparkles.errors import RequestError
from sparkles.model import Job, JobState, TaskState
from sparkles.ports import Backend
from sparkles.prepare import prepare_stored
from sparkles.quantities import counted
from sparkles.recover import rescale
from sparkles.settle import settle


@click.command("retry")
@click.option("--failed", is_flag=True, help="Only those that failed.")
@click.option("--killed", is_flag=True, help="Only those that were killed.")
@click.option(
    "--filter", "expressions", multiple=True, metavar="EXPR",
    help="Only those of which this is true, such as 'exit=137' or 'params.size=large'.",
)  # fmt: skip
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), help="Print the plan as this.")
@click.option("--wait", is_flag=True, help="Watch the job until it has ended.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before something is lost; also for jobs of others.")
@click.argument("target", metavar="JOB[.N]")
@with_backend
def retry_cmd(
    chosen: Chosen, target: str, failed: bool, killed: bool, expressions: Sequence[str], form: str | None, wait: bool,
    dry_run: bool, yes: bool,
) -> None:  # fmt: skip
    """Run the tasks of a job again that failed or were killed.

    They run as they were defined; to run them with changed files or flags use apply or sub. JOB.N is one task,
    however it ended. A job that waits for this one begins when all of its tasks have succeeded.

    \b
    Examples:
      sparkles retry fit
      sparkles retry fit --failed --filter 'reason=timeout'
      sparkles retry fit.3 --wait
    """
    chosen_filters = [filters.parse(text) for text in expressions]
    backend = chosen.open(write=not dry_run)
    name, index = names.split_task(target)
    job = names.one(name, backend.state.jobs())
    if job.state is JobState.WAITING:
        raise RequestError(
            f"job {job.name} waits for others ('sparkles watch {job.name}'); what has failed of it runs again when it "
            "begins if its manifest is applied with --rerun failed"
        )
    if index is None:
        states = [TaskState.FAILED] * (failed or not killed) + [TaskState.KILLED] * (killed or not failed)
        retry = _chosen(job, states, chosen_filters, backend)
    else:
        retry = _one(job, index, backend)
    prepared = prepare_stored(job, backend, retry=retry)
    if not retry and prepared.plan.is_empty:
        such = "such " if expressions or failed or killed else ""
        click.echo(f"job {job.name}: no {such}task failed or was killed; there is nothing to retry")
        return
    show_all([prepared], form)
    if dry_run:
        return
    confirm(prepared, yes=yes)
    fetch_image(prepared, backend)
    carry_out_or_heal(prepared, backend, yes=yes, as_it_was=True)
    if wait:
        follow_all([job.name], backend, quiet=form is not None)


def _chosen(
    job: Job, states: Sequence[TaskState], chosen: Sequence[filters.Filter], backend: Backend
) -> frozenset[int]:
    if chosen:
        filters.check(chosen, backend.state.tasks(job.name))
    return frozenset(task.index for task in filters.select(chosen, backend.state.tasks(job.name, states=states)))


def _one(job: Job, index: int, backend: Backend) -> frozenset[int]:
    task = results.find_task(job, index, backend)
    if task.state in (TaskState.PENDING, TaskState.CLAIMED):
        raise RequestError(f"{task.id} has not ended; stop it first with 'sparkles kill {task.id}'")
    return frozenset([index])


@click.command("scale")
@click.option("--yes", is_flag=True, help="Also for jobs of others.")
@click.argument("job")
@click.argument("nodes", type=click.IntRange(min=1), metavar="N")
@with_backend
def scale_cmd(chosen: Chosen, job: str, nodes: int, yes: bool) -> None:
    """Let at most N nodes serve a job, whatever its manifest says.

    That holds until the manifest's own nodes.max changes.

    \b
    Example:
      sparkles scale fit 20
    """
    backend = chosen.open()
    found = names.one(job, backend.state.jobs())
    require_owner(found, yes=yes)
    settle(found.name, backend)
    click.echo(scaled(found, nodes, backend))


def scaled(job: Job, nodes: int, backend: Backend) -> str:
    """Scale a job; return what to say about it."""
    rescale(job, nodes, backend)
    most = backend.most_nodes
    limit = f"; on this backend it is served by {counted(most, 'node')}" if most is not None and most < nodes else ""
    return f"job {job.name}: at most {counted(nodes, 'node')}{limit}"
