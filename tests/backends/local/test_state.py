"""The state in SQLite: the contract, and what only a file can do."""

from __future__ import annotations

import multiprocessing
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from contracts.nouns import a_claimed_task, a_cluster, a_job, a_task, put
from contracts.reads import ReadsContract
from contracts.state import INCREMENTS, OpenStore, StateStoreContract, claim_all, increment_often

from sparkles.backends.local import records, state
from sparkles.backends.local.filesystem import filesystem_of
from sparkles.backends.local.records import SCHEMA_VERSION
from sparkles.backends.local.state import SqliteState
from sparkles.errors import BackendError, RequestError
from sparkles.model import Key, NewTasks, Past, Reason, TaskState, Waiting, Writes


class TestSqliteReads(ReadsContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return partial(SqliteState, tmp_path / "state.db")


class TestSqliteState(StateStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return partial(SqliteState, tmp_path / "state.db")

    def test_processes_lose_no_increment_and_claim_no_task_twice(self, store, open_store):
        put(store, a_cluster())
        rows = [(index, "{}", b"d" * 32) for index in range(1, 41)]
        store.change([], lambda _: Writes(add=NewTasks(a_task(), rows)))

        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            increments = [pool.submit(increment_often, open_store, number) for number in (1, 2)]
            claims = [pool.submit(claim_all, open_store, number) for number in (1, 2)]
            got = [index for claim in claims for index in claim.result()]

        assert store.read([Key.cluster("c")])[Key.cluster("c")].epoch == INCREMENTS * len(increments)
        assert sorted(got) == list(range(1, 41))

    @pytest.mark.parametrize("last", [False, True])
    def test_some_tasks_in_a_state_are_found_without_a_look_at_the_others(self, store, last):
        statements: list[str] = []
        store._connection.set_trace_callback(statements.append)
        store.some("j", TaskState.CLAIMED, limit=3, last=last)
        store._connection.set_trace_callback(None)

        (plan,) = store._connection.execute(f"EXPLAIN QUERY PLAN {statements[-1]}").fetchall()

        assert "USING INDEX task_state (job=? AND state=?)" in plan[-1]

    def test_some_tasks_in_a_state_are_the_first_or_the_last_that_are_tried(self, store):
        put(store, *(a_task(index, state=TaskState.FAILED) for index in range(2, 9)), a_claimed_task(9))

        def some(state, **options):
            return [task.index for task in store.some("j", state, **options)]

        assert some(TaskState.FAILED, limit=3) == [2, 3, 4]
        assert some(TaskState.FAILED, limit=3, last=True) == [8, 7, 6]
        assert some(TaskState.CLAIMED, limit=3, last=True) == [9]

    def test_tasks_are_tried_in_the_order_of_their_submission(self, store):
        put(store, a_task(5))
        put(store, a_task(2))
        put(store, a_task(9, job="k"), a_task(1))

        assert [task.id for task in store.pending("c", limit=10)] == ["j.5", "j.2", "k.9", "j.1"]

    def test_a_store_without_a_file_is_empty_and_leaves_none(self, tmp_path):
        with closing(SqliteState(None)) as store:
            assert list(store.jobs()) == []

        assert list(tmp_path.iterdir()) == []

    def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(self, tmp_path):
        path = tmp_path / "state.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        content = path.read_bytes()

        with pytest.raises(BackendError, match=r"written by a newer sparkles .* SPARKLES_HOME") as error:
            SqliteState(path)

        assert error.value.exit_code == 3
        assert path.read_bytes() == content

    def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(self, tmp_path):
        content = b"not a database, but a text of some length\n" * 50
        path = tmp_path / "state.db"
        path.write_bytes(content)

        with pytest.raises(BackendError, match=r"state\.db: cannot be used as the state of sparkles"):
            SqliteState(path)

        assert path.read_bytes() == content

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(lambda path: path.mkdir(parents=True), id="a folder of that name"),
            pytest.param(lambda path: (path.parent.mkdir(), path.symlink_to("/dev/full")), id="a device"),
        ],
    )
    def test_a_file_that_cannot_be_opened_is_refused(self, tmp_path, make):
        path = tmp_path / "home" / "state.db"
        make(path)

        with pytest.raises(BackendError, match="cannot be used as the state of sparkles"):
            SqliteState(path)

    def test_a_lazy_store_is_made_by_its_first_write(self, tmp_path):
        path = tmp_path / "home" / "state.db"

        with closing(SqliteState(path, lazy=True)) as store:
            assert store.jobs() == []
            assert not path.parent.exists()
            put(store, a_job("j"))
            assert [job.name for job in store.jobs()] == ["j"]

        assert path.parent.stat().st_mode & 0o777 == 0o700
        with closing(SqliteState(path)) as again:
            assert [job.name for job in again.jobs()] == ["j"]

    def test_a_database_that_stays_locked_is_an_error_of_the_backend(self, tmp_path, monkeypatch):
        monkeypatch.setattr(state, "_PATIENCE", 0.01)
        path = tmp_path / "state.db"
        with closing(SqliteState(path)) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

            with pytest.raises(BackendError, match="cannot be written: database is locked"):
                put(store, a_job())

            other.execute("ROLLBACK")
            put(store, a_job())
            assert len(store.jobs()) == 1

    def test_a_commit_that_the_disk_refuses_is_an_error_of_the_backend_and_writes_nothing(self, store):
        put(store, a_job())
        store._connection.execute("PRAGMA max_page_count = 1")  # no page more than there are
        rows = ((index, "x" * 1000, b"d" * 32) for index in range(1, 1000))

        with pytest.raises(BackendError, match="cannot be written: database or disk is full"):
            store.change([], lambda _: Writes(add=NewTasks(a_task(), rows)))

        store._connection.execute("PRAGMA max_page_count = 1000000")
        assert store.counts("j") == {}
        put(store, a_task(1))
        assert store.counts("j") == {TaskState.PENDING: 1}

    def test_a_task_cannot_be_added_twice(self, store):
        put(store, a_task(1))

        with pytest.raises(BackendError):
            store.change([], lambda _: Writes(put=[a_job()], add=NewTasks(a_task(), [(1, "{}", b"d" * 32)])))

        assert list(store.jobs()) == []


