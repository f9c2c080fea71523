"""The state in Datastore: the contract on Google's emulator, and what only Datastore shows."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from backends.gcp.indexes import is_built_in
from contracts.nouns import a_claimed_task, a_cluster, a_job, a_node, a_task, digest_of, put
from contracts.reads import ReadsContract
from contracts.state import OpenStore, StateStoreContract
from gcp.proxy import Fault, Proxy
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.cloud.datastore_v1.services.datastore import DatastoreClient
from google.cloud.datastore_v1.types import datastore as calls

from sparkles import lifecycle, presence
from sparkles.backends.gcp import datastore, records
from sparkles.backends.gcp.datastore import Datastore
from sparkles.backends.gcp.state import DatastoreState
from sparkles.errors import BackendError
from sparkles.model import Fence, Key, NewTasks, Node, NodeState, TaskState, Writes


def open_state(namespace: str, patience: float = 20.0) -> DatastoreState:
    return DatastoreState(Datastore(project="test", database="(default)", namespace=namespace, patience=patience))


@pytest.fixture
def namespace() -> str:
    return f"n{os.urandom(4).hex()}"


@pytest.fixture
def open_store(cloud: Any, namespace: str) -> OpenStore:
    return partial(open_state, namespace)


@pytest.fixture(autouse=True)
def _no_query_needs_an_index_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The emulator answers every query; the service only those that it has an index for."""
    asked: list[Any] = []
    for method, message in (("run_query", calls.RunQueryRequest), ("run_aggregation_query", None)):
        real = getattr(DatastoreClient, method)

        def recording(client: Any, request: Any, *, _real: Any = real, _message: Any = message, **options: Any) -> Any:
            plain = type(request).pb(request)
            asked.append(plain.query if _message else plain.aggregation_query.nested_query)
            return _real(client, request, **options)

        monkeypatch.setattr(DatastoreClient, method, recording)
    yield
    assert [query for query in asked if not is_built_in(query)] == []


class TestDatastoreState(StateStoreContract):
    @pytest.fixture
    def open_store(self, open_store: OpenStore) -> OpenStore:
        return open_store


class TestDatastoreReads(ReadsContract):
    @pytest.fixture
    def open_store(self, open_store: OpenStore) -> OpenStore:
        return open_store


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[DatastoreState]:
    with closing(open_store()) as store:
        yield store


# Keys


def test_jobs_whose_names_begin_alike_have_tasks_of_their_own(store):
    put(store, a_task(1, job="fit"), a_task(2, job="fit-2"), a_task(3, job="fit_"), a_task(4, job="fi"))

    assert [task.id for task in store.tasks("fit")] == ["fit.1"]
    assert store.counts("fit") == {TaskState.PENDING: 1}
    assert not store.is_open("f")


def test_tasks_of_one_job_are_spread_over_its_range_of_keys():
    names = [records.entity_name(Key.task("j", index)) for index in range(1, 1001)]

    assert all(name.startswith(records.job_range("j")) for name in names)
    assert len({name.split(":")[2] for name in names}) > 900


# What is written


def test_only_three_properties_are_indexed(store, namespace):
    put(store, a_task(1), a_claimed_task(2), a_job(), a_node(), a_cluster())
    store.change([], lambda _: Writes(add=NewTasks(a_task(), [(3, "{}", digest_of("3"))])))
    keys = [("Task", records.entity_name(Key.task("j", index))) for index in (1, 2, 3)]

    found = [result.entity for result, _ in store._store.lookup([*keys, ("Job", "j"), ("Node", "n"), ("Cluster", "c")])]

    indexed = {name for entity in found for name, value in entity.properties.items() if not value.exclude_from_indexes}
    assert len(found) == 6
    assert indexed == {"queue", "job_state", "lease"}


def test_a_row_may_be_longer_than_what_can_be_indexed(store):
    row = '{"x":"' + "y" * 100_000 + '"}'

    put(store, a_task(1, row=row))

    assert list(store.rows("j")) == [row]


def test_what_another_version_wrote_beside_ours_stays(store):
    put(store, a_job())
    mutation = datastore.Mutation()
    store._store.name(mutation.update.key, "Job", "j")
    mutation.update.properties["later"].string_value = "kept"
    mutation.property_mask.paths.append("later")
    store._store.commit([mutation])

    store.change([Key.job("j")], lambda read: Writes(put=[lifecycle.scale(read[Key.job("j")], 7)]))

    ((found, _),) = store._store.lookup([("Job", "j")])
    assert found.entity.properties["later"].string_value == "kept"
    assert store.read([Key.job("j")])[Key.job("j")].scaled == 7


