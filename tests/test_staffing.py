"""The rules about how many nodes there should be, as tables."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from contracts.nouns import a_cluster, a_machine, a_node

from sparkles import staffing
from sparkles.model import NodeState
from sparkles.staffing import Load

ALIVE, LEAVING, LOST = NodeState.ALIVE, NodeState.LEAVING, NodeState.LOST


class Machine(NamedTuple):
    name: str
    id: str | None = None
    is_coming: bool = False
    is_going: bool = False


@pytest.mark.parametrize(
    ("loads", "slots", "wanted"),
    [
        pytest.param([], 1, 0, id="no job"),
        pytest.param([Load(0, 5)], 1, 0, id="nothing to do"),
        pytest.param([Load(3, 5)], 1, 3, id="a node for each task"),
        pytest.param([Load(9, 5)], 1, 5, id="no more than may be"),
        pytest.param([Load(9, 5)], 4, 3, id="as many as have slots for them"),
        pytest.param([Load(1, 1), Load(8, 4)], 1, 4, id="the larger limit of two jobs"),
        pytest.param([Load(1, 1), Load(1, 4)], 1, 2, id="the tasks of two jobs"),
        pytest.param([Load(5, 2), Load(0, 9)], 1, 2, id="the limit of a job that has ended does not count"),
    ],
)
def test_as_many_nodes_are_wanted_as_the_jobs_can_use(loads, slots, wanted) -> None:
    assert staffing.wanted(loads, slots=slots) == wanted


@pytest.mark.parametrize(
    ("members", "nodes", "present"),
    [
        pytest.param([Machine("a", "1")], [], 1, id="its worker is yet to report"),
        pytest.param([Machine("a", is_coming=True)], [], 1, id="yet to be made"),
        pytest.param([Machine("a", "1", is_going=True)], [], 0, id="being removed"),
        pytest.param([Machine("a", "1")], [("a", "1", ALIVE)], 1, id="works"),
        pytest.param([Machine("a", "1")], [("a", "1", LEAVING)], 0, id="has announced that it goes"),
        pytest.param([Machine("a", "1")], [("a", "1", LOST)], 0, id="was given up"),
        pytest.param([Machine("a", "2")], [("a", "1", LEAVING)], 1, id="made anew under its name"),
        pytest.param([Machine("a", "1", is_coming=True)], [("a", "1", LEAVING)], 1, id="about to be made anew"),
        pytest.param([Machine("a")], [("a", "1", LEAVING)], 0, id="known by name only"),
        pytest.param([], [("a", "1", ALIVE)], 0, id="a record without a machine"),
    ],
)
def test_a_node_counts_if_it_will_work(members, nodes, present) -> None:
    records = [
        replace(a_node(name + number), instance=name, instance_id=number, state=state) for name, number, state in nodes
    ]

    assert staffing.present(members, records, target=sum(not member.is_going for member in members)) == present


def test_of_two_workers_on_a_machine_the_later_one_counts() -> None:
    first = replace(a_node("1-a"), instance="a", instance_id="1", state=LOST, created=1.0)
    second = replace(a_node("1-b"), instance="a", instance_id="1", state=ALIVE, created=2.0)

    assert staffing.present([Machine("a", "1")], [second, first], target=1) == 1


def test_what_was_asked_for_and_is_not_listed_yet_counts() -> None:
    assert staffing.present([Machine("a", "1"), Machine("b", "2", is_going=True)], [], target=4) == 4


def test_one_at_a_time_asks_for_nodes() -> None:
    free = a_cluster()

    taken = staffing.take_scaler(free, token="a")

    assert taken
    assert taken.scaler == "a"
    assert staffing.take_scaler(taken, token="b") is None
    assert staffing.take_scaler(taken, token="a") == taken
    assert staffing.free_scaler(taken, token="a", asked=0, now=9.0) == free


@pytest.mark.parametrize(("silence", "is_taken"), [(None, False), (60.0, False), (60.1, True)])
def test_who_is_silent_for_too_long_is_replaced(silence, is_taken) -> None:
    cluster = replace(a_cluster(), scaler="a", silence=silence)

    taken = staffing.take_scaler(cluster, token="b")

    assert (taken is not None and taken.scaler == "b") is is_taken


def test_who_was_replaced_asks_for_no_more_and_what_it_asked_for_counts() -> None:
    cluster = replace(a_cluster(), scaler="b", boots=1)

    assert staffing.renew_scaler(cluster, token="a", anew="c") is None
    assert staffing.free_scaler(cluster, token="a", asked=3, now=9.0) == replace(cluster, boots=4, asked=9.0)
    assert staffing.renew_scaler(cluster, token="b", anew="c") == replace(cluster, scaler="c")


def test_who_asked_for_nodes_counts_them_and_wants_none_to_go() -> None:
    cluster = replace(a_cluster(), scaler="a", drain=2, boots=1)

    freed = staffing.free_scaler(cluster, token="a", asked=3, now=9.0)

    assert freed == replace(a_cluster(), drain=0, boots=4, asked=9.0)
    assert staffing.free_scaler(cluster, token="a", asked=0, now=9.0) == replace(a_cluster(), drain=2, boots=1)


def test_nodes_that_never_come_up_are_not_asked_for_for_ever() -> None:
    cluster = a_cluster()

    asked = []
    for _ in range(9):
        missing = min(2, staffing.boots_left(cluster, wanted=2))
        cluster = replace(cluster, boots=cluster.boots + missing)
        asked.append(missing)

    assert sum(asked) == 6
    assert staffing.boots_left(staffing.proved(cluster), wanted=2) == 6


def test_an_apply_gives_nodes_another_chance() -> None:
    cluster = replace(a_cluster(), boots=9, preemptions=3)

    assert staffing.begin_anew(cluster, nodes=[a_node()]) == replace(cluster, boots=0)
    assert staffing.begin_anew(cluster, nodes=[]) == a_cluster()


@pytest.mark.parametrize(
    ("spot", "after", "preemptions", "standard"),
    [
        pytest.param(False, None, 9, 0, id="a cluster of standard machines has one group"),
        pytest.param(True, None, 9, 0, id="never"),
        pytest.param(True, 2, 0, 1, id="one from the beginning"),
        pytest.param(True, 2, 2, 1, id="not too many yet"),
        pytest.param(True, 2, 3, 3, id="beside the one spot machine that is there"),
        pytest.param(True, 0, 1, 3, id="at once"),
    ],
)
def test_standard_machines_help_out_spot_ones(spot, after, preemptions, standard) -> None:
    cluster = a_cluster(machine=a_machine(spot=spot, on_demand_after=after), preemptions=preemptions)

    assert staffing.standard_wanted(cluster, wanted=4, spot=1) == standard


def test_a_node_that_was_taken_away_is_counted() -> None:
    assert staffing.preempted(a_cluster()) == replace(a_cluster(), preemptions=1)


@pytest.mark.parametrize(
    ("keep", "lingerers", "after"),
    [
        pytest.param(None, (), (), id="all may"),
        pytest.param(0, (), None, id="none may"),
        pytest.param(1, (), ("n",), id="a free place"),
        pytest.param(1, ("n",), ("n",), id="its own place"),
        pytest.param(1, ("a",), None, id="taken"),
        pytest.param(2, ("a",), ("a", "n"), id="another place"),
        pytest.param(1, ("gone",), ("n",), id="that of one that is gone"),
    ],
)
def test_so_many_idle_nodes_may_wait_for_work(keep, lingerers, after) -> None:
    cluster = staffing.linger(a_cluster(keep=keep, lingerers=lingerers), node="n", gone={"gone"})

    assert (cluster and cluster.lingerers) == after


def test_a_node_that_works_again_gives_up_its_place() -> None:
    assert staffing.stop_lingering(a_cluster(lingerers=("a", "b")), node="a").lingerers == ("b",)
    assert staffing.stop_lingering(a_cluster(lingerers=("b",)), node="a").lingerers == ("b",)


def test_as_many_nodes_are_let_go_as_there_are_too_many() -> None:
    cluster = staffing.drain(a_cluster(), present=3, most=1)

    gone = [cluster := staffing.take_drain(cluster) for _ in range(2)]

    assert [each and each.drain for each in gone] == [1, 0]
    assert staffing.take_drain(cluster) is None
    assert staffing.drain(a_cluster(drain=5), present=1, most=2).drain == 0
