"""The contract of every Compute. An adapter's test inherits it and gives `nodes`, `state` and `cluster`."""

from __future__ import annotations

from contracts.nouns import a_node

from sparkles.model import Cluster
from sparkles.ports.compute import Compute
from sparkles.ports.state import StateStore


class ComputeContract:
    """What every Compute must do. `cluster` is one that it can start nodes of, on record, with none so far."""

    def test_there_is_nobody_at_first(self, nodes, state, cluster):
        assert staffed(nodes, state, cluster) == 0

    def test_nodes_that_are_wanted_are_started_once(self, nodes, state, cluster):
        nodes.raise_nodes(cluster, state, wanted=1)
        nodes.raise_nodes(cluster, state, wanted=1)

        assert staffed(nodes, state, cluster) == 1

    def test_to_make_ready_starts_nobody(self, nodes, state, cluster):
        nodes.require(cluster, [])
        nodes.raise_nodes(cluster, state, wanted=0)

        assert staffed(nodes, state, cluster) == 0

    def test_no_node_goes_because_fewer_are_wanted(self, nodes, state, cluster):
        nodes.raise_nodes(cluster, state, wanted=1)
        nodes.raise_nodes(cluster, state, wanted=0)

        assert staffed(nodes, state, cluster) == 1

    def test_cleaning_up_leaves_nodes_alone(self, nodes, state, cluster):
        nodes.raise_nodes(cluster, state, wanted=1)

        nodes.clean_up(cluster, state)

        assert staffed(nodes, state, cluster) == 1

    def test_after_cleaning_up_nodes_can_be_started_again(self, nodes, state, cluster):
        nodes.require(cluster, [])
        nodes.clean_up(cluster, state)
        nodes.clean_up(cluster, state)

        nodes.raise_nodes(cluster, state, wanted=1)

        assert staffed(nodes, state, cluster) == 1

    def test_what_nobody_needs_any_more_can_be_taken_back_at_any_time(self, nodes, state, cluster):
        nodes.shed(cluster, [])
        nodes.require(cluster, [])
        nodes.shed(cluster, [])

        assert staffed(nodes, state, cluster) == 0

    def test_a_node_that_is_gone_is_no_trouble_to_anybody(self, nodes, cluster):
        gone = a_node("n", cluster=cluster.name, instance="s-1-abcd", instance_id="1", zone="us-central1-a")

        nodes.wake([gone])
        nodes.forget(gone, needed=True)
        nodes.forget(gone, needed=False)

        assert nodes.last_words(gone) == ""

    def test_its_own_clusters_are_started_from_here(self, nodes, cluster):
        assert nodes.elsewhere(cluster) is None


def staffed(nodes: Compute, state: StateStore, cluster: Cluster) -> int:
    """Return how many nodes there are, or will be."""
    records = state.nodes(cluster.name)
    coming = nodes.staffing(cluster, records)
    return len(records) + coming.submitted + coming.staging