def test_a_pending_task_keeps_its_place_in_the_queue(store):
    put(store, a_task(1))
    before = _queue(store)

    store.change(
        [Key.task("j", 1)], lambda read: Writes(put=[lifecycle.record(read[Key.task("j", 1)], row='{"a":"b"}')])
    )

    assert _queue(store) == before
    assert before.startswith("p:c/")


def test_a_job_that_another_version_has_ended_is_open_no_more(store):
    put(store, a_job())
    mutation = datastore.Mutation()
    store._store.name(mutation.update.key, "Job", "j")
    mutation.update.properties["state"].string_value = "finished"
    mutation.update.properties["ended"].double_value = 2.0
    mutation.property_mask.paths.extend(["state", "ended"])
    store._store.commit([mutation])

    assert (store.open_jobs(), store.open_jobs("c")) == ([], [])


def test_who_asks_for_quiet_nodes_reads_all_of_them_and_few_others(store, monkeypatch):
    """A thousand nodes that each look at all of them every minute would cost more than the machines."""
    now = 1_000_000_020.0
    for ago in (0, 45, 74, 75, 200, 10_000):
        _set_clock(monkeypatch, now - ago)
        put(store, a_node(f"{ago} s"), a_node(f"{ago} s, elsewhere", cluster="d"))
    _set_clock(monkeypatch, now)

    assert {node.name for node in store.nodes("c", quiet=75.0)} == {"74 s", "75 s", "200 s", "10000 s"}
    assert len(store.nodes("c")) == 6


