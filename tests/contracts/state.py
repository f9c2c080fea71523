"""The contract of every StateStore. An adapter's test inherits it and gives `open_store`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from contracts.nouns import a_claimed_task, a_cluster, a_job, a_machine, a_node, a_task, digest_of, put

from sparkles import lifecycle
from sparkles.model import (
    Applying,
    Canary,
    Cluster,
    JobState,
    Key,
    NewTasks,
    NodeState,
    Past,
    Reason,
    Records,
    Sample,
    Stop,
    Task,
    TaskState,
    Writes,
)
from sparkles.ports.state import StateStore

#: Opens the same database once more, for a thread or a process of its own. Can be pickled.
OpenStore = Callable[[], StateStore]

_RACERS = 4


class StateStoreContract:
    """What every state store must do. `open_store` is a fixture of the adapter's test."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[StateStore]:
        with closing(open_store()) as store:
            yield store

    @pytest.fixture
    def other(self, open_store: OpenStore) -> Iterator[StateStore]:
        """Another client of the same database."""
        with closing(open_store()) as store:
            yield store

    # Reading and writing

    @pytest.mark.parametrize(
        "record",
        [
            pytest.param(a_job(), id="a job with defaults"),
            pytest.param(
                a_job(
                    ended=1.5,
                    last_index=7,
                    max_nodes=3,
                    scaled=5,
                    whole="w",
                    applying=Applying(token="t", digest="d", generation=2, progress=2.5),
                    environment="e",
                    killed_by="eva",
                    canary=Canary(
                        first="1-3,7", held=9, rerun="all", done="1-2", may_lose=True, problem="ä", is_stuck=True
                    ),
                    max_failures=0,
                    failed_before=2,
                ),
                id="a job with everything",
            ),
            pytest.param(a_task(), id="a task with defaults"),
            pytest.param(
                a_claimed_task(
                    3,
                    row='{"x":"ä\\u0000🙂"}',
                    stop=Stop.REPLACED,
                    killed_by="eva",
                    attempts=2,
                    failures=1,
                    losses=1,
                    exit=137,
                    reason=Reason.OUT_OF_MEMORY,
                    history=(
                        Past(claim="t", node="m", reason=Reason.EXIT, exit=1, started=1.0, ended=2.0, said="ä\n🙂"),
                        Past(claim="u", node="n", reason=Reason.PREEMPTED, ended=3.0),
                    ),
                    queued=3.5,
                    started=10.25,
                    ended=11.5,
                    said="'ä' 🙂",
                    peak_memory=2**40,
                    result_generation="g",
                ),
                id="a task with everything",
            ),
            pytest.param(a_node(), id="a node with defaults"),
            pytest.param(
                a_node(
                    beat=9,
                    beat_clock=123.456,
                    beat_boot="boot",
                    pid=4711,
                    samples={"claim": Sample(processes=1, total=2, data=3, shared=4, resident=5)},
                    worked=True,
                ),
                id="a node with everything",
            ),
            pytest.param(a_cluster(linger=0.5, epoch=4), id="a cluster"),
            pytest.param(
                a_cluster(
                    machine=a_machine(),
                    owner_job="j",
                    keep=0,
                    lingerers=("n", "m"),
                    drain=2,
                    scaler="token",
                    boots=3,
                    preemptions=1,
                ),
                id="a cluster of VMs",
            ),
            pytest.param(
                a_node(instance="s-1", instance_id="17", zone="us-central1-a", spot=True, phases={"boot": 1.5}),
                id="a VM",
            ),
        ],
    )
    def test_what_is_put_is_read_back_as_it_was(self, store, other, record):
        put(store, record)

        assert other.read([record.key]) == {record.key: replace(record, version=1)}

    def test_only_records_that_exist_are_read(self, store):
        put(store, a_task(1), a_job())

        found = store.read([Key.task("j", 1), Key.task("j", 2), Key.task("other", 1), Key.job("j"), Key.node("j")])

        assert set(found) == {Key.task("j", 1), Key.job("j")}

    def test_many_records_are_read_at_once(self, store):
        store.change([], _adding(range(1, 1501)))

        found = store.read([Key.task("j", index) for index in range(1, 1601)])

        assert len(found) == 1500
        assert found[Key.task("j", 1234)].index == 1234

    def test_versions_grow_with_every_put(self, store):
        first = store.change([], lambda _: Writes(put=[a_job()]))
        second = store.change([Key.job("j")], _touch)
        third = store.change([Key.job("j")], _touch)

        assert [written[Key.job("j")].version for written in (first, second, third)] == [1, 2, 3]
        assert store.read([Key.job("j")]) == third

    def test_a_change_returns_what_it_put(self, store):
        put(store, a_task(1), a_task(2))

        written = store.change([Key.task("j", 1), Key.task("j", 2)], lambda _: Writes(put=[a_task(2, exit=3)]))

        assert written == {Key.task("j", 2): a_task(2, exit=3, version=2)}

    def test_a_move_is_given_the_records_that_exist(self, store):
        put(store, a_task(1), a_task(2))
        seen: list[Records] = []

        def move(records: Records) -> Writes:
            seen.append(dict(records))
            return Writes()

        store.change([Key.task("j", 1), Key.task("j", 9)], move)

        assert [set(records) for records in seen] == [{Key.task("j", 1)}]

    def test_the_rows_of_a_job_come_by_index(self, store):
        put(store, *(a_task(index, row=f'{{"x":"{index}"}}') for index in (3, 1, 2)), a_task(1, job="other"))

        assert list(store.rows("j")) == ['{"x":"1"}', '{"x":"2"}', '{"x":"3"}']
        assert list(store.rows("none")) == []

    def test_several_kinds_change_in_one_commit(self, store, other):
        put(store, a_task(1), a_task(2), a_node())

        store.change(
            [Key.task("j", 1), Key.task("j", 2), Key.node("n")],
            lambda records: Writes(
                put=[a_job(), replace(records[Key.node("n")], beat=1)],
                remove=[Key.task("j", 1)],
                add=NewTasks(a_task(), [(3, '{"x":"3"}', digest_of("3"))]),
            ),
        )

        assert list(other.columns("j").indices) == [2, 3]
        assert other.read([Key.node("n")])[Key.node("n")].beat == 1
        assert other.read([Key.job("j")])

    def test_what_a_move_raises_leaves_the_store_as_it_was(self, store, other):
        put(store, a_task(1))

        def move(_: Records) -> Writes:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.change([Key.task("j", 1)], move)

        assert other.read([Key.task("j", 1)])[Key.task("j", 1)].version == 1
        put(store, a_task(2))
        assert other.counts("j") == {TaskState.PENDING: 2}

    def test_a_commit_that_fails_half_way_writes_nothing(self, store, other):
        put(store, a_task(1))

        def rows() -> Iterator[tuple[int, str, bytes]]:
            yield 2, "{}", digest_of("2")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.change(
                [Key.task("j", 1), Key.job("j")],
                lambda _: Writes(put=[a_job()], remove=[Key.task("j", 1)], add=NewTasks(a_task(), rows())),
            )

        assert other.read([Key.job("j"), Key.task("j", 1), Key.task("j", 2)]) == {
            Key.task("j", 1): a_task(1, version=1)
        }

    def test_new_tasks_differ_only_in_index_row_and_digest(self, store):
        template = a_task(0, generation=4, cluster="far")

        store.change(
            [], lambda _: Writes(add=NewTasks(template, [(i, f'{{"x":"{i}"}}', digest_of("d")) for i in (1, 2)]))
        )

        assert list(store.tasks("j")) == [
            replace(template, index=i, row=f'{{"x":"{i}"}}', digest=digest_of("d"), version=1) for i in (1, 2)
        ]

    def test_what_is_removed_is_gone_and_removing_it_again_is_harmless(self, store):
        put(store, a_task(1), a_node(), a_cluster(), a_job())
        keys = [Key.task("j", 1), Key.node("n"), Key.cluster("c"), Key.job("j")]

        for _ in range(2):
            store.change(keys, lambda _: Writes(remove=keys))

        assert store.read(keys) == {}

    # Several at once

    def test_no_increment_is_lost_when_several_write_at_once(self, store, open_store):
        put(store, a_cluster())

        race(open_store, [increment_often] * _RACERS)

        assert store.read([Key.cluster("c")])[Key.cluster("c")].epoch == _RACERS * INCREMENTS

    def test_no_task_is_claimed_twice_when_several_claim_at_once(self, store, open_store):
        store.change([], _adding(range(1, 41)))

        claimed = race(open_store, [claim_all] * _RACERS)

        assert sorted(index for indices in claimed for index in indices) == list(range(1, 41))
        assert store.counts("j") == {TaskState.CLAIMED: 40}

    def test_a_change_of_two_records_is_never_seen_by_half(self, store, other):
        put(store, a_task(1), a_claimed_task(2))

        for _ in range(20):
            store.change([Key.task("j", 1), Key.task("j", 2)], _swap)

            states = {task.index: task.state for task in other.tasks("j")}
            assert sorted(state.value for state in states.values()) == ["claimed", "pending"]

    # Asking

    def test_pending_tasks_are_those_of_the_cluster_that_nobody_holds(self, store):
        put(store, a_task(1), a_claimed_task(2), a_task(3, cluster="other"), a_task(4, state=TaskState.FAILED))

        assert [task.index for task in store.pending("c", limit=10)] == [1]
        assert [task.index for task in store.pending("other", limit=10)] == [3]
        assert list(store.pending("none", limit=10)) == []

    def test_no_more_pending_tasks_are_returned_than_asked_for(self, store):
        store.change([], _adding(range(1, 8)))

        assert len(store.pending("c", limit=3)) == 3
        assert len({task.key for task in store.pending("c", limit=100)}) == 7

    def test_held_are_the_tasks_that_a_node_has_claimed(self, store):
        put(
            store,
            a_claimed_task(1, node="a"),
            a_claimed_task(2, node="b"),
            a_claimed_task(3, node="a", job="k"),
            a_task(4, node="a", state=TaskState.FAILED),
        )

        assert {task.id for task in store.held("a")} == {"j.1", "k.3"}
        assert list(store.held("nobody")) == []

    @pytest.mark.parametrize("state", TaskState)
    def test_a_job_is_open_while_a_task_is_pending_or_claimed(self, store, state):
        put(store, a_task(1, state=TaskState.SUCCEEDED), a_task(2, state=state), a_task(1, job="other"))

        assert store.is_open("j") is (state in (TaskState.PENDING, TaskState.CLAIMED))

    def test_a_job_without_tasks_is_not_open(self, store):
        put(store, a_job())

        assert not store.is_open("j")

    def test_counts_leave_out_states_without_tasks(self, store):
        put(store, a_task(1), a_task(2), a_claimed_task(3), a_task(4, state=TaskState.KILLED), a_task(1, job="other"))

        assert store.counts("j") == {TaskState.PENDING: 2, TaskState.CLAIMED: 1, TaskState.KILLED: 1}
        assert store.counts("none") == {}

    def test_the_open_tasks_are_found_by_index(self, store):
        put(store, a_task(30), a_claimed_task(4), a_task(5, state=TaskState.KILLED), a_task(1, job="other"))

        assert list(store.open_indices("j")) == [4, 30]
        assert list(store.open_indices("none")) == []

    def test_only_some_states_are_counted_if_only_some_are_asked_for(self, store):
        put(store, *(a_task(index) for index in range(1, 6)), a_claimed_task(6), a_task(7, state=TaskState.FAILED))

        counts = store.counts("j", states=[TaskState.PENDING, TaskState.CLAIMED, TaskState.KILLED])

        assert counts == {TaskState.PENDING: 5, TaskState.CLAIMED: 1}

    def test_counting_may_stop_at_what_is_enough(self, store):
        put(store, *(a_task(index) for index in range(1, 6)), a_claimed_task(6))

        counts = store.counts("j", most=3)

        assert 3 <= counts[TaskState.PENDING] <= 5
        assert counts[TaskState.CLAIMED] == 1

    def test_open_tasks_are_counted_up_to_as_many_as_are_asked_for(self, store):
        put(store, a_task(1), a_task(2), a_claimed_task(3), a_task(4, state=TaskState.FAILED), a_task(1, job="k"))

        assert [store.count_open("j", most=most) for most in (1, 3, 9)] == [1, 3, 3]
        assert store.count_open("none", most=5) == 0

    def test_columns_hold_all_tasks_of_a_job_by_index(self, store):
        put(store, a_task(30), a_task(2, state=TaskState.FAILED), a_claimed_task(100), a_task(1, job="other"))

        columns = store.columns("j")

        assert list(columns.indices) == [2, 30, 100]
        assert columns.digests == digest_of("2") + digest_of("30") + digest_of("100")
        assert list(columns.states) == [TaskState.FAILED, TaskState.PENDING, TaskState.CLAIMED]
        assert len(store.columns("none")) == 0

    def test_tasks_come_by_index_and_may_be_chosen_by_state(self, store):
        put(store, a_task(20), a_task(3), a_claimed_task(100), a_task(4, state=TaskState.KILLED), a_task(1, job="k"))

        assert [task.index for task in store.tasks("j")] == [3, 4, 20, 100]
        assert [task.index for task in store.tasks("j", states=[TaskState.PENDING])] == [3, 20]
        assert [task.index for task in store.tasks("j", states=[TaskState.CLAIMED, TaskState.KILLED])] == [4, 100]

    def test_tasks_may_be_chosen_by_their_row_too(self, store):
        a, b = json.dumps({"x": "a"}), json.dumps({"x": "b"})
        put(
            store,
            a_task(1, row=a),
            a_task(2, row=b),
            a_task(3, row=b, state=TaskState.FAILED),
            a_task(4, job="k", row=b),
        )

        assert [task.index for task in store.tasks("j", passes=b.__eq__)] == [2, 3]
        assert [task.index for task in store.tasks("j", states=[TaskState.FAILED], passes=b.__eq__)] == [3]
        assert [task.index for task in store.tasks("j", states=[TaskState.FAILED], passes=a.__eq__)] == []

    @pytest.mark.parametrize("last", [False, True])
    def test_some_tasks_in_a_state_are_as_many_as_there_are_or_are_asked_for(self, store, last):
        put(store, a_task(1), *(a_task(index, state=TaskState.FAILED) for index in range(2, 9)), a_claimed_task(9))
        put(store, a_task(1, job="k", state=TaskState.FAILED))

        def some(state, limit):
            return {task.index for task in store.some("j", state, limit=limit, last=last)}

        assert some(TaskState.FAILED, 100) == set(range(2, 9))
        assert some(TaskState.FAILED, 3) < set(range(2, 9))
        assert len(some(TaskState.FAILED, 3)) == 3
        assert some(TaskState.CLAIMED, 3) == {9}
        assert some(TaskState.KILLED, 3) == set()

    def test_jobs_come_oldest_first(self, store):
        put(store, a_job("b", submitted=3.0), a_job("c", submitted=1.0), a_job("a", submitted=2.0))
        store.change([Key.job("c")], _touch)

        assert [job.name for job in store.jobs()] == ["c", "a", "b"]

    def test_open_jobs_are_those_that_have_not_ended(self, store):
        put(
            store,
            a_job("waiting", state=JobState.WAITING, submitted=3.0),
            a_job("active", submitted=1.0),
            a_job("finished", state=JobState.FINISHED, ended=2.0),
            a_job("killed", state=JobState.KILLED, ended=2.0),
            a_job("being killed", state=JobState.KILLED, submitted=2.0),
            a_job("elsewhere", cluster="d", submitted=4.0),
        )

        assert [job.name for job in store.open_jobs()] == ["active", "being killed", "waiting", "elsewhere"]
        assert [job.name for job in store.open_jobs("c")] == ["active", "being killed", "waiting"]

    def test_a_job_that_ends_is_open_no_more_until_it_begins_anew(self, store):
        put(store, a_job())
        put(store, a_job(state=JobState.FINISHED, ended=2.0))
        assert store.open_jobs() == []

        put(store, a_job(cluster="d"))
        assert [job.name for job in store.open_jobs("d")] == ["j"]
        assert store.open_jobs("c") == []

    def test_past_nodes_are_those_that_are_lost_or_gone(self, store):
        states = [NodeState.STARTING, NodeState.ALIVE, NodeState.LEAVING, NodeState.LOST, NodeState.GONE]
        put(store, *(a_node(state.value, state=state) for state in states))

        assert {node.name for node in store.past_nodes()} == {"lost", "gone"}

    def test_clusters_are_all_there_are(self, store):
        put(store, a_cluster("one"), a_cluster("two", machine=a_machine()), a_job(), a_node())

        assert {cluster.name: cluster.machine for cluster in store.clusters()} == {"one": None, "two": a_machine()}

    def test_nodes_that_are_gone_are_left_out(self, store):
        put(store, *(a_node(state.value, state=state) for state in NodeState), a_node("far", cluster="d"))

        assert {node.name for node in store.nodes("c")} == {"starting", "alive", "leaving", "lost"}
        assert {node.name for node in store.nodes()} == {"starting", "alive", "leaving", "lost", "far"}

    # Noticing, and keeping

    def test_the_tick_changes_when_anybody_has_written(self, store, other):
        before = store.tick()

        put(other, a_job())
        after_other = store.tick()
        put(store, a_task())
        after_own = store.tick()

        assert before != after_other
        assert after_other != after_own

    def test_a_store_that_is_opened_again_holds_what_was_written(self, open_store):
        with closing(open_store()) as store:
            put(store, a_job(), a_claimed_task(7), a_node(), a_cluster())

        with closing(open_store()) as store:
            assert [job.name for job in store.jobs()] == ["j"]
            assert [task.id for task in store.held("n")] == ["j.7"]
            assert store.read([Key.cluster("c")]) == {Key.cluster("c"): a_cluster(version=1)}

    def test_a_store_takes_as_many_records_in_a_commit_as_it_says(self, store):
        count = store.commit_limit
        store.change([], _adding(range(1, count + 1)))
        keys = [Key.task("j", index) for index in range(1, count + 1)]

        store.change(keys, lambda records: Writes(put=[replace(record, losses=1) for record in records.values()]))

        assert sum(task.losses for task in store.tasks("j")) == count


