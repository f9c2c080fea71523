"""Commit: all that a worker writes at once: its own record, and with that what ended, goes back, and is claimed.

A commit is a value that can be delivered again as it is: where the store is far away, nobody may know whether it has
been written. The clock at which it was first sent tells it from all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sparkles import lifecycle, presence
from sparkles.lifecycle import RetryPolicy
from sparkles.model import Key, Node, NodeState, Record, Records, Sample, Task, TaskState, Writes
from sparkles.worker.attempt import Ended


class LandedError(Exception):
    """This very commit has been written, although the store could not say so."""


def as_it_is(node: Node) -> Node:
    """Return the node."""
    return node


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a worker is to write, all of it or nothing."""

    #: The node as it was written last.
    node: Node
    #: The clock and the boot that leases are counted in, before this was first sent; and the wall clock.
    sent: float
    boot: str
    wall: float
    ended: Sequence[Ended] = ()
    #: Claim → what holds for tries of what ended.
    policies: Mapping[str | None, RetryPolicy] = field(default_factory=dict)
    #: Task to claim → the token of that claim.
    tokens: Mapping[Key, str] = field(default_factory=dict)
    samples: Mapping[str, Sample] = field(default_factory=dict)
    #: What becomes of the node itself.
    step: Callable[[Node], Node] = as_it_is

    @property
    def keys(self) -> list[Key]:
        """The records that it reads and may write."""
        return list(dict.fromkeys([self.node.key, *(end.task.key for end in self.ended), *self.tokens]))

    def move(self, records: Records) -> Writes:
        """Decide what to write. Raises LandedError if that is done, FencedError if others gave the node up."""
        node = self._mine(records)
        after = [
            _after(end, records.get(end.task.key), self.policies[end.task.claim], now=self.wall) for end in self.ended
        ]
        claimed = [
            lifecycle.claim(task, node=node.name, token=token)
            for key, token in self.tokens.items()
            if isinstance(task := records.get(key), Task) and _is_free(task, node)
        ]
        node = replace(node, worked=node.worked or bool(claimed))
        beat = presence.beat(node, clock=self.sent, boot=self.boot, samples=self.samples)
        return Writes(put=[self.step(beat), *(task for task in after if task), *claimed])

    def _mine(self, records: Records) -> Node:
        node = records.get(self.node.key)
        assert node is None or isinstance(node, Node)
        if node and (node.beat, node.beat_clock, node.beat_boot) == (self.node.beat + 1, self.sent, self.boot):
            raise LandedError
        return presence.confirm(node, beat=self.node.beat)


def _is_free(task: Task, node: Node) -> bool:
    return node.state is NodeState.ALIVE and task.state is TaskState.PENDING and task.cluster == node.cluster


def _after(end: Ended, record: Record | None, retry: RetryPolicy, *, now: float) -> Task | None:
    """Return the task as the end of an attempt leaves it; None if it is not this node's any more."""
    if not isinstance(record, Task) or record.state is not TaskState.CLAIMED or record.claim != end.task.claim:
        return None
    attempt = end.attempt
    if attempt and lifecycle.is_mine(record, claim=attempt.claim, digest=attempt.digest):
        return lifecycle.finish(record, attempt, retry)
    return lifecycle.give_back(record, now=now, lost=end.broke, reason=end.stopped)
