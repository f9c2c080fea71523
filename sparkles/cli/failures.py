"""Failures: what is said at the end of a job whose tasks failed or were killed: why they did."""

from __future__ import annotations

from collections.abc import Mapping

from sparkles import cause_text, causes
from sparkles.causes import Causes
from sparkles.cli.context import hint
from sparkles.model import TaskState
from sparkles.ports.backend import Backend

_BAD = (TaskState.FAILED, TaskState.KILLED)


def say_causes(job: str, backend: Backend, counts: Mapping[TaskState, int]) -> None:
    """Say why tasks of a job failed or were killed, if any did or was. Not on stdout, which may belong to a program."""
    for line in cause_text.lines(causes_of(job, backend, counts), job):
        hint(line)


def causes_of(job: str, backend: Backend, counts: Mapping[TaskState, int], *, most: int = causes.TOLD) -> Causes:
    """Return why tasks of a job, with so many in each state, failed or were killed. Without such ones reads nothing."""
    states = [state for state in _BAD if counts.get(state)]
    return causes.of(backend.state.tasks(job, states=states), most=most) if states else causes.NONE
