"""Facts: what is known of a job, and what is found about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkles.causes import NONE, Causes
from sparkles.model import Cluster, Job, Node, TaskState
from sparkles.quantities import clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is so, and what to do about it."""

    says: str
    #: Empty if nothing has to be done, or it is not known what.
    do: str = ""
    #: That show more of it, or mend it, as they are typed into a shell.
    commands: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of a job at one moment."""

    job: Job
    counts: Mapping[TaskState, int]
    #: Seconds, the time of day.
    now: float
    cluster: Cluster | None = None
    #: Those of the job's cluster that are not gone.
    nodes: Sequence[Node] = ()
    #: Names of nodes whose worker is dead or hung.
    silent: frozenset[str] = frozenset()
    #: Nodes without a record: asked for, and made.
    submitted: int = 0
    staging: int = 0
    #: Seconds, the time of day: when nodes were asked for the last time.
    asked: float | None = None
    #: Why nodes do not come; each says what to do about it, too.
    troubles: Sequence[str] = ()
    #: What the job waits for, in words; None if it does not.
    waits: str | None = None
    #: Why its nodes are not started from here; None if they are.
    elsewhere: str | None = None
    #: The most nodes that there can be, whatever the manifest says; None if that decides.
    most_nodes: int | None = None
    #: Why tasks have failed or were killed.
    causes: Causes = NONE
    #: Bytes of memory that a task may use; None if nothing limits it.
    memory: int | None = None
    #: Seconds that most tasks took which succeeded: the median; None if too few have.
    usual: float | None = None

    def ago(self, moment: float) -> str:
        """Return how long ago a moment was, in words."""
        return f"{clock(max(0.0, self.now - moment))} ago"
