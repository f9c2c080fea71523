"""Compute: the machines that nodes run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sparkles.model import Cluster, Node

if TYPE_CHECKING:  # who only looks does without it
    from sparkles.machine import Machine
    from sparkles.ports.state import StateStore
    from sparkles.spec import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffing:
    """What is known of a cluster's nodes beside their records: those that are yet to report."""

    #: Asked for; the cloud has not made them so far.
    submitted: int = 0
    #: Made; their workers have not reported yet.
    staging: int = 0
    #: Why nodes do not come, each in words for the user, with what to do about it.
    troubles: Sequence[str] = ()
    #: Wall clock, seconds: when nodes were asked for the last time; None where nobody has to ask.
    asked: float | None = None


class Compute(Protocol):
    """The machines that nodes run on."""

    def require(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        """Raise RequestError or BackendError if nodes of `cluster` can never be started from here.

        To be asked before a job is submitted. `nodes` are those that the cluster has.
        """
        ...

    def machine(self, spec: JobSpec, image: str | None) -> Machine | None:
        """Return what each node for such a job, with this pinned image, is made of; None where that is no question.

        Raises RequestError for what no node can be made of. Writes nothing.
        """
        ...

    def supplies(self, cluster: Cluster) -> Mapping[str, Path]:
        """Return sha256 → file here of what nodes of `cluster` need of the store to start.

        Writes nothing; but to get one of the files may take long, and is left alone if the store has it.
        """
        ...

    def elsewhere(self, cluster: Cluster) -> str | None:
        """Return why nodes of this cluster are not started from here; None if they are."""
        ...

    def raise_nodes(self, cluster: Cluster, state: StateStore, *, wanted: int) -> None:
        """See to it that `wanted` nodes of `cluster` are starting or alive. Never lowers their number.

        With none wanted, what it takes to start some is made ready: where nodes do that, they may not make it.
        """
        ...

    def shed(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        """Take back the request for nodes that have not been made yet, see `staffing.to_shed`.

        `nodes` are the cluster's records, read before. Whoever calls it looks for work afterwards.
        """
        ...

    def staffing(self, cluster: Cluster, nodes: Sequence[Node]) -> Staffing:
        """Return what is known of nodes beside the records `nodes`, which were read before."""
        ...

    def clean_up(self, cluster: Cluster, state: StateStore) -> None:
        """Remove what was kept to start nodes of `cluster`, if there are none. `raise_nodes` makes it anew."""
        ...

    def wake(self, nodes: Sequence[Node]) -> None:
        """Tell nodes to look at their cluster now. Harmless for nodes that are gone."""
        ...

    def lapsed(self, nodes: Sequence[Node]) -> Sequence[Node]:
        """Return those of `nodes` whose worker is dead or hung."""
        ...

    def fence(self, node: Node) -> frozenset[str] | None:
        """End what is left of a lapsed node. When this returns, none of its attempts runs any more.

        Returns the claims that were running when it died, or None if that is not known.
        """
        ...

    def forget(self, node: Node, *, needed: bool) -> None:
        """Remove what was kept of a lapsed node, now that its tasks have been taken from it.

        If it is still `needed`, its machine may be made anew instead.
        """
        ...

    def last_words(self, node: Node) -> str:
        """Return the end of what a dead node wrote about itself; empty if nothing."""
        ...