def _set_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set that of who writes records; gRPC needs the real one."""
    monkeypatch.setattr(records, "time", SimpleNamespace(time=lambda: seconds))


def _queue(store: DatastoreState) -> str:
    ((found, _),) = store._store.lookup([("Task", records.entity_name(Key.task("j", 1)))])
    queue: str = found.entity.properties["queue"].string_value
    return queue


def test_a_task_that_is_there_is_not_made_again(store):
    put(store, a_task(2))

    with pytest.raises(BackendError, match=r"j\.2 cannot be made: there is one already"):
        store.change([], lambda _: Writes(add=NewTasks(a_task(), [(1, "{}", b"1"), (2, "{}", b"2")])))

    assert [task.index for task in store.tasks("j")] == [2]


def test_fences_are_kept_and_removed(store):
    fence = Fence(job="j", shard=3, token="t")
    put(store, fence)

    found = store.read([Key.fence("j", shard) for shard in range(1, 17)])
    store.change(list(found), lambda read: Writes(remove=list(read)))

    assert found == {fence.key: Fence(job="j", shard=3, token="t", version=1)}
    assert store.read([fence.key]) == {}


def _with(store: DatastoreState, kind: str, name: str, **properties: str) -> None:
    """Change a record as a later version of sparkles might."""
    mutation = datastore.Mutation()
    store._store.name(mutation.update.key, kind, name)
    for key, value in properties.items():
        mutation.update.properties[key].string_value = value
        mutation.property_mask.paths.append(key)
    store._store.commit([mutation])


def test_what_a_later_version_says_beside_what_is_known_is_passed_over(store):
    put(store, a_job(), a_node())
    mark = {"token": "t", "digest": "d", "generation": 2, "progress": 1.0, "later": "x"}
    _with(store, "Job", "j", applying=json.dumps(mark), waiting=json.dumps({"needs": ["a"], "later": 1}))
    _with(store, "Job", "j", canary=json.dumps({"first": "1", "held": 2, "later": 3}))
    _with(store, "Node", "n", samples=json.dumps({"claim": [1, 2, 3, 4, 5, 6]}))

    (job,), (node,) = store.jobs(), store.nodes()

    assert (job.applying.token, job.waiting.needs, job.canary.held) == ("t", ("a",), 2)
    assert node.samples["claim"].resident == 5


def test_a_record_that_cannot_be_read_hides_no_other(store):
    put(store, a_job("a"), a_job("b"), a_node("n"), a_node("o"), a_task(1), a_task(2))
    _with(store, "Job", "a", state="dreaming")
    _with(store, "Node", "n", state="dreaming")
    _with(store, "Task", records.entity_name(Key.task("j", 1)), reason="bored")

    assert [job.name for job in store.jobs()] == ["b"]
    assert [node.name for node in store.nodes()] == ["o"]
    assert [task.index for task in store.pending("c", limit=10)] == [2]
    with pytest.raises(BackendError, match="the record of job a was written by another version of sparkles"):
        store.read([Key.job("a")])


def test_a_task_that_is_claimed_meanwhile_is_not_missed_among_the_open_ones(store, open_store, monkeypatch):
    put(store, a_task(1), a_task(2))
    query = store._store.query

    def slow(asked: Any) -> Any:
        yield from query(asked)
        with closing(open_store()) as other:
            other.change([Key.task("j", 1)], _claim_it)

    monkeypatch.setattr(store._store, "query", slow)

    assert {task.index for task in store.tasks("j", states=[TaskState.CLAIMED, TaskState.PENDING])} == {1, 2}


def test_a_task_that_is_claimed_between_two_answers_is_not_missed(store, open_store, monkeypatch):
    """Claimed ones come before pending ones: it would go from what has yet to come to what has been."""
    monkeypatch.setattr(datastore, "_PAGE", 1)
    put(store, *(a_task(index) for index in range(1, 20)), a_claimed_task(20))
    read, answers = store._store._read, []

    def slow(method: str, request: Any) -> Any:
        answers.append(read(method, request))
        if len(answers) == 1:
            with closing(open_store()) as other:
                other.change([Key.task("j", index) for index in range(1, 20)], _claim_it)
        return answers[-1]

    monkeypatch.setattr(store._store, "_read", slow)

    assert list(store.open_indices("j")) == list(range(1, 21))
    assert len(answers) > 1


def _claim_it(read: Any) -> Writes:
    free = [task for task in read.values() if task.state is TaskState.PENDING]
    return Writes(put=[lifecycle.claim(task, node="n", token="t") for task in free])


def test_many_records_come_in_several_answers(store, monkeypatch):
    monkeypatch.setattr(datastore, "_PAGE", 7)
    store.change([], lambda _: Writes(add=NewTasks(a_task(), [(n, "{}", b"x") for n in range(1, 31)])))

    assert list(store.columns("j").indices) == list(range(1, 31))
    assert len(store.pending("c", limit=20)) == 20
    assert len(store.some("j", TaskState.PENDING, limit=9)) == 9


# Time


def test_the_silence_of_a_node_is_told_by_the_server(store, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 5e9)
    put(store, a_node())

    (node,) = store.nodes("c")

    assert node.silence is not None
    assert 0 <= node.silence < 5
    assert store.read([node.key])[node.key].silence < 5


def test_a_node_that_is_gone_is_in_no_index(store):
    put(store, a_node())
    store.change([Key.node("n")], _leaving)

    assert store.nodes() == []
    assert store.read([Key.node("n")])[Key.node("n")].state is NodeState.GONE


def _leaving(read: Any) -> Writes:
    node = read[Key.node("n")]
    assert isinstance(node, Node)
    return Writes(put=[presence.go(presence.leave(node))])


# A bad network


@pytest.fixture
def proxy(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What stands between the store and the emulator."""
    with closing(Proxy(cloud.emulator.host)) as proxy:
        monkeypatch.setenv("DATASTORE_EMULATOR_HOST", proxy.host)
        yield proxy


