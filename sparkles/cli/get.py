"""`sparkles get`: the manifest of a job, or the record of a task."""

from __future__ import annotations

from typing import Any

import click

from sparkles import lineup, names, results
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.list import USUAL, task_row
from sparkles.cli.output import moment, print_document, print_documents
from sparkles.model import Past, Task
from sparkles.ports.backend import Backend


@click.command("get")
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), default="yaml", help="How to print.")
@click.argument("target", default=names.LAST, metavar="JOB[.N]")
@with_backend
def get_cmd(chosen: Chosen, target: str, form: str) -> None:
    """Print the manifest of a job, or the record of a task.

    The manifest is pinned: applied anywhere on these stores, it runs the same again. Of a whole those of all its jobs.

    \b
    Examples:
      sparkles get fit -o yaml
      sparkles get fit.3 -o json
    """
    backend = chosen.open(write=False)
    jobs, index = lineup.target(target, backend.state.jobs(), backend)
    if index:
        print_document(_record(results.find_task(jobs[0], index, backend), backend), form)
    else:
        print_documents([results.manifest(job, backend) for job in jobs], form)


def _record(task: Task, backend: Backend) -> dict[str, Any]:
    folder = f"{backend.objects.url(task.job)}/{task.index}" if task.result_generation else None
    return {
        **task_row(task, [*USUAL, "generation"]),
        "digest": task.digest.hex(),
        **task_row(task, ["queued", "ended", "failures", "losses", "node", "said", "killedBy"]),
        "history": [_past(past) for past in task.history],
        "result": folder,
    }


def _past(past: Past) -> dict[str, Any]:
    times = {"started": moment(past.started), "ended": moment(past.ended)}
    return {"node": past.node, "reason": past.reason.value, "exit": past.exit, **times, "said": past.said}
