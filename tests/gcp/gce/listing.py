"""Lists: pages, and filters. Of Google's language for filters the part that simple clients use; the rest is refused."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import ApiError, invalid
from ..service import Call
from .links import link

_USUAL, _MOST = 500, 500

#: One condition: `labels.a=b`, `name eq ".*x.*"`, `(status != RUNNING)`.
_CONDITION = re.compile(r'\s*\(?\s*([\w.-]+)\s*(=|!=|\beq\b|\bne\b|:)\s*("[^"]*"|[^\s()]+)\s*\)?\s*(?:AND\s+)?')


def listed(call: Call, kind: str, path: str, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a page of what was found."""
    items, token = page(call, [each for each in found if matches(each, call.values.get("filter", ""))])
    return {
        "kind": kind,
        "id": path,
        **({"items": items} if items else {}),
        "selfLink": link(path),
        **({"nextPageToken": token} if token else {}),
    }


def aggregated(call: Call, kind: str, field: str, found: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """Return what was found in each place, such as `zones/us-central1-a`, in one answer."""
    path = f"projects/{call.values['project']}/aggregated/{field}"
    said = call.values.get("filter", "")
    kept = {place: [each for each in all_there if matches(each, said)] for place, all_there in found.items()}
    return {
        "kind": kind,
        "id": path,
        "items": {place: {field: here} if here else _nothing(place) for place, here in kept.items()},
        "selfLink": link(path),
    }


def page(call: Call, found: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Return the page that is asked for, and the token of the next one, if there is one."""
    if call.values.get("orderBy"):
        raise ApiError(501, "notImplemented", "orderBy is not simulated")
    size = int(call.values.get("maxResults") or _USUAL)
    start = _start(call.values.get("pageToken", ""))
    end = start + min(size or _MOST, _MOST)
    token = base64.urlsafe_b64encode(f"after:{end}".encode()).decode() if end < len(found) else ""
    return list(found[start:end]), token


def matches(resource: Mapping[str, Any], said: str) -> bool:
    """Say whether a resource is one that a filter lets through.

    >>> matches({"name": "a-1", "labels": {"x": "y"}}, 'labels.x=y AND name eq "a-.*"')
    True
    """
    return all(condition(resource) for condition in _conditions(said))


def _conditions(said: str) -> list[Callable[[Mapping[str, Any]], bool]]:
    found, place = [], 0
    while place < len(said):
        condition = _CONDITION.match(said, place)
        if condition is None:
            raise ApiError(501, "notImplemented", f"the filter {said!r} is not simulated")
        found.append(_condition(condition[1], condition[2], condition[3].strip('"')))
        place = condition.end()
    return found


def _condition(name: str, sign: str, value: str) -> Callable[[Mapping[str, Any]], bool]:
    def holds(resource: Mapping[str, Any]) -> bool:
        there = _text(resource, name)
        if sign in ("eq", "ne"):
            return (re.fullmatch(value, there or "") is not None) == (sign == "eq")
        if sign == ":":
            return there is not None and (value == "*" or value.strip("*") in there)
        return (there == value) == (sign == "=")

    return holds


def _text(resource: Any, name: str) -> str | None:
    for word in name.split("."):
        resource = resource.get(word) if isinstance(resource, Mapping) else None
    if isinstance(resource, bool):
        return str(resource).lower()
    return None if resource is None else str(resource)


def _start(token: str) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("after:"))
    except ValueError as error:
        raise invalid(f"Invalid value for field 'pageToken': '{token}'.") from error


def _nothing(place: str) -> dict[str, Any]:
    message = f"There are no results for scope '{place}' on this page."
    data = [{"key": "scope", "value": place}]
    return {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": message, "data": data}}
