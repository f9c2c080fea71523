"""State in Datastore. One commit is atomic, holds no lock, and fails if any record it writes is not as it was read.

No interactive transaction is ever opened: a client that dies inside one leaves what it read unwritable for a minute.
No query needs an index of its own: each asks for one property, or for a range of keys.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Any, NamedTuple

from sparkles.backends.gcp import datastore, records
from sparkles.backends.gcp.datastore import ConflictError, Datastore, Patience, UnknownOutcomeError
from sparkles.errors import BackendError
from sparkles.model import (
    OPEN,
    Cluster,
    Job,
    Key,
    Node,
    NodeState,
    Record,
    Records,
    Task,
    TaskColumns,
    TaskState,
    Writes,
)
from sparkles.ports.state import Move

#: Comes after every place in a queue.
_END = "~"


class _Stored(NamedTuple):
    """A record as it was read."""

    record: Record
    #: The version that Datastore gives to every write.
    base: int
    #: Names the commit that wrote it.
    commit: str


class DatastoreState:
    """StateStore in one namespace of a Datastore database. May be used by several threads."""

    commit_limit = datastore.MUTATIONS_A_COMMIT
    streams = 16
    #: An entity may take a mebibyte.
    row_limit: int | None = 900_000

    def __init__(self, store: Datastore) -> None:
        self._store = store
        #: Commits that were made, and those of them that had to be made again: for measurements.
        self.commits = self.conflicts = 0
        self._ticks = 0

    def read(self, keys: Sequence[Key]) -> Records:
        """See StateStore."""
        return {key: stored.record for key, stored in self._lookup(keys).items()}

    def _lookup(self, keys: Sequence[Key]) -> dict[Key, _Stored]:
        named = {(records.KINDS[key.kind], records.entity_name(key)): key for key in keys}
        found: dict[Key, _Stored] = {}
        for result, silence in self._store.lookup(list(named)):
            step = result.entity.key.path[0]
            key = named[step.kind, step.name]
            record = records.decode(key, result.entity, silence=silence)
            found[key] = _Stored(record, result.version, result.entity.properties["commit"].string_value)
        return found

    def change(self, keys: Sequence[Key], move: Move) -> dict[Key, Record]:
        """See StateStore."""
        patience = Patience(self._store.patience)
        #: Commits of unknown outcome: name → (a record that tells whether it was made, what it wrote).
        unsure: dict[str, tuple[Key, dict[Key, Record]]] = {}
        while True:
            found = self._lookup([*keys, *(proof for proof, _ in unsure.values() if proof not in keys)])
            for proof, _ in unsure.values():
                if proof in found and found[proof].commit in unsure:
                    return unsure[found[proof].commit][1]
            before = {key: found[key].record for key in keys if key in found}
            writes = move(before)
            commit = os.urandom(8).hex()
            mutations, written, added = self._mutations(found, writes, commit)
            if not mutations:
                return {}
            self.commits += 1
            try:
                self._store.commit(mutations)
            except ConflictError as error:
                self.conflicts += 1
                if landed := self._landed(added, unsure):
                    return unsure[landed][1]
                patience.wait(error)
            except UnknownOutcomeError as error:
                if touched := [*written, *added]:
                    unsure[commit] = touched[0], written
                patience.wait(error)
            else:
                return written

    def _mutations(
        self, found: Mapping[Key, _Stored], writes: Writes, commit: str
    ) -> tuple[list[Any], dict[Key, Record], list[Key]]:
        """Return what is to be committed: the mutations, the records put, and the keys of what is added."""
        mutations: list[Any] = []
        written: dict[Key, Record] = {}
        for record in writes.put:
            old = found.get(key := record.key)
            written[key] = new = replace(record, version=old.record.version + 1 if old else 1)
            one = records.mutation(new, old and old.record, old and old.base, commit)
            self._name(one.update.key if old else one.insert.key, key)
            mutations.append(one)
        for key in writes.remove:
            if key in found:
                mutations.append(one := datastore.Mutation())
                self._name(one.delete, key)
                one.base_version, one.conflict_resolution_strategy = found[key].base, datastore.FAIL
        added: list[Key] = []
        for key, one in records.insertions(writes.add, commit, name=self._name_task) if writes.add else ():
            mutations.append(one)
            added.append(key)
        return mutations, written, added

    def _name(self, into: Any, key: Key) -> None:
        self._store.name(into, records.KINDS[key.kind], records.entity_name(key))

    def _name_task(self, into: Any, name: str) -> None:
        self._store.name(into, records.KINDS["task"], name)

    def _landed(self, added: Sequence[Key], unsure: Mapping[str, object]) -> str | None:
        """Return which of our commits made what is to be new, if it is there already.

        Raises BackendError if it was not us who made it.
        """
        there = self._lookup(added) if added else {}
        for key, stored in there.items():
            if stored.commit not in unsure:
                raise BackendError(f"the record of {key.name}.{key.index} cannot be made: there is one already")
        return next((stored.commit for stored in there.values()), None)

    # Asking

    def pending(self, cluster: str, *, limit: int) -> Sequence[Task]:
        """See StateStore. From a place at random on, so that workers do not all reach for the same tasks.

        Going on where the last look ended would bring them together: each would jump over what another has taken, to
        where that one is.
        """
        start = os.urandom(4).hex()
        found = self._queued(cluster, start, _END, limit)
        return found if len(found) == limit else found + self._queued(cluster, "", start, limit - len(found))

    def _queued(self, cluster: str, start: str, end: str, limit: int) -> list[Task]:
        """Return up to `limit` pending tasks from one place in the queue to before another."""
        queue = records.queue_of(cluster)
        return self._tasks_of(datastore.prefixed("Task", "queue", queue + start, queue + end, limit=limit))

    def held(self, node: str) -> Sequence[Task]:
        """See StateStore."""
        return self._tasks_of(datastore.equal("Task", "queue", records.held_by(node)))

    def is_open(self, job: str) -> bool:
        """See StateStore. One range holds both states: a task that moves between two queries would be missed."""
        return any(True for _ in self._store.query(datastore.keys_only(_open(job, limit=1))))

    def count_open(self, job: str, *, most: int) -> int:
        """See StateStore."""
        return self._store.count(_open(job), most=most)[0]

    def open_indices(self, job: str) -> Sequence[int]:
        """See StateStore."""
        found = self._store.query(datastore.keys_only(_open(job)))
        return sorted(_index(result.entity) for result, _ in found)

    def counts(
        self, job: str, *, states: Sequence[TaskState] = tuple(TaskState), most: int | None = None
    ) -> Mapping[TaskState, int]:
        """See StateStore. All of them are counted as of one moment of the server's."""
        first, *others = states
        number, moment = self._store.count(self._in_state(job, first), most=most)

        def count(state: TaskState) -> int:
            return self._store.count(self._in_state(job, state), most=most, moment=moment)[0]

        with ThreadPoolExecutor(len(TaskState)) as pool:
            counted = {first: number, **dict(zip(others, pool.map(count, others), strict=True))}
        return {state: number for state, number in counted.items() if number}

    def _in_state(self, job: str, state: TaskState, limit: int | None = None) -> Any:
        return datastore.equal("Task", "job_state", records.job_state(job, state), limit=limit)

    def columns(self, job: str) -> TaskColumns:
        """See StateStore."""
        found = sorted(
            (_index(entity), entity.properties["digest"].blob_value, records.state_of(entity))
            for entity in self._entities(job)
        )
        digests = BytesIO()
        for _, digest, _ in found:
            digests.write(digest)
        indices = array("q", (index for index, _, _ in found))
        return TaskColumns(indices=indices, digests=digests.getvalue(), states=[state for _, _, state in found])

    def rows(self, job: str) -> Iterator[str]:
        """See StateStore."""
        found = [(_index(entity), _row(entity)) for entity in self._entities(job)]
        return (row for _, row in sorted(found))

    def tasks(
        self, job: str, *, states: Sequence[TaskState] = (), passes: Callable[[str], bool] | None = None
    ) -> Iterator[Task]:
        """See StateStore."""
        entities = self._entities_in(job, states) if states else self._entities(job)
        found = (entity for entity in entities if passes is None or passes(_row(entity)))
        return (self._task(job, _index(entity), entity) for entity in sorted(found, key=_index))

    def _task(self, job: str, index: int, entity: Any) -> Task:
        task = records.decode(Key.task(job, index), entity, silence=0.0)
        assert isinstance(task, Task)
        return task

    def _entities(self, job: str) -> Iterator[Any]:
        """Yield the entities of all tasks of a job, in no order that means anything."""
        start = records.job_range(job)
        query = datastore.between_keys(self._store, "Task", start, start[:-1] + ";")
        return (found.entity for found, _ in self._store.query(query))

    def _entities_in(self, job: str, states: Sequence[TaskState]) -> Iterator[Any]:
        """Yield the entities of tasks in some states: of the open ones in one look, lest one that moves be missed."""
        if set(states) >= OPEN:
            queries = [_open(job), *(self._in_state(job, state) for state in states if state not in OPEN)]
        else:
            queries = [self._in_state(job, state) for state in states]
        for query in queries:
            yield from (found.entity for found, _ in self._store.query(query))

    def some(self, job: str, state: TaskState, *, limit: int, last: bool = False) -> Sequence[Task]:  # noqa: ARG002
        """See StateStore. There is no order among them that could be asked for from either end."""
        return self._tasks_of(self._in_state(job, state, limit))

    def jobs(self) -> Sequence[Job]:
        """See StateStore."""
        return self._jobs(datastore.everything("Job"))

    def open_jobs(self, cluster: str | None = None) -> Sequence[Job]:
        """See StateStore. What another version wrote of a job may have left its place among the open ones."""
        everywhere = datastore.prefixed("Job", "queue", "", _END)
        found = self._jobs(everywhere if cluster is None else datastore.equal("Job", "queue", cluster))
        return [job for job in found if job.is_open]

    def _jobs(self, query: Any) -> Sequence[Job]:
        found = (job for job in self._readable("job", query) if isinstance(job, Job))
        return sorted(found, key=lambda job: (job.submitted, job.name))

    def nodes(self, cluster: str | None = None, *, quiet: float = 0.0) -> Sequence[Node]:
        """See StateStore."""
        start, end = ("", _END) if cluster is None else records.leases(cluster, quiet=quiet)
        found = self._readable("node", datastore.prefixed("Node", "lease", start, end))
        nodes = [node for node in found if isinstance(node, Node) and node.state is not NodeState.GONE]
        return sorted(nodes, key=lambda node: (node.created, node.name))

    def past_nodes(self) -> Sequence[Node]:
        """See StateStore. Nothing finds them but a look at all: it is for those who tidy up."""
        found = self._readable("node", datastore.everything("Node"))
        past = (NodeState.LOST, NodeState.GONE)
        return [node for node in found if isinstance(node, Node) and node.state in past]

    def clusters(self) -> Sequence[Cluster]:
        """See StateStore."""
        found = self._readable("cluster", datastore.everything("Cluster"))
        return [cluster for cluster in found if isinstance(cluster, Cluster)]

    def _readable(self, kind: str, query: Any) -> Iterator[Record]:
        """Yield the records that a query finds: those of other versions that cannot be read are not for this one."""
        for result, silence in self._store.query(query):
            with suppress(records.UnreadableError):
                yield records.decode(Key(kind, result.entity.key.path[0].name), result.entity, silence=silence)

    def tick(self) -> object:
        """See StateStore. To ask whether anything has changed would cost as much as to look."""
        self._ticks += 1
        return self._ticks

    def close(self) -> None:
        """See StateStore."""
        self._store.close()

    def _tasks_of(self, query: Any) -> list[Task]:
        found: list[Task] = []
        for result, _ in self._store.query(query):
            with suppress(records.UnreadableError):
                found.append(
                    self._task(records.job_of(result.entity.key.path[0].name), _index(result.entity), result.entity)
                )
        return found


def _open(job: str, limit: int | None = None) -> Any:
    """Return the query for the open tasks of a job: one range holds them all."""
    return datastore.prefixed("Task", "job_state", f"{job}/0", f"{job}/1", limit=limit)


def _index(entity: Any) -> int:
    return records.index_of(entity.key.path[0].name)


def _row(entity: Any) -> str:
    row: str = entity.properties["row"].string_value
    return row
