"""`sparkles why`: how a job or a task stands, why, and what to do. It looks, and never writes."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from sparkles import diagnose, names, needs, results
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.output import print_document
from sparkles.cli.printable import printable
from sparkles.diagnose import Facts
from sparkles.model import Job
from sparkles.nodes import find_cluster, staffing_of
from sparkles.ports import Backend


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
    name, index = names.split_task(target)
    job = names.one(name, backend.state.jobs())
    facts = look(job, backend)
    if index:
        task = results.find_task(job, index, backend)
        found = diagnose.task(task, facts, last_line=printable(results.last_line(task, backend)))
    else:
        found = diagnose.job(facts)
    what = f"{job.name}.{index}" if index else job.name
    if form:
        print_document({"target": what, "findings": [asdict(each) for each in found]}, form)
        return
    for finding in found:
        click.echo(f"{what}: {finding.says}")
        if finding.do:
            click.echo(f"  {finding.do}")


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
