"""`sparkles status`, `list`, `logs` and `get`: looking, which never writes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import click

from sparkles import lifecycle, lineup, names, results
from sparkles.cli.context import Chosen, hint, with_backend
from sparkles.cli.output import moment, print_document, print_documents, print_rows, with_output
from sparkles.errors import RequestError
from sparkles.model import Job, Task, TaskState
from sparkles.ports import Backend

#: Seconds between two looks at a log that is followed.
_FOLLOW = 0.2


@click.command("status")
@with_output
@click.argument("jobs", nargs=-1)
@with_backend
def status_cmd(chosen: Chosen, jobs: Sequence[str], form: str) -> None:
    """Show jobs and how far they are.

    JOBS are names, globs or LAST; all jobs without any.

    \b
    Example:
      sparkles status 'fit-*'
    """
    backend = chosen.open(write=False)
    there = backend.state.jobs()
    found = {job.name: job for pattern in jobs for job in lineup.jobs_of(pattern, there, backend)} if jobs else None
    rows = _job_rows(list(found.values()) if found is not None else there, backend)
    print_rows(rows, ["job", "state", *(state.value for state in TaskState), "submitted"], form)
    for job in found.values() if found else ():
        _say_what_it_waits_for(job, backend)


def _say_what_it_waits_for(job: Job, backend: Backend) -> None:
    if job.waiting:
        from sparkles import needs

        hint(f"hint: {needs.words(job, backend)}")


def _job_rows(jobs: Sequence[Job], backend: Backend) -> list[dict[str, Any]]:
    """Return the rows of jobs, looked up at the same time where the store is far away."""
    if backend.state.streams == 1:
        return [_job_row(job, backend) for job in jobs]
    from concurrent.futures import ThreadPoolExecutor  # at home nobody has to wait for it to load

    with ThreadPoolExecutor(backend.state.streams) as pool:
        return list(pool.map(lambda job: _job_row(job, backend), jobs))


def _job_row(job: Job, backend: Backend) -> dict[str, Any]:
    counts = backend.state.counts(job.name)
    return {
        "job": job.name,
        "whole": job.whole,
        "state": "applying" if job.applying else job.state.value,
        **{state.value: counts.get(state, 0) for state in TaskState},
        "submitted": moment(job.submitted),
    }


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
    filters.check(wanted, _tasks(found, backend))
    rows = (_task_row(task) for task in filters.select(wanted, _tasks(found, backend)))
    columns = ["task", "state", "exit", "reason", "attempts", "seconds", "started", "memory", "parameters"]
    print_rows(rows, columns, form)
    for one in found:
        _say_what_it_waits_for(one, backend)


def _tasks(jobs: Sequence[Job], backend: Backend) -> Iterator[Task]:
    return chain.from_iterable(backend.state.tasks(job.name) for job in jobs)


def _task_row(task: Task) -> dict[str, Any]:
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
    tasks = [results.find_task(jobs[0], index, backend)] if index else list(_tasks(jobs, backend))
    for job in jobs:
        _say_what_it_waits_for(job, backend)
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
    row = {**_task_row(task), "generation": task.generation, "digest": task.digest.hex(), "ended": moment(task.ended)}
    folder = f"{backend.objects.url(task.job)}/{task.index}" if task.result_generation else None
    return {**row, "losses": task.losses, "node": task.node, "result": folder}
