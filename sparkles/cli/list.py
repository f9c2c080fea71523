"""`sparkles list`: the tasks of a job, one a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from sparkles import lifecycle, lineup, names
from sparkles.cli.context import Chosen, hint_what_it_waits_for, with_backend
from sparkles.cli.output import moment, print_rows, with_output
from sparkles.model import Task


@click.command("list")
@with_output
@click.option(
    "--filter", "expressions", multiple=True, metavar="EXPR",
    help="Only the tasks for which this holds, FIELD OP VALUE; given several times, all must.",
)  # fmt: skip
@click.argument("job", default=names.LAST)
@with_backend
def list_cmd(chosen: Chosen, job: str, form: str, expressions: Sequence[str]) -> None:
    """List the tasks of a job, or of all jobs of a whole.

    In a filter, OP is one of = != < > <= >= and ~ (a regular expression is found). FIELD is index, state, exit,
    reason, attempts, seconds, started, ended, memory, node, or params.NAME for a parameter. A date stands for the
    whole day. What is not set passes only !=.

    \b
    Examples:
      sparkles list LAST -o csv
      sparkles list fit --filter state=failed --filter 'memory > 1.5GB'
      sparkles list fit --filter 'params.sample ~ ^control' --filter 'seconds > 10m'
    """
    from sparkles import filters  # takes a tenth of what `status` may take

    wanted = [filters.parse(text) for text in expressions]
    backend = chosen.open(write=False)
    found = lineup.one_or_whole(job, backend.state.jobs(), backend)
    filters.check(wanted, lineup.tasks(found, backend))
    rows = (task_row(task) for task in filters.select(wanted, lineup.tasks(found, backend)))
    columns = ["task", "state", "exit", "reason", "attempts", "seconds", "started", "memory", "parameters"]
    print_rows(rows, columns, form)
    for one in found:
        hint_what_it_waits_for(one, backend)


def task_row(task: Task) -> dict[str, Any]:
    """Return what can be said of a task in a line."""
    return {
        "task": task.id,
        "state": task.state.value,
        "exit": task.exit,
        "reason": task.reason.value if task.reason else None,
        "attempts": task.attempts,
        "seconds": lifecycle.seconds(task),
        "started": moment(task.started),
        "memory": task.peak_memory,
        "parameters": json.loads(task.row),
    }
