"""What `sparkles diff JOB1 JOB2` does: two jobs, or the parts of two wholes, what they are, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from sparkles import comparison, comparison_text, lineup, names, results
from sparkles.cli.output import print_documents
from sparkles.comparison import Comparison, Subject
from sparkles.model import Job
from sparkles.ports.backend import Backend


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What was compared: the jobs of either side that are the same part, or just the two."""

    pairs: Sequence[Comparison]
    #: The parts that only the first, or only the second, has.
    only: tuple[Sequence[Job], Sequence[Job]] = ((), ())

    @property
    def is_empty(self) -> bool:
        """Whether there is no difference."""
        return not any(self.only) and all(pair.is_empty for pair in self.pairs)


def compare(first: str, second: str, *, backend: Backend) -> Compared:
    """Compare the jobs, or wholes, that two names stand for."""
    there = backend.state.jobs()
    sides = [lineup.one_or_whole(name, there, backend) for name in (first, second)]
    if any(len(side) == 1 for side in sides):
        one, other = (names.one(name, there) for name in (first, second))
        return Compared(pairs=[_pair(one, other, backend)])
    before, after = ({_part(job): job for job in side} for side in sides)
    return Compared(
        pairs=[_pair(job, after[part], backend) for part, job in before.items() if part in after],
        only=([before[part] for part in before if part not in after], [after[p] for p in after if p not in before]),
    )


def _part(job: Job) -> str:
    return job.name.removeprefix(job.whole or "")


def _pair(one: Job, other: Job, backend: Backend) -> Comparison:
    return comparison.compare(_subject(one, backend), _subject(other, backend))


def _subject(job: Job, backend: Backend) -> Subject:
    return Subject(name=job.name, document=results.manifest(job, backend), tasks=backend.state.tasks(job.name))


def show(compared: Compared, form: str | None, *, verbose: bool) -> None:
    """Print a comparison, for people or as a document; of wholes as one for each part."""
    alone = [job for side in compared.only for job in side]
    if form:
        documents = [comparison_text.document(pair) for pair in compared.pairs]
        documents += [{"version": 1, "jobs": [job.name], "changes": True} for job in alone]
        print_documents(documents, form)
        return
    for pair in compared.pairs:
        for line in comparison_text.lines(pair, verbose=verbose):
            click.echo(line)
    for job in alone:
        click.echo(f"job {job.name}: only {job.whole} has such a part")
