"""Subject: all that the page is told of one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparkles.model import Job, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A job to be shown, as it stood when all of this was read."""

    job: Job
    #: Sorted by index.
    tasks: Sequence[Task]
    #: The pinned manifest; None while there is none.
    document: Mapping[str, Any] | None
    #: Field of a file that the tasks left → its value of each task; None where there is none.
    fields: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    #: Label → what else is known of where the job comes from.
    origin: Mapping[str, str] = field(default_factory=dict)
    #: What the reader has to know of what is missing.
    notes: Sequence[str] = ()
