"""Subject: all that the page is told of one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparkles.model import Job, Task

#: The value of a field that a task left in a file; None where it left none.
Value = str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Tasks that did not succeed for one and the same cause."""

    text: str
    count: int
    #: `JOB.N`.
    example: str
    #: Commands that show, and that rerun, what this is about.
    commands: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A job to be shown, as it stood when all of this was read."""

    job: Job
    #: Sorted by index.
    tasks: Sequence[Task]
    #: The pinned manifest; None while there is none.
    document: Mapping[str, Any] | None
    causes: Sequence[Cause] = ()
    #: Field of a file that the tasks left → its value of each task.
    fields: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    #: Label → what else is known of where the job comes from.
    origin: Mapping[str, str] = field(default_factory=dict)
    #: What the reader has to know of what is missing.
    notes: Sequence[str] = ()
