"""Changes: two documents of jobs in, the fields in which they differ out, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkles.errors import RequestError
from sparkles.manifest import update_policy


def differences(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (what differs, its update policy) of two documents, e.g. ("image a → b", "rerun")."""
    if old is None:
        return []
    found = []
    before, after = _fields(old), _fields(new)
    for field in sorted({*before, *after}):
        if before.get(field) != after.get(field):
            texts = _texts(field, before.get(field), after.get(field))
            found += [(text, _policy(field)) for text in texts]
    return found


def members(field: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return how two values of a field differ that are mappings.

    >>> members("nodes", {"max": 1, "linger": "0s"}, {"max": 4, "linger": "0s"})
    ['nodes.max 1 → 4']
    """
    return [
        f"{field}.{name} {_short(before.get(name))} → {_short(after.get(name))}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _policy(field: str) -> str:
    """Return what a change of the field does. One that only a newer sparkles knows is taken to be harmless."""
    try:
        return update_policy(field)
    except RequestError:
        return "live"


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"labels": document["metadata"].get("labels"), **document["spec"]}


def _texts(field: str, before: Any, after: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict) and field not in ("parameters", "env"):
        return members(field, before, after)
    if isinstance(before, str) and isinstance(after, str):
        return [f"{field} {_short(before)} → {_short(after)}"]
    return [field]


def _short(value: Any) -> str:
    text = "unset" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "…"
