"""Sight: all that there is to see of a job at one moment, as a value that a terminal shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sparkles.model import Sample, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A task that failed."""

    id: str
    #: How its last attempt ended.
    how: str
    #: The end of what it wrote; empty if it wrote nothing.
    last_line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tailed:
    """The task whose output is being printed."""

    id: str
    sample: Sample | None = None
    #: What it has written of a line that has not ended: a progress bar, perhaps.
    unfinished: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A job at one moment. Times are seconds."""

    job: str
    counts: Mapping[TaskState, int]
    #: Printed state of a node → how many are in it.
    nodes: Mapping[str, int] = field(default_factory=dict)
    #: Of those that are yet to come: printed state → for how long some have been in it.
    coming: Mapping[str, float] = field(default_factory=dict)
    #: The jobs that it waits for.
    needs: tuple[str, ...] = ()
    #: How many tasks it holds back for its first ones.
    held: int = 0
    #: Since it was submitted.
    elapsed: float = 0.0
    #: Tasks that end in a second, and the time until all have; None as long as that cannot be told.
    rate: float | None = None
    eta: float | None = None
    tailed: Tailed | None = None
    #: Those of the last tasks that failed, the last one first.
    failures: tuple[Failure, ...] = ()
    #: Other jobs that are watched at the same time.
    beside: tuple[Sight, ...] = ()
