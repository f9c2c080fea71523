"""Local state: one SQLite file in WAL mode. BEGIN IMMEDIATE makes each `change` atomic and free of conflicts."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path

from sparkles.backends.local import records, statements
from sparkles.backends.local.filesystem import make_folder, make_once, require_local_disk
from sparkles.errors import BackendError
from sparkles.model import (
    Cluster,
    Job,
    Key,
    Node,
    Record,
    Records,
    Task,
    TaskColumns,
    TaskState,
    Writes,
)
from sparkles.ports.state import Move

#: Seconds to wait for another process's commit. Well below the lease: a worker must not sleep through it.
_PATIENCE = 10.0

#: SQLite's limit on bound values has been as low as 999.
_KEYS_A_QUERY = 400


class SqliteState:
    """StateStore in a file, or in memory where there is no file yet and nothing may be written."""

    commit_limit = 10_000
    streams = 1
    row_limit: int | None = None

    def __init__(self, path: Path | None, *, lazy: bool = False, fixed: bool = False) -> None:
        """Open, and if need be make, the file `path`; `lazy`: make it at the first write, and be empty until then.

        `fixed`: raise BackendError for a file that would have to be brought up to date.
        """
        if path is not None:
            require_local_disk(path.parent)
        self._writes = 0
        self._fixed = fixed
        self._later = path if path and lazy and not path.exists() else None
        self._open(None if self._later else path)

    def _open(self, path: Path | None) -> None:
        try:
            if path is not None:
                make_folder(path.parent)
                make_once(path, _create)
            self._connection = sqlite3.connect(path or ":memory:", timeout=_PATIENCE, isolation_level=None)
        except (OSError, sqlite3.OperationalError) as error:
            raise BackendError(f"{path}: cannot be used as the state of sparkles: {error}") from None
        try:
            self._prepare(path)
        except BackendError:
            self.close()
            raise
        except sqlite3.DatabaseError as error:
            self.close()
            raise BackendError(f"{path}: cannot be used as the state of sparkles: {error}") from None

    def _prepare(self, path: Path | None) -> None:
        self._connection.execute("PRAGMA synchronous = NORMAL")
        version = self._version(path)
        if self._fixed and path and version != records.SCHEMA_VERSION:
            raise BackendError(f"{path}: schema {version}, and this sparkles has {records.SCHEMA_VERSION}")
        if version == 0:
            _fill(self._connection)
        elif version < records.SCHEMA_VERSION:
            self._migrate(path)

    def _migrate(self, path: Path | None) -> None:
        """Bring an older file up to date. Programs that were started before and know it as it was can go on."""
        with self._transaction():
            for version in range(self._version(path), records.SCHEMA_VERSION):  # read again: another may have done it
                for statement in records.MIGRATIONS[version]:
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {records.SCHEMA_VERSION}")

    def _version(self, path: Path | None) -> int:
        version: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > records.SCHEMA_VERSION:
            raise BackendError(
                f"{path}: written by a newer sparkles (schema {version}, this one knows "
                f"{records.SCHEMA_VERSION}); use that version, or another SPARKLES_HOME"
            )
        return version

    def read(self, keys: Sequence[Key]) -> Records:
        """See StateStore."""
        found: dict[Key, Record] = {}
        tasks: dict[str, list[int]] = {}
        for key in keys:
            if key.kind == "task":
                tasks.setdefault(key.name, []).append(key.index)
            elif (record := self._one(key)) is not None:
                found[key] = record
        for job, indices in tasks.items():
            for start in range(0, len(indices), _KEYS_A_QUERY):
                some = indices[start : start + _KEYS_A_QUERY]
                marks = ",".join("?" * len(some))
                for task in self._tasks(f'job = ? AND "index" IN ({marks})', (job, *some)):
                    found[task.key] = task
        return found

    def _one(self, key: Key) -> Record | None:
        condition, values = records.where(key)
        row = self._connection.execute(
            f"SELECT {records.QUOTED[key.kind]} FROM {key.kind} WHERE {condition}",  # noqa: S608 - names of ours
            values,
        ).fetchone()
        return records.DECODE[key.kind](row) if row else None

    def change(self, keys: Sequence[Key], move: Move) -> dict[Key, Record]:
        """See StateStore."""
        with self._transaction():
            before = self.read(keys)
            return self._write(before, move(before))

    def _write(self, before: Records, writes: Writes) -> dict[Key, Record]:
        written: dict[Key, Record] = {}
        for record in writes.put:
            old = before.get(key := record.key)
            written[key] = replace(record, version=old.version + 1 if old else 1)
        for statement, rows in statements.of_records(before, written).items():
            self._connection.executemany(statement, rows)
        for key in writes.remove:
            condition, values = records.where(key)
            self._connection.execute(f"DELETE FROM {key.kind} WHERE {condition}", values)  # noqa: S608
        for statement, several in statements.of_new_tasks(writes.add, self._quoted) if writes.add else ():
            self._connection.execute(statement, several)
        return written

    def _quoted(self, value: object) -> str:
        quoted: str = self._connection.execute("SELECT quote(?)", (value,)).fetchone()[0]
        return quoted

    def pending(self, cluster: str, *, limit: int) -> Sequence[Task]:
        """See StateStore. First submitted, first tried."""
        return self._tasks("cluster = ? AND state = 'pending' ORDER BY rowid LIMIT ?", (cluster, limit))

    def held(self, node: str) -> Sequence[Task]:
        """See StateStore."""
        return self._tasks("node = ? AND state = 'claimed'", (node,))

    def _tasks(self, condition: str, values: Sequence[object]) -> list[Task]:
        rows = self._connection.execute(
            f"SELECT {records.QUOTED['task']} FROM task WHERE {condition}",  # noqa: S608 - conditions of ours
            values,
        )
        return [records.task_from(row) for row in rows]

    def is_open(self, job: str) -> bool:
        """See StateStore."""
        query = "SELECT 1 FROM task WHERE job = ? AND state IN ('pending', 'claimed') LIMIT 1"
        return self._connection.execute(query, (job,)).fetchone() is not None

    def count_open(self, job: str, *, most: int) -> int:
        """See StateStore."""
        query = "SELECT COUNT(*) FROM (SELECT 1 FROM task WHERE job = ? AND state IN ('pending', 'claimed') LIMIT ?)"
        counted: int = self._connection.execute(query, (job, most)).fetchone()[0]
        return counted

    def open_indices(self, job: str) -> Sequence[int]:
        """See StateStore."""
        query = "SELECT \"index\" FROM task WHERE job = ? AND state IN ('pending', 'claimed') ORDER BY \"index\""
        return [index for (index,) in self._connection.execute(query, (job,))]

    def counts(
        self,
        job: str,
        *,
        states: Sequence[TaskState] = tuple(TaskState),
        most: int | None = None,  # noqa: ARG002 - to count takes no time
    ) -> Mapping[TaskState, int]:
        """See StateStore."""
        query = "SELECT state, COUNT(*) FROM task WHERE job = ? GROUP BY state"
        counted = {TaskState(state): n for state, n in self._connection.execute(query, (job,))}
        return {state: n for state, n in counted.items() if state in states}

    def columns(self, job: str) -> TaskColumns:
        """See StateStore."""
        indices = array("q")
        digests = BytesIO()
        states: list[TaskState] = []
        query = 'SELECT "index", digest, state FROM task WHERE job = ? ORDER BY "index"'
        for index, digest, state in self._connection.execute(query, (job,)):
            indices.append(index)
            digests.write(digest)
            states.append(records.TASK_STATES[state])
        return TaskColumns(indices=indices, digests=digests.getvalue(), states=states)

    def rows(self, job: str) -> Iterator[str]:
        """See StateStore."""
        query = 'SELECT row FROM task WHERE job = ? ORDER BY "index"'
        return (row for (row,) in self._connection.execute(query, (job,)))

    def tasks(
        self, job: str, *, states: Sequence[TaskState] = (), passes: Callable[[str], bool] | None = None
    ) -> Iterator[Task]:
        """See StateStore."""
        condition = "job = ?"
        if states:
            condition += f" AND state IN ({','.join('?' * len(states))})"
        values = (job, *(state.value for state in states))
        return self._by_index(condition, values) if passes is None else self._passing(condition, values, passes)

    def _by_index(self, condition: str, values: Sequence[object]) -> Iterator[Task]:
        rows = self._connection.execute(
            f'SELECT {records.QUOTED["task"]} FROM task WHERE {condition} ORDER BY "index"',  # noqa: S608
            values,
        )
        return map(records.task_from, rows)

    def _passing(self, condition: str, values: Sequence[object], passes: Callable[[str], bool]) -> Iterator[Task]:
        """Yield tasks whose row passes; of all others no more than the row is read, which takes a third of the time."""
        query = f'SELECT "index", row FROM task WHERE {condition} ORDER BY "index"'  # noqa: S608 - conditions of ours
        found = (index for index, row in self._connection.execute(query, values) if passes(row))
        while some := list(islice(found, _KEYS_A_QUERY)):
            yield from self._by_index(f'{condition} AND "index" IN ({",".join("?" * len(some))})', (*values, *some))

    def some(self, job: str, state: TaskState, *, limit: int, last: bool = False) -> Sequence[Task]:
        """See StateStore. The index on the states is in this order, so no other row is looked at."""
        order = '"index" DESC' if last else '"index"'
        return self._tasks(f"job = ? AND state = ? ORDER BY {order} LIMIT ?", (job, state.value, limit))

    def jobs(self) -> Sequence[Job]:
        """See StateStore."""
        rows = self._connection.execute(f"SELECT {records.QUOTED['job']} FROM job ORDER BY submitted, rowid")  # noqa: S608
        return [records.job_from(row) for row in rows]

    def open_jobs(self, cluster: str | None = None) -> Sequence[Job]:
        """See StateStore."""
        rows = self._connection.execute(
            f"SELECT {records.QUOTED['job']} FROM job "  # noqa: S608 - names of ours
            "WHERE (ended IS NULL OR state IN ('active', 'waiting')) AND (? IS NULL OR cluster = ?) "
            "ORDER BY submitted, rowid",
            (cluster, cluster),
        )
        return [records.job_from(row) for row in rows]

    def nodes(self, cluster: str | None = None, *, quiet: float = 0.0) -> Sequence[Node]:  # noqa: ARG002
        """See StateStore. To look at them all costs nothing here."""
        rows = self._connection.execute(
            f"SELECT {records.QUOTED['node']} FROM node "  # noqa: S608 - names of ours
            "WHERE state != 'gone' AND (? IS NULL OR cluster = ?) ORDER BY created, name",
            (cluster, cluster),
        )
        return [records.node_from(row) for row in rows]

    def past_nodes(self) -> Sequence[Node]:
        """See StateStore."""
        rows = self._connection.execute(
            f"SELECT {records.QUOTED['node']} FROM node WHERE state IN ('lost', 'gone')"  # noqa: S608 - names of ours
        )
        return [records.node_from(row) for row in rows]

    def clusters(self) -> Sequence[Cluster]:
        """See StateStore."""
        rows = self._connection.execute(f"SELECT {records.QUOTED['cluster']} FROM cluster")  # noqa: S608
        return [records.cluster_from(row) for row in rows]

    def tick(self) -> object:
        """See StateStore."""
        return self._connection.execute("PRAGMA data_version").fetchone()[0], self._writes

    def close(self) -> None:
        """See StateStore."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what is done inside as a whole, or leave everything as it was."""
        if self._later:
            self.close()
            self._open(self._later)
            self._later = None
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:  # full disk, I/O error, locked for too long, a record that is there
            raise BackendError(f"the state database cannot be written: {error}") from None
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._writes += 1


def _create(path: Path) -> None:
    """Make a database without records. Here, where nobody else is: a change of mode does not wait for others."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        _fill(connection)
    finally:
        connection.close()


def _fill(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    making = [*records.SCHEMA.split(";\n"), f"PRAGMA user_version = {records.SCHEMA_VERSION}"]
    for statement in ["BEGIN", *making, "COMMIT"]:
        connection.execute(statement)