_CHANGES = {
    "a new record": ([Key.cluster("d")], lambda _: Writes(put=[a_cluster("d")])),
    "an old record": ([Key.cluster("c")], lambda read: Writes(put=[lifecycle.bump(read[Key.cluster("c")])])),
    "new tasks": ([], lambda _: Writes(add=NewTasks(a_task(), [(n, "{}", b"x") for n in (7, 8)]))),
    "a removal": ([Key.task("j", 1)], lambda read: Writes(remove=list(read))),
    "all of it": (
        [Key.cluster("c"), Key.task("j", 1), Key.task("j", 2)],
        lambda read: Writes(
            put=[lifecycle.bump(read[Key.cluster("c")]), a_job()],
            remove=[key for key in read if key.index == 2],
            add=NewTasks(a_task(), [(9, "{}", b"x")]),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("change", _CHANGES)
def test_a_commit_that_is_cut_off_is_made_exactly_once(proxy, store, open_store, change, fault):
    put(store, a_cluster(), a_task(1), a_task(2))
    keys, move = _CHANGES[change]

    proxy.arm(fault, skip=1 if keys else 0)  # the first request reads
    written = store.change(keys, move)

    assert proxy.armed == 0
    with closing(open_store()) as other:
        found = other.read([*written, Key.cluster("c"), *(Key.task("j", index) for index in range(1, 10))])
    tasks = {key.index for key in found if key.kind == "task"}
    assert {key: found[key] for key in written} == written
    assert {"a new record": {1, 2}, "an old record": {1, 2}, "new tasks": {1, 2, 7, 8}, "a removal": {2},
            "all of it": {1, 9}}[change] == tasks  # fmt: skip
    assert found[Key.cluster("c")].epoch == (change in ("an old record", "all of it"))


def test_a_read_that_is_cut_off_is_made_again(proxy, store):
    put(store, a_task(1))

    for fault in Fault:
        proxy.arm(fault)
        assert [task.index for task in store.tasks("j")] == [1]
        proxy.arm(fault, skip=2)
        assert store.counts("j") == {TaskState.PENDING: 1}


def test_a_connection_that_is_dead_is_replaced(proxy, namespace):
    """As after a change of network: this one swallows everything, and a new one would work."""
    with closing(open_state(namespace, patience=20.0)) as store:
        put(store, a_task(1))
        store._store._limit = 1.0
        proxy.blackhole()
        threading.Timer(1.5, proxy.pass_new).start()

        assert [task.index for task in store.tasks("j")] == [1]
        put(store, a_task(2))

        assert len(list(store.tasks("j"))) == 2


def test_a_commit_that_landed_is_known_though_its_proof_was_written_over(proxy, store, open_store, monkeypatch):
    put(store, a_job())
    commit = store._store.commit

    def lost(mutations: Any) -> None:
        commit(mutations)
        monkeypatch.setattr(store._store, "commit", commit)
        with closing(open_store()) as other:
            other.change([Key.job("j")], lambda read: Writes(put=list(read.values())))
        raise datastore.UnknownOutcomeError("the connection was reset")

    monkeypatch.setattr(store._store, "commit", lost)
    tasks = NewTasks(a_task(), [(n, "{}", b"x") for n in (1, 2)])

    written = store.change([Key.job("j")], lambda read: Writes(put=list(read.values()), add=tasks))

    assert written[Key.job("j")].version == 2
    assert [task.index for task in store.tasks("j")] == [1, 2]


def test_a_database_that_does_not_answer_is_given_up(proxy, namespace):
    with closing(open_state(namespace, patience=0.5)) as store:
        store.jobs()
        proxy.refuse()
        proxy.reset()

        with pytest.raises(BackendError, match=r"Datastore has not done what it was asked to for 0\.5 s"):
            store.jobs()
        with pytest.raises(BackendError, match=r"Datastore has not done what it was asked to for 0\.5 s"):
            put(store, a_task())

    proxy.pass_all()
    with closing(open_state(namespace)) as store:
        assert list(store.tasks("j")) == []


# Refusals


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        pytest.param(exceptions.PermissionDenied("no"), "--role=roles/datastore.user", id="no right"),
        pytest.param(
            exceptions.Unauthenticated("no"), "sign in with 'gcloud auth application-default login'", id="nobody"
        ),
        pytest.param(
            RefreshError("expired"), "sign in with 'gcloud auth application-default login'", id="an old log-in"
        ),
        pytest.param(exceptions.NotFound("no database"), "gcloud firestore databases create", id="no database"),
        pytest.param(exceptions.FailedPrecondition("native"), "--type=datastore-mode", id="another kind of database"),
    ],
)
@pytest.mark.parametrize("method", ["lookup", "run_query", "run_aggregation_query"])
def test_what_google_refuses_says_what_mends_it(store, monkeypatch, method, error, mend):
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(store._store._api, method, refuse)
    ask = {"lookup": lambda: put(store, a_job()), "run_query": store.jobs}.get(method, lambda: store.counts("j"))

    with pytest.raises(BackendError) as caught:
        ask()

    assert caught.value.exit_code == 3
    assert "Datastore, project test, database (default)" in str(caught.value)
    assert mend in str(caught.value)


def test_who_is_not_logged_in_is_told_how_to(monkeypatch, tmp_path, namespace):
    monkeypatch.delenv("DATASTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)

    with pytest.raises(BackendError, match="sign in with 'gcloud auth application-default login'"):
        open_state(namespace)
