"""`sparkles why`: how a job or a task stands, why, and what to do. It looks, and never writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from sparkles import diagnose, lineup, names, needs, results
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.output import print_documents
from sparkles.diagnose import Facts, Finding
from sparkles.model import Job
from sparkles.nodes import find_cluster, staffing_of
from sparkles.ports import Backend
from sparkles.printable import printable


@click.command("why")
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), help="Print a document for programs.")
@click.argument("target", default=names.LAST, metavar="JOB[.N]")
@with_backend
def why_cmd(chosen: Chosen, target: str, form: str | None) -> None:
    """Say why a job or a task stands where it stands, and what to do.

    \b
    Examples:
      sparkles why
      sparkles why fit.3
    """
    backend = chosen.open(write=False)
    jobs, index = lineup.target(target, backend.state.jobs(), backend)
    found = [_of_task(job, index, backend) if index else _of_job(job, backend) for job in jobs]
    if form:
        print_documents([_document(*each) for each in found], form)
        return
    for what, findings in found:
        for finding in findings:
            click.echo(f"{what}: {finding.says}")
            if finding.do:
                click.echo(f"  {finding.do}")


#: What is spoken of, and what is found about it.
_About = tuple[str, Sequence[Finding]]


def _of_task(job: Job, index: int, backend: Backend) -> _About:
    task = results.find_task(job, index, backend)
    last_line = printable(results.last_line(task, backend))
    return task.id, diagnose.task(task, look(job, backend), last_line=last_line)


def _of_job(job: Job, backend: Backend) -> _About:
    return job.name, diagnose.job(look(job, backend))


def _document(what: str, findings: Sequence[Finding]) -> dict[str, Any]:
    return {"target": what, "findings": [asdict(each) for each in findings]}


def look(job: Job, backend: Backend) -> Facts:
    """Return all that is known of a job. Nodes are read before it is asked which of them are yet to report."""
    cluster = find_cluster(job.cluster, backend)
    nodes = backend.state.nodes(job.cluster)
    coming = staffing_of(job.cluster, nodes, backend)
    return Facts(
        job=job,
        counts=backend.state.counts(job.name),
        now=time.time(),
        cluster=cluster,
        nodes=nodes,
        silent=frozenset(node.name for node in backend.compute.lapsed(nodes)),
        submitted=coming.submitted,
        staging=coming.staging,
        asked=coming.asked,
        troubles=coming.troubles,
        waits=needs.words(job, backend),
        elsewhere=backend.compute.elsewhere(cluster) if cluster else None,
        most_nodes=backend.most_nodes,
    )
