"""Candidates: what a word that is being typed may become, by what help calls it: a FILE, a JOB, a FIELD.

They are looked up without a trace. Where that takes too long, or a store cannot be asked, there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import click
from click.shell_completion import CompletionItem

from sparkles import names
from sparkles.backends.registry import open_unchanged
from sparkles.cli.context import settings_of
from sparkles.model import Job, TaskState
from sparkles.ports.state import StateStore

#: Words that fit what is typed so far, for a command of which the words before are known.
Candidates = Callable[[click.Context, str], Iterable[CompletionItem]]

#: Seconds that somebody waits for the names of a store after pressing a key.
_PATIENCE = {"local": 0.3, "gcp": 2.0}

#: Tasks that are offered of a job, and in which order.
_TASKS = 100
_ORDER = (TaskState.FAILED, TaskState.KILLED, TaskState.CLAIMED, TaskState.PENDING, TaskState.SUCCEEDED)


def teach(command: click.Command) -> None:
    """Let the words of a command be completed by what help calls them."""
    for param in command.params:
        known, called = _ARGUMENTS, param.metavar or (param.name or "").upper()
        if isinstance(param, click.Option):
            known, called = _OPTIONS, param.metavar or ""
        if called in known:
            param.type = _Word(known[called])


class _Word(click.ParamType):  # type: ignore[type-arg]  # click's older versions know none
    """A word that may become one of some candidates."""

    name = "word"

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the candidates that begin like what is there."""
        return list(self._candidates(ctx, incomplete))


def files(_: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """Leave it to the shell, which knows how to quote."""
    yield CompletionItem(incomplete, type="file")


def _folders(_: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    yield CompletionItem(incomplete, type="dir")


def _uploads(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """Complete a file, and the list of files that an @ stands before, of which a shell knows nothing."""
    return _paths(incomplete, behind="@") if incomplete.startswith("@") else files(ctx, incomplete)


def _paths(incomplete: str, *, behind: str = "") -> Iterator[CompletionItem]:
    """Name files and folders whose names need no quotes."""
    folder, slash, start = incomplete.removeprefix(behind).rpartition("/")
    for path in sorted(Path(folder + slash or ".").iterdir()):
        if path.name.startswith(start or path.name.lstrip(".")) and path.name.isprintable() and " " not in path.name:
            yield CompletionItem(f"{behind}{folder}{slash}{path.name}{'/' * path.is_dir()}")


def _jobs(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """Name wholes and jobs, the newest first, and then LAST."""
    return _fitting(_asked(ctx, lambda state: _names(state.jobs())), incomplete)


def _jobs_and_tasks(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """Name jobs; behind `JOB.` its tasks, those first that are looked for most."""
    job, dot, _ = incomplete.rpartition(".")
    return _fitting(_asked(ctx, lambda state: _tasks(state, job)), incomplete) if dot else _jobs(ctx, incomplete)


def _wholes(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """Name what is made of several jobs."""
    return _fitting(_asked(ctx, lambda state: _names([job for job in state.jobs() if job.whole])), incomplete)


def _manifests_and_jobs(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """Name the jobs, and the files beside them: a shell offers its own only if there is nothing else."""
    yield from _jobs(ctx, incomplete)
    yield from _paths(incomplete)


def _names(jobs: Iterable[Job]) -> list[CompletionItem]:
    newest = list(jobs)[::-1]
    called = {job.whole: "all of its jobs" for job in newest if job.whole}
    called = {name: called.get(name, state) for job in newest for name, state in _called(job)}
    return [CompletionItem(name, help=text) for name, text in called.items()] + [
        CompletionItem(names.LAST, help="the newest") for _ in newest[:1]
    ]


def _called(job: Job) -> Iterator[tuple[str, str]]:
    if job.whole:
        yield job.whole, ""
    yield job.name, job.state.value


def _tasks(state: StateStore, job: str) -> list[CompletionItem]:
    name = names.one(job, state.jobs()).name if job == names.LAST else job
    found: list[CompletionItem] = []
    for wanted in _ORDER:
        some = state.some(name, wanted, limit=_TASKS - len(found)) if len(found) < _TASKS else []
        indices = sorted(task.index for task in some)
        found += [CompletionItem(f"{job}.{index}", help=wanted.value) for index in indices]
    return found


def _asked(ctx: click.Context, ask: Callable[[StateStore], list[CompletionItem]]) -> list[CompletionItem]:
    """Ask the store that the words before choose; return nothing if it has not answered in time."""
    answer: list[CompletionItem] = []
    given = ctx.params.get
    with suppress(Exception):
        settings = settings_of(backend=given("backend"), local=given("local"), config_file=given("config_file"))

        def look() -> None:
            with suppress(Exception), closing(open_unchanged(settings)) as state:
                answer.extend(ask(state))

        asking = Thread(target=look, daemon=True)
        asking.start()
        asking.join(_PATIENCE[settings.backend])
    return answer


def _filters(_: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """Name the fields that a filter begins with, and that tasks are sorted by."""
    from sparkles.filters import FIELDS

    return _fitting(map(CompletionItem, FIELDS), incomplete)


def _columns(_: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """Name the fields that a list shows; behind a comma the next one."""
    from sparkles.fields import FIELDS, PREFIX

    before, comma, _last = incomplete.rpartition(",")
    return _fitting((CompletionItem(f"{before}{comma}{name}") for name in (*FIELDS, "all", PREFIX)), incomplete)


def _fields(_: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """Name the fields of manifests, as deep as what is typed and one step deeper."""
    from sparkles.manifest import known_fields

    deepest = incomplete.count(".") + 1
    fitting = [path for path in known_fields() if path.count(".") <= deepest]
    return _fitting(map(CompletionItem, fitting), incomplete)


def _fitting(items: Iterable[CompletionItem], incomplete: str) -> Iterator[CompletionItem]:
    return (item for item in items if item.value.startswith(incomplete))


#: What the words of a command are called in its help → what they may be.
_ARGUMENTS: Mapping[str, Candidates] = {
    "COMMAND": files,
    "FIELD": _fields,
    "FILE...": files,
    "FILE... | JOB1 JOB2": _manifests_and_jobs,
    "JOB": _jobs,
    "JOBS": _jobs,
    "JOB[.N]": _jobs_and_tasks,
    "JOB[.N]...": _jobs_and_tasks,
    "NAME": _wholes,
}

#: The same for the values of options. Choices and paths need no word here.
_OPTIONS: Mapping[str, Candidates] = {
    "CSV": files,
    "EXPR": _filters,
    "FIELD": _filters,
    "FIELD,…": _columns,
    "FILE": files,
    "FOLDER": _folders,
    "JOB": _jobs,
    "SRC[:DEST]|@LIST": _uploads,
}
