"""What `sparkles diff JOB1 JOB2` does: two jobs, what they are, and what became of them."""

from __future__ import annotations

import click

from sparkles import comparison, comparison_text, names, results
from sparkles.cli.output import print_document
from sparkles.comparison import Comparison, Subject
from sparkles.model import Job
from sparkles.ports import Backend


def compare(first: str, second: str, *, backend: Backend) -> Comparison:
    """Compare the jobs that two names stand for."""
    there = backend.state.jobs()
    one, other = (names.one(name, there) for name in (first, second))
    return comparison.compare(_subject(one, backend), _subject(other, backend))


def show(compared: Comparison, form: str | None, *, verbose: bool) -> None:
    """Print a comparison, for people or as a document."""
    if form:
        print_document(comparison_text.document(compared), form)
        return
    for line in comparison_text.lines(compared, verbose=verbose):
        click.echo(line)


def _subject(job: Job, backend: Backend) -> Subject:
    return Subject(name=job.name, document=results.manifest(job, backend), tasks=backend.state.tasks(job.name))
