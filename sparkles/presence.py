"""Presence: every rule about what may become of a node, and which nodes are there. Pure; time is an argument.

The table below is the whole state machine: a move that it does not name cannot happen. How many nodes there should be
is for `staffing` to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkles.errors import MoveError
from sparkles.model import Node, NodeState, Sample

#: Seconds that a starting node has to adopt its record.
RESERVATION = 30.0

NODE_MOVES: Mapping[str, Mapping[NodeState, NodeState]] = {
    "adopt": {NodeState.STARTING: NodeState.ALIVE},
    "leave": {NodeState.ALIVE: NodeState.LEAVING},
    "stay": {NodeState.LEAVING: NodeState.ALIVE},
    "go": {NodeState.LEAVING: NodeState.GONE, NodeState.LOST: NodeState.GONE},
    "lose": {
        NodeState.STARTING: NodeState.LOST,
        NodeState.ALIVE: NodeState.LOST,
        NodeState.LEAVING: NodeState.LOST,
        NodeState.LOST: NodeState.LOST,
    },
}

#: The states of nodes that are there to work, or will be.
PRESENT = frozenset({NodeState.STARTING, NodeState.ALIVE})


class FencedError(Exception):
    """This node has been given up by others: it must stop at once and commit nothing."""


def adopt(node: Node, *, pid: int, clock: float, boot: str) -> Node:
    """Let the process that was started for this node take its record."""
    return beat(_move_node(replace(node, pid=pid), "adopt"), clock=clock, boot=boot, samples={})


def enter(node: Node, *, pid: int, clock: float, boot: str) -> Node:
    """Let the worker of a machine write its own record, where nobody could have written one for it."""
    return beat(replace(node, pid=pid, state=NodeState.ALIVE, beat=0), clock=clock, boot=boot, samples={})


def beat(node: Node, *, clock: float, boot: str, samples: Mapping[str, Sample]) -> Node:
    """Say that the worker lives."""
    return replace(node, beat=node.beat + 1, beat_clock=clock, beat_boot=boot, samples=samples)


def confirm(node: Node | None, *, beat: int) -> Node:
    """Return the node if it is as its worker left it; raise FencedError if others gave it up."""
    if node is None or node.state not in (NodeState.ALIVE, NodeState.LEAVING) or node.beat != beat:
        raise FencedError
    return node


def leave(node: Node) -> Node:
    """Announce that the node goes; from now on it may not claim."""
    return _move_node(node, "leave")


def stay(node: Node) -> Node:
    """Take the announcement back: there is work after all."""
    return _move_node(node, "stay")


def go(node: Node) -> Node:
    """End a node that holds nothing any more."""
    return _move_node(node, "go")


def lose(node: Node) -> Node:
    """Give up a node that has lapsed."""
    return _move_node(node, "lose")


def standing(nodes: Sequence[Node]) -> int:
    """Return how many nodes there are or will be, by their records: those that leave or are lost do not count."""
    return sum(node.state in PRESENT for node in nodes)


def missing_nodes(nodes: Sequence[Node], *, wanted: int) -> int:
    """Return how many nodes must be started where each has a record from the beginning."""
    return max(0, wanted - standing(nodes))


def is_stale(node: Node, *, now: float) -> bool:
    """Say whether a starting node was never adopted in its time."""
    return node.state is NodeState.STARTING and now - node.created > RESERVATION


def _move_node(node: Node, move: str) -> Node:
    try:
        return replace(node, state=NODE_MOVES[move][node.state])
    except KeyError:
        raise MoveError(f"node {node.name}: no move {move!r} from {node.state.value}") from None
