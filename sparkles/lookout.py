"""Lookout: sees how a job stands, for a terminal that shows it. Costs a few reads, however many tasks there are."""

from __future__ import annotations

from collections.abc import Mapping

from sparkles import cause_text, results
from sparkles.model import OPEN, Job, Task, TaskState
from sparkles.pace import Pace
from sparkles.ports.backend import Backend
from sparkles.sight import Failure, Sight, Tailed
from sparkles.tail import Tail

#: Failed tasks that are shown.
_FAILURES = 3

#: Printed states of nodes that are yet to come.
_COMING = frozenset({"submitted", "staging"})


class Lookout:
    """Remembers of a job what a look at it does not tell: how quickly its tasks end, which failed, who is to come."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._pace = Pace()
        #: The counts of tasks that the failures belong to.
        self._counts: Mapping[TaskState, int] = {}
        self._failures: dict[tuple[str, str | None], Failure] = {}
        #: State of nodes that are to come → since when some have been in it; None before the first look.
        self._since: Mapping[str, float] | None = None

    def look(
        self,
        job: Job,
        counts: Mapping[TaskState, int],
        nodes: Mapping[str, int],
        tail: Tail | None,
        *,
        now: float,
        asked: float | None = None,
    ) -> Sight:
        """Return what there is to see `now`, a time of day in seconds as that at which nodes were last `asked` for."""
        still_open = sum(counts.get(state, 0) for state in OPEN)
        ended = sum(counts.values()) - still_open
        self._pace = self._pace.at(now, ended, running=bool(counts.get(TaskState.CLAIMED)))
        self._see_failures(job.name, counts)
        return Sight(
            job=job.name,
            counts=counts,
            nodes=nodes,
            coming=self._see_coming(nodes, now=now, asked=asked),
            needs=job.waiting.needs if job.waiting else (),
            held=job.canary.held if job.canary and job.holds_back else 0,
            elapsed=max(0.0, now - job.submitted),
            rate=self._pace.rate,
            eta=self._pace.seconds(still_open),
            tailed=Tailed(id=tail.task.id, sample=tail.sample, unfinished=tail.unfinished) if tail else None,
            failures=tuple(self._failures.values()),
        )

    def _see_coming(self, nodes: Mapping[str, int], *, now: float, asked: float | None) -> Mapping[str, float]:
        """Return for how long nodes have been in the states of those that are to come.

        Who begins to look while none has come yet knows it from when they were asked for.
        """
        if self._since is None:
            first = now if asked is None or not nodes.keys() <= _COMING else asked
            self._since = dict.fromkeys(_COMING & nodes.keys(), first)
        self._since = {word: self._since.get(word, now) for word in _COMING & nodes.keys()}
        return {word: max(0.0, now - since) for word, since in self._since.items()}

    def _see_failures(self, job: str, counts: Mapping[TaskState, int]) -> None:
        """Look which tasks failed, when anything has moved; read only the logs that were not read before."""
        if counts == self._counts:
            return
        self._counts = counts
        failed = counts.get(TaskState.FAILED)
        tasks = self._backend.state.some(job, TaskState.FAILED, limit=_FAILURES, last=True) if failed else []
        known = self._failures
        self._failures = {
            (task.id, task.result_generation): known.get((task.id, task.result_generation)) or self._failure(task)
            for task in tasks
        }

    def _failure(self, task: Task) -> Failure:
        return Failure(
            id=task.id, how=cause_text.briefly(task.reason, task.exit), last_line=results.last_line(task, self._backend)
        )
