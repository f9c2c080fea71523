"""Ledger: the node's own record, and everything that is written with it. The loop's own.

What has been written says for how long the node may be sure of itself; what could not be written is kept, to be
written as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from sparkles import presence
from sparkles.errors import SparklesError
from sparkles.model import Cluster, Key, Node, NodeState, Record, Records, Writes
from sparkles.ports.backend import Backend
from sparkles.ports.place import Place
from sparkles.presence import FencedError
from sparkles.timing import Timing
from sparkles.worker.budget import Budget
from sparkles.worker.commit import Commit, LandedError
from sparkles.worker.lease import Lease
from sparkles.worker.speech import say

#: Seconds in which the ends of tasks are gathered for one commit, as long as all slots have something to run.
_GATHER = 0.05


class Ledger:
    """There is no `node` before `adopt`."""

    node: Node

    def __init__(self, backend: Backend, place: Place, timing: Timing) -> None:
        self._state = backend.state
        self._place = place
        self._timing = timing
        self._budget = Budget(timing.commit_gap)
        self.lease = Lease(timing, place.clock)
        #: A commit of which nobody knows whether it was written.
        self.undelivered: Commit | None = None
        #: When the next commit must be, whether or not there is something to say.
        self.beat_due = float("inf")

    def adopt(self, sent: float) -> None:
        """Take the node's record, or enter it. Raises FencedError if it is not for this process."""
        key = Key.node(self._place.name)
        self._confirmed(
            self._state.change([key], lambda records: Writes(put=[self._mine(records.get(key), sent)])), sent
        )

    def _mine(self, node: Record | None, sent: float) -> Node:
        if isinstance(node, Node) and node.pid == os.getpid() and node.beat == 1:
            return node  # this is the second try, and the first one came to pass after all
        if node is None and self._place.node:
            return presence.enter(self._place.node, pid=os.getpid(), clock=sent, boot=self._place.boot)
        if not isinstance(node, Node) or node.state is not NodeState.STARTING:
            raise FencedError
        return presence.adopt(node, pid=os.getpid(), clock=sent, boot=self._place.boot)

    def _confirmed(self, written: Mapping[Key, Record], sent: float) -> None:
        """Take note of a commit: the lease counts from before it was sent."""
        node = written[Key.node(self._place.name)]
        assert isinstance(node, Node)
        self.node = node
        self.lease.renew(sent)
        self.beat_due = sent + self._timing.beat

    def cluster(self) -> Cluster:
        """Return the node's cluster as it is now."""
        key = Key.cluster(self.node.cluster)
        cluster = self._state.read([key]).get(key)
        assert isinstance(cluster, Cluster)
        return cluster

    @property
    def due(self) -> float:
        """When the store takes the next commit."""
        return self._budget.due

    def gathered(self, *, at_once: bool) -> float:
        """Return when what has ended is to be written."""
        return self.due if at_once else max(self.lease.committed + _GATHER, self.due)

    def deliver(self, commit: Commit) -> Records | None:
        """Write a commit. If that fails, it is kept, to be delivered as it is until the lease is over.

        No result is lost to a full disk, or to a network that goes away in the middle of an answer.
        """
        self.undelivered = commit
        try:
            written = self._write(commit)
        except SparklesError as error:
            say(f"node {self._place.name}: {error}")
            time.sleep(self._timing.retry)
            return None
        self.undelivered = None
        self._budget.spend(commit.sent)
        self._confirmed(written, commit.sent)
        return written

    def _write(self, commit: Commit) -> Records:
        try:
            return self._state.change(commit.keys, commit.move)
        except LandedError:
            return self._state.read(commit.keys)