MOUNTS = r"""
/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/me/scratch xfs rw 0 0
//server/share /mnt/my\040share cifs rw 0 0
tmpfs /mnt tmpfs rw 0 0
/dev/sdc1 /data ext4 rw 0 0
me@far:/data /data fuse.sshfs rw 0 0
""".strip().splitlines()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/", "ext4", id="the root"),
        pytest.param("/var/lib/x", "ext4", id="below the root"),
        pytest.param("/home", "nfs4", id="the mount point itself"),
        pytest.param("/home/me/.local/state/sparkles", "nfs4", id="deep below a mount point"),
        pytest.param("/homework", "ext4", id="a name that begins like a mount point"),
        pytest.param("/home/me/scratch/x", "xfs", id="the deepest mount point counts"),
        pytest.param("/mnt/my share/x", "cifs", id="a mount point with a space"),
        pytest.param("/mnt/x", "tmpfs", id="a mount that was listed later but is not as deep"),
        pytest.param("/data/x", "fuse.sshfs", id="the last mount on a point is on top"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_its_deepest_mount_point(path: str, kind: str) -> None:
    assert filesystem_of(Path(path), MOUNTS) == kind


def test_state_on_a_network_file_system_is_a_wrong_request_that_names_the_way_out(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sparkles.backends.local.filesystem.filesystem_of", lambda *_: "nfs4")

    with pytest.raises(RequestError, match=r"is on a network file system \(nfs4\).*set SPARKLES_HOME") as error:
        SqliteState(tmp_path / "state.db")

    assert error.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


FIFTH_SCHEMA = records.SCHEMA
for column in (
    ", more TEXT);\nCREATE TABLE task",
    "killed_by TEXT, ",
    "history TEXT, ",
    "queued REAL, ",
    "said TEXT, ",
):
    assert FIFTH_SCHEMA.count(column) == 1
    FIFTH_SCHEMA = FIFTH_SCHEMA.replace(column, ");\nCREATE TABLE task" if "CREATE" in column else "")
FOURTH_SCHEMA = FIFTH_SCHEMA.replace("whole TEXT, ", "")
THIRD_SCHEMA = FOURTH_SCHEMA.replace(", more TEXT", "")
SECOND_SCHEMA = THIRD_SCHEMA.replace('task(job, state, "index")', "task(job, state)")


def test_a_file_of_the_second_version_gets_the_index_of_this_one(tmp_path):
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.executescript(SECOND_SCHEMA)
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()

    with closing(SqliteState(path)) as state:
        put(state, a_task(1), a_task(2))
        found = [task.index for task in state.tasks("j", states=[TaskState.PENDING])]

    assert found == [1, 2]
    assert indices_of(path) == indices_of(a_new_file(tmp_path))


def test_a_file_of_the_third_version_keeps_what_is_new_of_nodes(tmp_path):
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.executescript(THIRD_SCHEMA)
    connection.execute("INSERT INTO cluster VALUES ('c', 1, 60.0, 7, 1)")
    connection.execute("PRAGMA user_version = 3")
    connection.commit()
    connection.close()

    with closing(SqliteState(path)) as state:
        old = state.read([Key.cluster("c")])[Key.cluster("c")]
        state.change([Key.cluster("c")], lambda records: Writes(put=[replace(old, keep=0, lingerers=("n",))]))
        new = state.read([Key.cluster("c")])[Key.cluster("c")]

    assert (old.epoch, old.keep, old.machine) == (7, None, None)
    assert (new.keep, new.lingerers) == (0, ("n",))


def test_a_file_of_the_fourth_version_learns_of_wholes(tmp_path):
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.executescript(FOURTH_SCHEMA)
    connection.execute(
        "INSERT INTO job VALUES ('old', 'active', 1, 'c', 'me', 1.0, NULL, 3, 2, NULL, NULL, NULL, NULL, 1)",
    )
    connection.execute("PRAGMA user_version = 4")
    connection.commit()
    connection.close()

    with closing(SqliteState(path)) as state:
        (old,) = state.jobs()
        put(state, replace(old, name="w-a", whole="w"))
        found = {job.name: job.whole for job in state.jobs()}

    assert found == {"old": None, "w-a": "w"}


def test_a_file_of_the_fifth_version_learns_how_its_tasks_end(tmp_path):
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.executescript(FIFTH_SCHEMA)
    connection.execute(
        "INSERT INTO job VALUES ('j', 'active', 1, 'c', 'me', 1.0, NULL, 3, 2, NULL, NULL, NULL, NULL, NULL, 1)",
    )
    connection.execute(
        "INSERT INTO task VALUES ('j', 1, '{}', x'00', 1, 'c', 'claimed', 'n', 't', NULL, 0, 0, 0, NULL, NULL, NULL, "
        "NULL, NULL, NULL, 1)"
    )
    connection.execute("PRAGMA user_version = 5")
    connection.commit()
    connection.close()
    past = Past(claim="t", node="n", reason=Reason.EXIT, exit=3, started=1.0, ended=2.0, said="no")

    with closing(SqliteState(path)) as state:
        (job,), (task,) = state.jobs(), state.tasks("j")
        more = {"killed_by": "eva", "history": (past,), "queued": 2.0, "said": "no"}
        records = state.change(
            [job.key, task.key], lambda _: Writes(put=[replace(job, killed_by="eva"), replace(task, **more)])
        )

        assert state.read([job.key, task.key]) == records
    assert (job.killed_by, task.history, task.queued) == (None, (), None)


def a_new_file(folder):
    path = folder / "new.db"
    SqliteState(path).close()
    return path


def indices_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'"))


def test_the_few_tasks_that_run_are_found_without_looking_at_all(tmp_path):
    with closing(SqliteState(tmp_path / "state.db")) as state:
        state.change([], lambda _: Writes(add=NewTasks(a_task(1), [(n, "{}", b"d" * 32) for n in range(1, 2001)])))
        put_claimed(state, 1999)
        steps = []
        state._connection.set_progress_handler(lambda: steps.append(1), 10)

        found = [task.index for task in state.tasks("j", states=[TaskState.CLAIMED])]

    assert found == [1999]
    assert len(steps) < 20


def put_claimed(state, index):
    key = a_task(index).key
    state.change([key], lambda records: Writes(put=[replace(records[key], state=TaskState.CLAIMED, node="n")]))


def test_a_file_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it(tmp_path):
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.executescript(SECOND_SCHEMA.replace("scaled INTEGER, waiting TEXT, ", ""))
    connection.execute(
        "INSERT INTO job VALUES ('old', 'active', 1, 'c', 'me', 1.0, NULL, 3, 2, NULL, NULL, 1)",
    )
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()

    with closing(SqliteState(path)) as state:
        (job,) = state.jobs()
        put(state, replace(job, scaled=5, waiting=Waiting(needs=("a", "b"), rerun="all")))
        (changed,) = state.jobs()

    assert (job.name, job.max_nodes, job.scaled, job.waiting) == ("old", 2, None, None)
    assert (changed.scaled, changed.waiting) == (5, Waiting(needs=("a", "b"), rerun="all"))
    with closing(SqliteState(path)) as again:
        assert [job.name for job in again.jobs()] == ["old"]