# What a racer does. At the top of the module, so that it can be sent to another process.

INCREMENTS = 25


def increment_often(open_store: OpenStore, _: int) -> int:
    """Raise the epoch of cluster `c` many times, one commit each."""

    def move(records: Records) -> Writes:
        cluster = records[Key.cluster("c")]
        assert isinstance(cluster, Cluster)
        return Writes(put=[lifecycle.bump(cluster)])

    with closing(open_store()) as store:
        for _ in range(INCREMENTS):
            store.change([Key.cluster("c")], move)
    return INCREMENTS


def claim_all(open_store: OpenStore, me: int) -> list[int]:
    """Claim pending tasks of cluster `c` until there are none; return those that were got."""
    got: list[int] = []
    with closing(open_store()) as store:
        while some := store.pending("c", limit=3):
            written = store.change([task.key for task in some], _claiming(f"node-{me}"))
            got += [key.index for key in written]
    return got


def _claiming(node: str) -> Callable[[Records], Writes]:
    def move(records: Records) -> Writes:
        free = [task for task in records.values() if isinstance(task, Task) and task.state is TaskState.PENDING]
        return Writes(put=[lifecycle.claim(task, node=node, token=f"{node}-{task.index}") for task in free])

    return move


def race(open_store: OpenStore, racers: list[Callable[[OpenStore, int], Any]]) -> list[Any]:
    """Run all at once, each in a thread; return what they return."""
    start = threading.Barrier(len(racers))

    def run(number: int) -> Any:
        start.wait()
        return racers[number](open_store, number)

    with ThreadPoolExecutor(len(racers)) as pool:
        return list(pool.map(run, range(len(racers))))


def _adding(indices: range) -> Callable[[Records], Writes]:
    return lambda _: Writes(add=NewTasks(a_task(), ((index, "{}", digest_of(str(index))) for index in indices)))


def _touch(records: Records) -> Writes:
    return Writes(put=list(records.values()))


def _swap(records: Records) -> Writes:
    pending, claimed = sorted(records.values(), key=lambda task: task.state is TaskState.CLAIMED)
    return Writes(put=[lifecycle.claim(pending, node="n", token="t"), lifecycle.give_back(claimed, now=0.0)])
