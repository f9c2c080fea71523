"""`sparkles workflow`: the jobs of a whole, and how they hang together. It looks, and never writes."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sparkles import flow_text, lineup, names, parts, results
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.output import FORMS, print_rows
from sparkles.errors import RequestError
from sparkles.flow_text import Step
from sparkles.model import Job
from sparkles.ports.backend import Backend


@click.command("workflow")
@click.option(
    "-o", "--output", "form", type=click.Choice([*FORMS, "mermaid"]), default="table",
    help="How to print: for people (table); mermaid is a diagram.",
)  # fmt: skip
@click.argument("name", default=names.LAST)
@with_backend
def workflow_cmd(chosen: Chosen, name: str, form: str) -> None:
    """Show the jobs of a workflow, what they need of each other, and how far they are.

    It shows the jobs of a foreach as well. The diagram is what Markdown pages of GitHub and others draw.

    \b
    Examples:
      sparkles workflow assembly
      sparkles workflow assembly -o mermaid
    """
    backend = chosen.open(write=False)
    there = backend.state.jobs()
    whole = _whole(name, there, backend)
    steps = _steps(whole, lineup.jobs_of(whole, there, backend), backend)
    if form == "mermaid":
        for line in flow_text.mermaid(steps):
            click.echo(line)
        return
    print_rows(map(flow_text.row, steps), flow_text.COLUMNS, form)


def _whole(name: str, there: Sequence[Job], backend: Backend) -> str:
    """Return the whole that is meant: by its name, or by that of a part of it."""
    job = lineup.one_or_whole(name, there, backend)[0]
    if job.whole is None:
        raise RequestError(f"job {job.name} is no part of a workflow; 'sparkles status {job.name}' shows it")
    return job.whole


def _steps(whole: str, jobs: Sequence[Job], backend: Backend) -> list[Step]:
    called = {job.name: parts.part_of(job.name, whole) for job in jobs}
    needs = lineup.needs_of(jobs, backend)
    counts = results.each(lambda job: backend.state.counts(job.name), jobs, backend)
    return [
        Step(name=called[job.name], job=job, needs=[called[need] for need in needs[job.name]], counts=found)
        for job, found in zip(jobs, counts, strict=True)
    ]
