"""The check that no query needs an index of its own does find one that would."""

from __future__ import annotations

import pytest
from backends.gcp.indexes import is_built_in

from sparkles.backends.gcp import datastore


def a_query(*changes: str):
    query = datastore.equal("Task", "queue", "h:n")
    for change in changes:
        if change.startswith("order"):
            query.order.add().property.name = change.split()[1]
        elif change.startswith("range"):
            one = query.filter.composite_filter.filters.add().property_filter
            one.property.name, one.op = change.split()[1], datastore._AT_LEAST
        else:
            query.projection.add().property.name = change.split()[1]
    return query


@pytest.mark.parametrize("changes", [(), ("order __key__",), ("range __key__",), ("project __key__",)], ids=str)
def test_equality_with_a_range_of_keys_needs_none(changes):
    assert is_built_in(a_query(*changes))


@pytest.mark.parametrize("changes", [("order started",), ("range started",), ("project row",)], ids=str)
def test_equality_with_anything_else_needs_one(changes):
    assert not is_built_in(a_query(*changes))


def test_a_range_of_one_property_may_be_in_its_order_only():
    query = datastore.prefixed("Task", "queue", "a", "b")
    assert is_built_in(query)

    query.order.add().property.name = "started"
    assert not is_built_in(query)
