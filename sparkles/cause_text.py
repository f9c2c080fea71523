"""What the causes of failures look like, to people and to programs. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from signal import Signals
from typing import TYPE_CHECKING, Any

from sparkles.model import Reason, TaskState
from sparkles.quantities import counted

if TYPE_CHECKING:  # most jobs have none
    from sparkles.causes import Cause, Causes

#: How tasks ended that did not end by themselves, as short as can be; `diagnose.cures` says it at length.
_BRIEFLY: Mapping[Reason | None, str] = {
    Reason.TIMEOUT: "timeout",
    Reason.OUT_OF_MEMORY: "out of memory",
    Reason.PREEMPTED: "Google took the node away",
    Reason.NODE_LOST: "node-lost, the node died, time and again",
    Reason.NODE_LIMIT: "node-limit, the node had come to the end of its life",
    Reason.UPLOAD: "upload",
    Reason.KILLED: "killed",
    None: "for an unknown reason",
}

#: An exit code above it is that of a signal.
_SIGNALLED = 128


def lines(causes: Causes, job: str) -> Iterator[str]:
    """Yield what is said of the tasks of a job that failed or were killed; nothing if none did or was.

    Of each cause also the commands that show its tasks and run them again, as they can be typed.
    """
    for cause in causes.told:
        yield headline(cause)
        yield from (f"  {line}" for line in _details(cause, job))
    if causes.more:
        yield f"and {counted(causes.more, 'more cause')} with {counted(causes.rest, 'task')}"
    if any(cause.state is TaskState.FAILED for cause in causes.told):
        yield f"What to do about {'each' if len(causes.told) > 1 else 'it'}: sparkles why {job}"


def headline(cause: Cause) -> str:
    """Return a cause in one line: how many tasks had it, and what it was.

    >>> from sparkles.causes import Cause
    >>> from sparkles.model import Task
    >>> task = Task(job="j", index=1, row="{}", digest=b"", generation=1, cluster="c")
    >>> headline(Cause(count=3, state=TaskState.FAILED, reason=Reason.EXIT, exit=3, words="bad value <n>",
    ...                example=task, filters=[]))
    '3 tasks failed: exit code 3, bad value <n>'
    """
    if cause.state is TaskState.KILLED:
        were = "was" if cause.count == 1 else "were"
        return f"{counted(cause.count, 'task')} {were} killed{cause.words and f' by {cause.words}'}"
    return f"{counted(cause.count, 'task')} failed: {ending(cause.reason, cause.exit, cause.words)}"


def ending(reason: Reason | None, code: int | None, words: str) -> str:
    """Return how an attempt ended, with the last words that it wrote.

    >>> ending(Reason.EXIT, 139, "")
    'exit code 139 (SIGSEGV), wrote nothing'
    """
    said = words or ("wrote nothing" if reason is Reason.EXIT else "")
    return ", ".join(filter(None, (briefly(reason, code), said)))


def briefly(reason: Reason | None, code: int | None) -> str:
    """Return how an attempt ended, as short as can be.

    >>> briefly(Reason.EXIT, 3), briefly(Reason.OUT_OF_MEMORY, None)
    ('exit code 3', 'out of memory')
    """
    return f"exit code {code}{_signal(code)}" if reason is Reason.EXIT else _BRIEFLY[reason]


def _signal(code: int | None) -> str:
    if code is None or code <= _SIGNALLED:
        return ""
    try:
        return f" ({Signals(code - _SIGNALLED).name})"
    except ValueError:  # some programs have such exit codes of their own
        return ""


def _details(cause: Cause, job: str) -> Iterator[str]:
    example = cause.example
    if example.said and example.said != cause.words and cause.state is TaskState.FAILED:
        yield f"such as {example.id}: {example.said}"
    yield from commands(cause, job)
    yield from filter(None, [doubt(cause)])


def doubt(cause: Cause) -> str:
    """Return what is to be said of the commands of a cause if they may find other tasks, too; else nothing."""
    is_exact = cause.is_exact or cause.count == 1
    return "" if is_exact else "the filters may find tasks of other causes, too: their last lines are too much alike"


def commands(cause: Cause, job: str) -> list[str]:
    """Return the commands that show what a cause is about, and run its tasks again, as they are typed into a shell."""
    log = _command("logs", cause.example.id)
    if cause.count == 1:
        return [log, _command("retry", cause.example.id)]
    return [log, _command("list", job, cause.filters), _command("retry", job, cause.filters)]


def _command(verb: str, target: str, filters: Sequence[str] = ()) -> str:
    return shlex.join(["sparkles", verb, target, *(word for text in filters for word in ("--filter", text))])


def document(cause: Cause) -> dict[str, Any]:
    """Return a cause for programs."""
    return {
        "count": cause.count,
        "state": cause.state.value,
        "reason": cause.reason and cause.reason.value,
        "exit": cause.exit,
        "words": cause.words,
        "example": cause.example.id,
        "said": cause.example.said,
        "filters": list(cause.filters),
        "exact": cause.is_exact,
    }
