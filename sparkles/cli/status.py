"""`sparkles status`: jobs, and how far they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from sparkles import lineup, results
from sparkles.cli.context import Chosen, hint_why_not_all, with_backend
from sparkles.cli.output import moment, print_rows, with_output
from sparkles.model import Job, TaskState
from sparkles.ports.backend import Backend


@click.command("status")
@with_output
@click.option("--stats", is_flag=True, help="Show how long tasks ran and waited, what they used, and what would do.")
@click.argument("jobs", nargs=-1)
@with_backend
def status_cmd(chosen: Chosen, jobs: Sequence[str], form: str, stats: bool) -> None:
    """Show jobs and how far they are.

    JOBS are names, globs or LAST; all jobs without any. Of a single job it is also said why tasks failed.

    With --stats a row is for one field of the tasks that have ended: seconds (that they ran), waited (seconds until a
    node took them), memory and attempts, from the least to the most; p25 is what a quarter of them stays within. Below
    that is what they used of what was asked for, with flags of sub that would do.

    \b
    Examples:
      sparkles status 'fit-*'
      sparkles status fit
      sparkles status fit --stats
    """
    backend = chosen.open(write=False)
    there = backend.state.jobs()
    found = {job.name: job for pattern in jobs for job in lineup.jobs_of(pattern, there, backend)} if jobs else None
    if stats:
        from sparkles.cli.stats import print_stats

        print_stats(list(found.values()) if found is not None else there, backend, form)
        return
    rows = _job_rows(list(found.values()) if found is not None else there, backend)
    lines = _causes(rows[0], backend) if found and len(rows) == 1 else []
    print_rows(rows, ["job", "state", *(state.value for state in TaskState), "submitted"], form)
    for line in lines if form == "table" else ():
        click.echo(line)
    for job in found.values() if found else ():
        hint_why_not_all(job, backend)


def _causes(row: dict[str, Any], backend: Backend) -> list[str]:
    """Return in lines why tasks of a job failed; its row has the causes, too, from now on."""
    from sparkles import cause_text  # where several jobs are looked at, nobody needs it
    from sparkles.cli.failures import causes_of

    found = causes_of(row["job"], backend, {state: row[state.value] for state in TaskState})
    row["causes"] = [cause_text.document(cause) for cause in found.told]
    return list(cause_text.lines(found, row["job"])) if found.told else []


def _job_rows(jobs: Sequence[Job], backend: Backend) -> list[dict[str, Any]]:
    """Return the rows of jobs, looked up at the same time where the store is far away."""
    return list(results.each(lambda job: _job_row(job, backend), jobs, backend))


def _job_row(job: Job, backend: Backend) -> dict[str, Any]:
    counts = backend.state.counts(job.name)
    return {
        "job": job.name,
        "whole": job.whole,
        "state": "applying" if job.applying else job.state.value,
        **{state.value: counts.get(state, 0) for state in TaskState},
        "submitted": moment(job.submitted),
        "held": job.canary.held if job.canary else 0,
    }
