"""`sparkles retry` and `sparkles scale`: asking more of a job that is there, without its manifest."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from sparkles import lineup, results, selection
from sparkles.cli import phases
from sparkles.cli.context import Chosen, hint, with_backend
from sparkles.cli.execute import carry_out, hint_at_waits
from sparkles.cli.side_by_side import follow_all
from sparkles.cli.submission import make_ready, require_owner, show_all
from sparkles.errors import RequestError
from sparkles.model import Job, JobState, TaskState
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared, prepare_stored
from sparkles.quantities import counted
from sparkles.recover import rescale
from sparkles.selection import Selection
from sparkles.settle import settle

#: Uploads of which it is looked whether they are other files by now, and the bytes of one: nobody is to wait for that.
_FEW, _LARGE = 20, 10_000_000


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
    however it ended. A job that waits for this one begins when all of its tasks have succeeded. Of a whole the tasks of
    all its jobs run again that failed or were killed; what stands behind them goes on by itself.

    \b
    Examples:
      sparkles retry fit
      sparkles retry fit --failed --filter 'reason=timeout'
      sparkles retry fit.3 --wait
    """
    wanted = selection.passing(expressions, _states(failed=failed, killed=killed))
    backend = chosen.open(write=not dry_run)
    found, index = lineup.target(target, backend.state.jobs(), backend)
    jobs = lineup.current(found)
    prepared = _prepared(jobs, index, wanted, backend)
    if not prepared:
        such = "such " if expressions or failed or killed else ""
        about = f"job {jobs[0].name}" if len(jobs) == 1 else str(jobs[0].whole)
        click.echo(f"{about}: no {such}task failed or was killed; there is nothing to retry")
        return
    show_all(prepared, form)
    _hint_at_edits(prepared, backend)
    if dry_run:
        return
    make_ready(prepared, backend, yes=yes)
    carry_out(prepared, backend, yes=yes, as_it_was=True)
    hint_at_waits(prepared, backend)
    if wait and form is None and phases.are_phases(jobs):
        sys.exit(phases.follow(jobs, backend))
    if wait:
        follow_all(jobs, backend, quiet=form is not None)


def _states(*, failed: bool, killed: bool) -> list[TaskState]:
    """Return the states of the tasks that run again; of both if neither is asked for."""
    return [TaskState.FAILED] * (failed or not killed) + [TaskState.KILLED] * (killed or not failed)


def _prepared(jobs: Sequence[Job], index: int | None, wanted: Selection, backend: Backend) -> list[Prepared]:
    """Prepare the jobs that have something to run again. Those that wait for others go on by themselves."""
    ready = [job for job in jobs if job.state is not JobState.WAITING]
    if not ready:
        raise RequestError(
            f"job {jobs[0].name} waits for others ('sparkles watch {jobs[0].name}'); what has failed of it runs again "
            "when it begins if its manifest is applied with --rerun failed"
        )
    if not index:
        wanted.require(ready, backend)
    prepared = []
    for job in ready:
        some = wanted.of([job], backend)
        retry = _one(job, index, backend) if index else frozenset(task.index for task in some)
        one = prepare_stored(job, backend, retry=retry)
        prepared += [one] if retry or not one.plan.is_empty else []
    return prepared


def _one(job: Job, index: int, backend: Backend) -> frozenset[int]:
    task = results.find_task(job, index, backend)
    if task.state in (TaskState.PENDING, TaskState.CLAIMED):
        raise RequestError(f"{task.id} has not ended; stop it first with 'sparkles kill {task.id}'")
    return frozenset([index])


def _hint_at_edits(prepared: Sequence[Prepared], backend: Backend) -> None:
    """Say which uploads are others in this folder by now: who has mended one expects it to run."""
    pinned = dict.fromkeys(file for one in prepared for file in _pinned(one.pinned.document["spec"]))
    edited = [name for name, digest in pinned if _is_edited(Path(name), digest, backend)] if len(pinned) <= _FEW else []
    if edited:
        names, are = ", ".join(dict.fromkeys(edited)), "is another file" if len(edited) == 1 else "are other files"
        hint(f"hint: {names} in this folder {are} by now; retry runs what was submitted: to run this, use sub or apply")


def _pinned(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the uploads of a job are called where it was submitted, and their hashes."""
    for entry in spec.get("uploads", []):
        yield from ((file["src"], file["sha256"]) for file in entry.get("files", [entry]) if "sha256" in file)


def _is_edited(path: Path, digest: str, backend: Backend) -> bool:
    try:
        return path.stat().st_size <= _LARGE and backend.hashes.sha256(path) != digest
    except OSError:  # submitted from somewhere else
        return False


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
    found = lineup.one_or_whole(job, backend.state.jobs(), backend)
    for one in found:
        require_owner(one, yes=yes)
    for one in found:
        settle(one.name, backend)
        click.echo(scaled(one, nodes, backend))


def scaled(job: Job, nodes: int, backend: Backend) -> str:
    """Scale a job; return what to say about it."""
    rescale(job, nodes, backend)
    most = backend.most_nodes
    limit = f"; on this backend it is served by {counted(most, 'node')}" if most is not None and most < nodes else ""
    return f"job {job.name}: at most {counted(nodes, 'node')}{limit}"
