"""State: jobs, tasks, nodes and clusters, in a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from sparkles.model import Cluster, Job, Key, Node, Record, Records, Task, TaskColumns, TaskState, Writes

#: Decides, from the records as read, what to write. Pure: it may be called again after a conflict.
Move = Callable[[Records], Writes]


class StateStore(Protocol):
    """Jobs, tasks, nodes and clusters. Knows atomicity, no rules."""

    #: The most records that one `change` should name.
    commit_limit: int
    #: How many threads may use the store at the same time, and are worth it. Only with more than one does it keep
    #: fences (see `model.Fence`).
    streams: int
    #: The most bytes that the row of a task may take; None if there is no limit that anybody would meet.
    row_limit: int | None

    def read(self, keys: Sequence[Key]) -> Records:
        """Return the records that exist among `keys`."""
        ...

    def change(self, keys: Sequence[Key], move: Move) -> dict[Key, Record]:
        """Write `move(records)` in one atomic commit, or nothing.

        Reads `keys` and hands `move` those that exist. Everything that `move` puts or removes must be
        among `keys`, or new. If another writer came between, reads and calls `move` again, so `move` must
        be pure. What `move` raises leaves the store as it was. Returns the records put, with their versions.

        Only what is written is guarded: a move whose decision hangs on a record must put that one, too. Raises
        BackendError if it cannot be written; then it may have been, where the store is far away.
        """
        ...

    def pending(self, cluster: str, *, limit: int) -> Sequence[Task]:
        """Return up to `limit` pending tasks of `cluster`, in the order they should be tried."""
        ...

    def held(self, node: str) -> Sequence[Task]:
        """Return the tasks that `node` has claimed."""
        ...

    def is_open(self, job: str) -> bool:
        """Say whether any task of `job` is pending or claimed. One snapshot."""
        ...

    def count_open(self, job: str, *, most: int) -> int:
        """Return how many tasks of `job` are pending or claimed, counted up to `most`. One snapshot."""
        ...

    def open_indices(self, job: str) -> Sequence[int]:
        """Return the indices of the tasks of `job` that are pending or claimed. One snapshot."""
        ...

    def counts(
        self, job: str, *, states: Sequence[TaskState] = tuple(TaskState), most: int | None = None
    ) -> Mapping[TaskState, int]:
        """Return how many tasks of `job` are in each of `states`, as of one moment; states without tasks are left out.

        Of each it need not count more than `most`.
        """
        ...

    def columns(self, job: str) -> TaskColumns:
        """Return index, digest and state of all tasks of `job`."""
        ...

    def rows(self, job: str) -> Iterator[str]:
        """Yield the row of every task of `job`, by index."""
        ...

    def tasks(
        self, job: str, *, states: Sequence[TaskState] = (), passes: Callable[[str], bool] | None = None
    ) -> Iterator[Task]:
        """Yield the tasks of `job` by index: those in `states`, or in any, whose row `passes`, or all.

        Of those that do not pass no more than the row is read, where that is quicker.
        """
        ...

    def some(self, job: str, state: TaskState, *, limit: int, last: bool = False) -> Sequence[Task]:
        """Return up to `limit` tasks of `job` in `state`.

        Where the store keeps tasks in an order, they come in it; if `last`, from its end. Takes no longer if the job
        has a million tasks.
        """
        ...

    def jobs(self) -> Sequence[Job]:
        """Return all jobs, the one submitted last at the end."""
        ...

    def open_jobs(self, cluster: str | None = None) -> Sequence[Job]:
        """Return the jobs that are open, of one cluster or of all, the one submitted last at the end.

        Those that have ended cost nothing: it may be asked again and again.
        """
        ...

    def nodes(self, cluster: str | None = None, *, quiet: float = 0.0) -> Sequence[Node]:
        """Return the nodes that are not gone, of one cluster or of all.

        With `quiet`, those that have not been written for so many seconds are enough: where each record that is read
        costs, others are left out, by the clocks of those who wrote them.
        """
        ...

    def past_nodes(self) -> Sequence[Node]:
        """Return the nodes that are lost or gone, as far as their records are still there."""
        ...

    def clusters(self) -> Sequence[Cluster]:
        """Return all clusters."""
        ...

    def tick(self) -> object:
        """Return a value that differs from the last one if anybody may have written since. Cheap."""
        ...

    def close(self) -> None:
        """Give back what the store holds open."""
        ...
