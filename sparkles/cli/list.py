"""`sparkles list`: the tasks of a job, one a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from sparkles import lineup, names
from sparkles.cli.context import Chosen, hint, hint_why_not_all, with_backend
from sparkles.cli.output import moment, print_lines, print_rows, with_output
from sparkles.errors import RequestError
from sparkles.model import Job, Task
from sparkles.ports.backend import Backend

if TYPE_CHECKING:  # takes a tenth of what `status` may take
    from sparkles.fields import Field
    from sparkles.selection import Selection

#: What is usually said of a task in a line.
USUAL = ("task", "state", "exit", "reason", "attempts", "seconds", "started", "memory", "parameters")


@click.command("list")
@with_output
@click.option(
    "--filter",
    "expressions",
    multiple=True,
    metavar="EXPR",
    help="Only the tasks for which this holds, FIELD OP VALUE; given several times, all must.",
)
@click.option(
    "--fields",
    "shown",
    multiple=True,
    metavar="FIELD,…",
    help="The columns, in this order, such as task,said,params.x; all for all fields.",
)
@click.option(
    "--sort",
    "orders",
    multiple=True,
    metavar="FIELD",
    help="Sort by this, -FIELD with the largest first; given several times, the next ones decide between equals.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N tasks.")
@click.option(
    "--params",
    is_flag=True,
    help="Print the parameters alone, as a CSV file that 'sub --params' takes.",
)
@click.argument("job", default=names.LAST)
@with_backend
def list_cmd(
    chosen: Chosen, job: str, form: str, expressions: Sequence[str], shown: Sequence[str], orders: Sequence[str],
    limit: int | None, params: bool,
) -> None:  # fmt: skip
    """List the tasks of a job, or of all jobs of a whole.

    FIELD is task, index, state, exit, reason, attempts, failures (that count as retries), losses (of its node),
    waited (seconds until a node took it), seconds (that it ran), queued, started, ended, memory, node, said (the last
    line of one that did not succeed), killedBy, generation, parameters, or params.NAME for a parameter.

    In a filter, OP is one of = != < > <= >= and ~ (a regular expression is found) or !~ (it is not). A date stands for
    the whole day.
    What is not set is only equal to no value at all, as in said=. Sorted, it is last; a parameter is a number if
    it is one in all tasks.

    \b
    Examples:
      sparkles list LAST -o csv
      sparkles list fit --filter state=failed --filter 'memory > 1.5GB'
      sparkles list fit --filter 'params.sample ~ ^control' --filter 'seconds > 10m'
      sparkles list fit --sort -seconds --limit 10 --fields task,seconds,params.lambda
      sparkles list fit --filter state=failed --params > again.csv
    """
    from sparkles import fields, filters
    from sparkles.selection import Selection

    if params and (shown or form in ("json", "yaml")):
        raise RequestError(f"--params and {'--fields' if shown else f'-o {form}'} exclude each other: it prints a CSV")
    selection = Selection(
        filters=[filters.parse(text) for text in expressions],
        orders=[fields.order(text) for text in orders],
        limit=limit,
    )
    columns = fields.chosen(shown or USUAL, "--fields")
    backend = chosen.open(write=False)
    found = lineup.one_or_whole(job, backend.state.jobs(), backend)
    selection.require(found, backend, shown=columns)
    if params:
        _print_parameters(found, selection, backend)
    else:
        print_rows(_rows(selection.of(found, backend), columns), [column.name for column in columns], form)
    for one in found:
        hint_why_not_all(one, backend)


def _print_parameters(jobs: Sequence[Job], selection: Selection, backend: Backend) -> None:
    from sparkles import csv_text

    tasks = selection.of(jobs, backend)
    print_lines(csv_text.of_parameters(_counted(tasks), columns=_parameters(jobs, backend)))


def _counted(tasks: Iterator[Task]) -> Iterator[Task]:
    """Yield tasks; say so if there were none."""
    first = next(tasks, None)
    if first is None:
        hint("hint: there is no such task, so there is nothing to run again")
        return
    yield first
    yield from tasks


def _parameters(jobs: Sequence[Job], backend: Backend) -> Sequence[str]:
    """Return the names of a job's parameters, in their order."""
    from sparkles import fields, selection

    if len(jobs) > 1:
        whole = jobs[0].whole
        if any(job.name == whole for job in jobs):
            raise RequestError(f"{whole} is a Foreach: its elements come from its script, not from a table")
        parts = ", ".join(job.name for job in jobs)
        raise RequestError(f"{whole} is several jobs, each with parameters of its own; name one of them: {parts}")
    row = next(selection.rows(jobs, backend), None)
    if row is None:
        raise RequestError(f"job {jobs[0].name} has no tasks yet")
    columns = list(fields.parameters(row))
    if not columns:
        raise RequestError(
            f"job {jobs[0].name} has no parameters, its tasks differ in their index at most; "
            f"'sparkles retry {jobs[0].name} --filter …' runs those again that failed or were killed"
        )
    return columns


def task_row(task: Task, names: Sequence[str]) -> dict[str, Any]:
    """Return these fields of a task, as they are listed."""
    from sparkles import fields

    return next(_rows([task], fields.chosen(names, "--fields")))


def _rows(tasks: Iterable[Task], columns: Sequence[Field]) -> Iterator[dict[str, Any]]:
    reads = [(one.name, _moment_of(one) if one.is_moment else one.read) for one in columns]
    return ({name: read(task) for name, read in reads} for task in tasks)


def _moment_of(column: Field) -> Callable[[Task], str | None]:
    return lambda task: moment(column.read(task))
