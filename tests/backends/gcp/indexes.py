"""Indexes: which queries Datastore answers without an index that somebody has to make first.

By Google's documentation, "Built-in indexes": equality filters on any properties, with a range of keys; or a range of
one property, in its order; or a range of keys; or everything, in the order of one property.
"""

from __future__ import annotations

from typing import Any

from google.cloud.datastore_v1.types import query as queries

_EQUAL = queries.PropertyFilter.Operator.EQUAL
_DOWN = queries.PropertyOrder.Direction.DESCENDING


def is_built_in(query: Any) -> bool:
    """Say whether a query (the protobuf message) needs no composite index."""
    filters = [one.property_filter for one in query.filter.composite_filter.filters]
    equal = {one.property.name for one in filters if one.op == _EQUAL}
    ranged = {one.property.name for one in filters if one.op != _EQUAL}
    orders = [(one.property.name, one.direction == _DOWN) for one in query.order]
    projected = {one.property.name for one in query.projection}
    if projected - {"__key__"} or query.filter.WhichOneof("filter_type") == "property_filter":
        return False
    if equal:
        return ranged <= {"__key__"} and orders in ([], [("__key__", False)])
    if ranged:
        return len(ranged) == 1 and {name for name, _ in orders} <= ranged
    return len(orders) <= 1
