"""`sparkles logs`: what tasks have written."""

from __future__ import annotations

import sys
import time

import click

from sparkles import lifecycle, lineup, names, results
from sparkles.cli.context import Chosen, hint_what_it_waits_for, with_backend
from sparkles.errors import RequestError
from sparkles.model import Task, TaskState
from sparkles.ports import Backend

#: Seconds between two looks at a log that is followed.
_FOLLOW = 0.2


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the task has ended.")
@click.argument("target", default=names.LAST, metavar="JOB[.N]")
@with_backend
def logs_cmd(chosen: Chosen, target: str, follow: bool) -> None:
    """Print what tasks have written.

    The log of one task is printed byte for byte; those of a job, or of a whole, each under a line with the task's name.

    \b
    Examples:
      sparkles logs fit.3
      sparkles logs -f LAST.1
    """
    backend = chosen.open(write=False)
    jobs, index = lineup.target(target, backend.state.jobs(), backend)
    tasks = [results.find_task(jobs[0], index, backend)] if index else list(lineup.tasks(jobs, backend))
    for job in jobs:
        hint_what_it_waits_for(job, backend)
    if follow and tasks:
        if len(tasks) != 1:
            raise RequestError(f"{target} has {len(tasks)} tasks; follow one of them: {tasks[0].id}")
        _follow(tasks[0], backend)
        return
    for task in tasks:
        if len(tasks) > 1:
            click.echo(f"==> {task.id} <==")
        for piece in results.read_whole_log(task, backend):
            _write(piece)


def _follow(task: Task, backend: Backend) -> None:
    """Print the log of a task as it grows; through its further attempts, if there are any."""
    claim, position = None, 0
    while True:
        current = backend.state.read([task.key]).get(task.key)
        if not isinstance(current, Task):
            return
        if current.claim != claim:
            claim, position = current.claim, 0
        # While it waits to run again, its old log is of no interest.
        if current.state is not TaskState.PENDING:
            for piece in results.read_whole_log(current, backend, start=position):
                position += len(piece)
                _write(piece)
        if lifecycle.is_final(current.state):
            return
        time.sleep(max(_FOLLOW, backend.timing.poll))


def _write(content: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
