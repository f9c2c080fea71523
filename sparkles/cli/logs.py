"""`sparkles logs`: what tasks have written, byte for byte."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import click

from sparkles import lines, lineup, logs, names, results, tails
from sparkles.cli.context import Chosen, hint, hint_why_not_all, with_backend
from sparkles.errors import RequestError
from sparkles.model import Job, Task, TaskState
from sparkles.ports.backend import Backend
from sparkles.quantities import counted

if TYPE_CHECKING:
    from sparkles.selection import Selection

#: Lines that are shown of each of several tasks, and how many tasks of a job are shown if none has failed.
_LINES, _FEW = 20, 10

#: Tasks that are followed at the same time, and the lines that each begins with which runs already.
_AT_ONCE, _BEFORE = 20, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What was asked for; each field goes by the name of its flag."""

    follow: bool
    all: bool
    tail: int | None
    grep: str | None
    attempt: int | None
    filter: Sequence[str]

    def refuse(self, flag: str, *others: str, why: str) -> None:
        """Raise RequestError if a flag comes with another that it cannot go with."""
        for other in others:
            if self._has(flag) and self._has(other):
                raise RequestError(f"--{flag} and --{other} exclude each other: {why}")

    def _has(self, flag: str) -> bool:
        return getattr(self, flag) not in (None, False, ())


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the task has ended, or all have that run.")
@click.option("--all", "all_", is_flag=True, help="Print the whole log of every task.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Print only the last N lines of each log.")
@click.option("--grep", metavar="RE", help="Print the lines of all tasks in which a regular expression is found.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="K", help="Print the log of the task's K-th attempt.")
@click.option(
    "--filter", "expressions", multiple=True, metavar="EXPR",
    help="Only of tasks for which this holds, such as 'exit=137'; as in 'sparkles list'.",
)  # fmt: skip
@click.argument("target", default=names.LAST, metavar="JOB[.N]")
@with_backend
def logs_cmd(
    chosen: Chosen, target: str, follow: bool, all_: bool, tail: int | None, grep: str | None, attempt: int | None,
    expressions: Sequence[str],
) -> None:  # fmt: skip
    """Print what tasks have written.

    Of one task all of it, byte for byte. Of a job, or of a whole, the last 20 lines of each task that failed, each
    under a line with the task's name; if none has failed, of its first tasks. --grep looks at all tasks and prints
    TASK:NUMBER:LINE; it ends with 1 if it finds nothing.

    \b
    Examples:
      sparkles logs fit.3
      sparkles logs fit
      sparkles logs -f LAST.1
      sparkles logs fit --grep 'loss: (nan|inf)'
      sparkles logs fit --all --filter 'params.size=large' --tail 5
      sparkles logs fit.3 --attempt 1
    """
    asked = _Asked(follow=follow, all=all_, tail=tail, grep=grep, attempt=attempt, filter=expressions)
    _refuse_what_excludes_each_other(asked)
    search = None if grep is None else lines.pattern(grep)
    wanted = _selection(expressions)
    backend = chosen.open(write=False)
    jobs, index = lineup.target(target, backend.state.jobs(), backend)
    for job in jobs:
        hint_why_not_all(job, backend)
    one = _one(asked, jobs, index, backend)
    if search:
        view = partial(logs.found, search=search, backend=backend)
        tasks = [_attempt(asked, one)] if one else _chosen(wanted, jobs, backend)
        sys.exit(0 if _print_found(tasks, view, backend) else 1)
    if follow:
        _follow(asked, jobs, one, backend)
    elif one:
        if not _print(_view(asked, backend)(_attempt(asked, one))) and asked.tail != 0:
            _hint_at_silence(one)
    elif asked.all or wanted:
        _print_each(_chosen(wanted, jobs, backend), _view(asked, backend), backend)
    else:
        _print_some(asked, jobs, backend)


def _refuse_what_excludes_each_other(asked: _Asked) -> None:
    asked.refuse("grep", "follow", "tail", why="--grep looks at whole logs, as they are now")
    asked.refuse("attempt", "all", "filter", why="an attempt is one of JOB.N")
    asked.refuse("follow", "attempt", why="an earlier attempt has ended")
    asked.refuse("follow", "all", "filter", why="--follow prints what those tasks write that run now")


def _selection(expressions: Sequence[str]) -> Selection | None:
    if not expressions:
        return None
    from sparkles import selection  # takes a tenth of what most who look at logs wait for

    return selection.passing(expressions)


def _one(asked: _Asked, jobs: Sequence[Job], index: int | None, backend: Backend) -> Task | None:
    """Return the task that is meant, if it is one: by its index, or because the job has no other."""
    if index and (asked.all or asked.filter):
        raise RequestError(f"{jobs[0].name}.{index} is one task; --all and --filter are for those of a job")
    if index:
        return results.find_task(jobs[0], index, backend)
    if len(jobs) == 1 and not asked.filter and sum(backend.state.counts(jobs[0].name, most=2).values()) == 1:
        return next(backend.state.tasks(jobs[0].name), None)
    if asked.attempt:
        raise RequestError(f"--attempt is of one task: 'sparkles logs {jobs[0].name}.N --attempt {asked.attempt}'")
    return None


def _attempt(asked: _Asked, task: Task) -> Task:
    """Return a task with the log of the attempt that was asked for."""
    if asked.attempt is None:
        return task
    there = logs.attempts(task)
    if asked.attempt not in there:
        known = f"it has {', '.join(map(str, there))}" if there else "it has had none yet"
        raise RequestError(f"task {task.id} has no attempt {asked.attempt} whose log is known; {known}")
    return there[asked.attempt]


def _chosen(wanted: Selection | None, jobs: Sequence[Job], backend: Backend) -> Iterator[Task]:
    """Return the tasks of jobs that are meant, all of them if nothing is said."""
    if wanted is None:
        return lineup.tasks(jobs, backend)
    wanted.require(jobs, backend)
    return wanted.of(jobs, backend)


def _view(asked: _Asked, backend: Backend) -> logs.View:
    """Return what is to be seen of a log: of several only the end, if nothing else is said."""
    if asked.tail is not None:
        return partial(logs.ending, backend=backend, count=asked.tail)
    if asked.filter and not asked.all:
        return partial(logs.glimpse, backend=backend, count=_LINES)
    return partial(results.read_whole_log, backend=backend)


def _hint_at_silence(task: Task) -> None:
    """Say why there is nothing to see of a task: whoever sees nothing thinks that something is broken."""
    if task.state is TaskState.PENDING:
        hint(f"hint: {task.id} waits to run; 'sparkles why {task.id}' says for what")
    elif task.claim:
        hint(f"hint: {task.id} has written nothing{' so far' * (task.state is TaskState.CLAIMED)}")
    else:
        hint(f"hint: {task.id} was stopped before it began")


def _print_some(asked: _Asked, jobs: Sequence[Job], backend: Backend) -> None:
    """Print the end of the log of each task that failed; if there is none, of some that have begun."""
    count = _LINES if asked.tail is None else asked.tail
    view = partial(logs.glimpse if asked.tail is None else logs.ending, backend=backend, count=count)
    name, ends = jobs[0].whole if len(jobs) > 1 else jobs[0].name, f"the last {counted(count, 'line')}"
    failed = chain.from_iterable(backend.state.tasks(job.name, states=(TaskState.FAILED,)) for job in jobs)
    if shown := _print_each(failed, view, backend):
        hint(f"hint: {ends} of each task that failed; {_others(shown)}")
        return
    shown = _print_each(iter(_begun(jobs, backend)), view, backend)
    if shown is None:
        if not any(job.waiting for job in jobs):  # of which it has been said
            hint(f"hint: no task of {name} has begun; 'sparkles why {name}' says what it waits for")
    elif shown.longest >= count or shown.tasks < sum(sum(backend.state.counts(job.name).values()) for job in jobs):
        hint(f"hint: no task of {name} has failed; {ends} of its first tasks; {_others(shown)}")


def _others(shown: _Shown) -> str:
    return f"'sparkles logs {shown.first.id}' prints all of one, --all those of all tasks, --grep RE looks through all"


def _begun(jobs: Sequence[Job], backend: Backend) -> list[Task]:
    """Return a few tasks of each job that have begun, rather those that run."""
    found: list[Task] = []
    for job in jobs:
        some: list[Task] = []
        for state in (TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.KILLED):
            some += backend.state.some(job.name, state, limit=_FEW - len(some)) if len(some) < _FEW else []
        found += sorted(some, key=lambda task: task.index)
    return found


@dataclass(slots=True)
class _Shown:
    """What was printed: of how many tasks, and the most lines of one."""

    first: Task
    tasks: int = 0
    longest: int = 0


def _print_each(tasks: Iterator[Task], view: logs.View, backend: Backend) -> _Shown | None:
    """Print what is to be seen of each log under its task's name."""
    shown: _Shown | None = None
    for task, pieces in logs.of_each(tasks, view, backend):
        shown = shown or _Shown(task)
        _write(f"==> {task.id} <==\n".encode())
        last = _print(pieces)
        if last and not last.endswith(b"\n"):
            _write(b"\n")
        shown.tasks, shown.longest = shown.tasks + 1, max(shown.longest, last.count(b"\n"))
    return shown


def _print_found(tasks: Iterable[Task], view: logs.View, backend: Backend) -> bool:
    """Print what was found in the logs; say whether there was anything."""
    found = [bool(_print(pieces)) for _, pieces in logs.of_each(iter(tasks), view, backend)]
    return any(found)


def _follow(asked: _Asked, jobs: Sequence[Job], one: Task | None, backend: Backend) -> None:
    """Print one task's log as it grows, or the lines of all that run, each with its task."""
    if one:
        printed = _print(tails.follow(one, backend, last=asked.tail))
        now = backend.state.read([one.key]).get(one.key)
        if not printed and asked.tail != 0 and isinstance(now, Task):
            _hint_at_silence(now)
        return
    if not any(tails.goes_on_by_itself(job, backend) for job in jobs):
        _print_some(asked, jobs, backend)
        return
    running = sum(backend.state.counts(job.name).get(TaskState.CLAIMED, 0) for job in jobs)
    if running > _AT_ONCE:
        hint(f"hint: {running} tasks run; {_AT_ONCE} are followed at a time")
    before = _BEFORE if asked.tail is None else asked.tail
    _print(tails.follow_all(jobs, backend, most=_AT_ONCE, last=before))
    for job in jobs:
        _hint_at_what_it_has_come_to(job, backend)


def _hint_at_what_it_has_come_to(job: Job, backend: Backend) -> None:
    """Say why a job goes no further that has been followed, if it does not."""
    now = backend.state.read([job.key]).get(job.key)
    if isinstance(now, Job):
        hint_why_not_all(now, backend)


def _print(pieces: Iterable[bytes]) -> bytes:
    """Print pieces as they come; return the last."""
    last = b""
    for last in pieces:
        _write(last)
    return last


def _write(content: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
