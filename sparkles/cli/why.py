"""`sparkles why`: how a job or a task stands, why, and what to do. It looks, and never writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from statistics import median
from typing import Any

import click

from sparkles import diagnose, lifecycle, lineup, names, needs, results, spec
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.failures import causes_of
from sparkles.cli.output import print_documents
from sparkles.diagnose import Facts, Finding
from sparkles.errors import SparklesError
from sparkles.model import Job, TaskState
from sparkles.nodes import find_cluster, staffing_of
from sparkles.ports.backend import Backend
from sparkles.printable import printable

#: Causes of failures that are told: more than at the end of a job, for who asks why.
_CAUSES = 100

#: Tasks that succeeded, of which the usual time is taken, and how many of them it takes at least.
_SOME, _ENOUGH = 200, 3


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
            for line in filter(None, (finding.do, *finding.commands)):
                click.echo(f"  {line}")


#: What is spoken of, and what is found about it.
_About = tuple[str, Sequence[Finding]]


def _of_task(job: Job, index: int, backend: Backend) -> _About:
    task = results.find_task(job, index, backend)
    last_line = printable(results.last_line(task, backend))
    facts = look(job, backend)
    if task.state is TaskState.CLAIMED:
        facts = replace(facts, usual=_usual(job, backend))
    return task.id, diagnose.task(task, replace(facts, memory=_memory(job, backend)), last_line=last_line)


def _usual(job: Job, backend: Backend) -> float | None:
    """Return the seconds that most tasks of a job took, as far as some of them tell."""
    some = backend.state.some(job.name, TaskState.SUCCEEDED, limit=_SOME)
    took = [seconds for task in some if (seconds := lifecycle.seconds(task)) is not None]
    return median(took) if len(took) >= _ENOUGH else None


def _memory(job: Job, backend: Backend) -> int | None:
    """Return the bytes of memory that each task of a job may use, if its manifest says."""
    try:
        size = results.manifest(job, backend)["spec"].get("resources", {}).get("memory")
    except SparklesError:  # still being applied for the first time, or half deleted
        return None
    return spec.size_of(size) if size else None


def _of_job(job: Job, backend: Backend) -> _About:
    facts = look(job, backend)
    found = causes_of(job.name, backend, facts.counts, most=_CAUSES)
    return job.name, diagnose.job(replace(facts, causes=found))


def _document(what: str, findings: Sequence[Finding]) -> dict[str, Any]:
    return {"target": what, "findings": [{**asdict(each), "commands": list(each.commands)} for each in findings]}


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
