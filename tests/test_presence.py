"""Presence: the table of what may become of a node, and every rule that uses it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contracts.nouns import a_node

from sparkles import presence
from sparkles.errors import MoveError
from sparkles.model import NodeState, Sample
from sparkles.presence import NODE_MOVES, RESERVATION, FencedError


@pytest.mark.parametrize("state", NodeState)
@pytest.mark.parametrize("move", NODE_MOVES)
def test_a_node_makes_the_moves_of_its_table_and_no_other(move: str, state: NodeState) -> None:
    node = a_node(state=state)

    if state in NODE_MOVES[move]:
        assert presence._move_node(node, move) == replace(node, state=NODE_MOVES[move][state])
    else:
        with pytest.raises(MoveError, match=f"node n: no move '{move}' from {state.value}"):
            presence._move_node(node, move)


def test_a_node_that_is_gone_stays_gone() -> None:
    assert not [move for move, table in NODE_MOVES.items() if NodeState.GONE in table]


def test_a_process_adopts_the_node_that_was_started_for_it() -> None:
    node = presence.adopt(a_node(state=NodeState.STARTING), pid=7, clock=5.0, boot="b")

    assert node == a_node(state=NodeState.ALIVE, pid=7, beat=1, beat_clock=5.0, beat_boot="b")


def test_a_beat_counts_and_brings_samples() -> None:
    samples = {"claim": Sample(1, 2, 3, 4, 5)}

    node = presence.beat(a_node(beat=3), clock=5.0, boot="b", samples=samples)

    assert (node.beat, node.beat_clock, node.beat_boot, node.samples) == (4, 5.0, "b", samples)


@pytest.mark.parametrize("state", NodeState)
def test_a_worker_goes_on_only_while_its_node_is_as_it_left_it(state: NodeState) -> None:
    node = a_node(state=state, beat=3)

    if state in (NodeState.ALIVE, NodeState.LEAVING):
        assert presence.confirm(node, beat=3) is node
    else:
        with pytest.raises(FencedError):
            presence.confirm(node, beat=3)


@pytest.mark.parametrize("node", [None, a_node(beat=4), a_node(beat=2)])
def test_a_worker_stops_if_its_node_is_gone_or_others_wrote_its_beats(node) -> None:
    with pytest.raises(FencedError):
        presence.confirm(node, beat=3)


def test_nodes_that_leave_or_are_lost_have_to_be_replaced() -> None:
    nodes = [a_node(state.value, state=state) for state in NodeState]

    assert [presence.missing_nodes(nodes, wanted=wanted) for wanted in (0, 2, 3, 5)] == [0, 0, 1, 3]


def test_a_starting_node_is_stale_when_nobody_adopts_it_in_time() -> None:
    starting = a_node(state=NodeState.STARTING, created=100.0)

    assert not presence.is_stale(starting, now=100.0 + RESERVATION)
    assert presence.is_stale(starting, now=100.1 + RESERVATION)
    assert not presence.is_stale(replace(starting, state=NodeState.ALIVE), now=1e9)
