"""Selection: which tasks of some jobs are meant, in which order, and how many of them. Looks; writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from sparkles import fields, filters
from sparkles.model import Job, Task, TaskState
from sparkles.ports.backend import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a user says of the tasks that are meant."""

    filters: Sequence[filters.Filter] = ()
    #: Only of these states, whatever the filters say.
    states: Collection[TaskState] = tuple(TaskState)
    #: Without any, tasks come by job and index.
    orders: Sequence[fields.Order] = ()
    #: The most tasks; None for all.
    limit: int | None = None

    def require(self, jobs: Sequence[Job], backend: Backend, *, shown: Sequence[fields.Field] = ()) -> None:
        """Raise RequestError if this, or what is to be `shown`, names a parameter that no task has."""
        named = [(one.field, f"filter {one.text!r}") for one in self.filters]
        named += [(one.field, f"--sort {one.field.name}") for one in self.orders]
        named += [(one, f"--fields {one.name}") for one in shown]
        wanted = {field.parameter: where for field, where in named if field.parameter is not None}
        fields.require(wanted, rows(jobs, backend))

    def of(self, jobs: Sequence[Job], backend: Backend) -> Iterator[Task]:
        """Yield the tasks; without an order no more of them are read than that takes."""
        of_records = [one for one in self.filters if one.field.parameter is None]
        tasks = filters.select(of_records, self._read(jobs, backend))
        return islice(fields.in_order(self.orders, tasks) if self.orders else tasks, self.limit)

    def _read(self, jobs: Sequence[Job], backend: Backend) -> Iterator[Task]:
        states = [state for state in filters.states(self.filters) if state in self.states]
        if not states:
            return iter(())
        some = () if len(states) == len(TaskState) else states
        passes = filters.row_test(self.filters)
        return chain.from_iterable(backend.state.tasks(job.name, states=some, passes=passes) for job in jobs)


def passing(expressions: Sequence[str], states: Collection[TaskState] = tuple(TaskState)) -> Selection:
    """Return the selection of tasks in some states that pass filters, as they are written."""
    return Selection(filters=[filters.parse(text) for text in expressions], states=states)


def rows(jobs: Sequence[Job], backend: Backend) -> Iterator[str]:
    """Yield the rows of tasks, some of them twice: first one of each state, since most often all are alike."""
    for job in jobs:
        for state in TaskState:
            yield from (task.row for task in backend.state.some(job.name, state, limit=1))
    yield from chain.from_iterable(backend.state.rows(job.name) for job in jobs)
