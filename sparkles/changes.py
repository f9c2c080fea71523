"""Changes: in which fields two pinned documents differ, in words, and what a change of each field does. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sparkles import placeholders
from sparkles.errors import RequestError
from sparkles.manifest import update_policy
from sparkles.references import reference
from sparkles.spec import in_bucket

#: The most characters of a value, and the most files, that are shown.
_LENGTH, _FILES = 40, 3

Document = Mapping[str, Any]


class Change(NamedTuple):
    """One difference between two documents."""

    #: The field of `spec`, or `labels`.
    field: str
    #: For example "image a → b".
    text: str
    #: What it does: `live`, `next-attempt` or `rerun`.
    policy: str


def between(old: Document, new: Document) -> list[Change]:
    """Return all that differs between two documents, by field."""
    before, after = _fields(old), _fields(new)
    return [
        Change(field, text, _policy(field))
        for field in sorted({*before, *after})
        if before.get(field) != after.get(field)
        for text in _texts(field, before.get(field), after.get(field))
    ]


def without_results(document: Document) -> Document:
    """Return the document without what is known of other jobs' results: what its author wrote of them."""
    spec = dict(document["spec"])
    makes_rows = reference(spec.get("parameters", {}).get("csv", "")) is not None
    if makes_rows:
        spec["parameters"] = {"csv": spec["parameters"]["csv"]}
    if "uploads" in spec:
        spec["uploads"] = [_as_written(entry, makes_rows=makes_rows) for entry in spec["uploads"]]
    return {**document, "spec": spec}


def _as_written(entry: Mapping[str, Any], *, makes_rows: bool) -> Mapping[str, Any]:
    src = entry["src"]
    if reference(src):
        return {"src": src, "dest": entry["dest"]}
    if makes_rows and in_bucket(src) and placeholders.names(src):  # rows that are not known choose its objects
        return {name: value for name, value in entry.items() if name != "files"}
    return entry


def arrow(name: str, before: Any, after: Any) -> str:
    """Return what a value was and is.

    >>> arrow("nodes.max", 1, None)
    'nodes.max 1 → unset'
    """
    return f"{name} {_short(before)} → {_short(after)}"


def members(field: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return how two mappings differ that are values of a field.

    >>> members("nodes", {"max": 1, "linger": "0s"}, {"max": 4, "linger": "0s"})
    ['nodes.max 1 → 4']
    """
    return [arrow(f"{field}.{name}", before.get(name), after.get(name)) for name in _differing(before, after)]


def _policy(field: str) -> str:
    """Return what a change of the field does. One that only a newer sparkles knows is taken to be harmless."""
    try:
        return update_policy(field)
    except RequestError:
        return "live"


def _fields(document: Document) -> dict[str, Any]:
    return {"labels": document["metadata"].get("labels"), **document["spec"]}


def _texts(field: str, before: Any, after: Any) -> list[str]:
    match field, before, after:
        case "uploads", _, _:
            return [_uploads(before or [], after or [])]
        case "parameters", _, _:
            return [field]  # what became of the rows is said of each task
        case _, dict(), dict():
            return members(field, before, after)
        case "command", list(), list() if len(before) == len(after):
            words = zip(before, after, strict=True)
            return [arrow(f"command[{n}]", a, b) for n, (a, b) in enumerate(words) if a != b]
        case _, dict(), _:
            return [field]
        case _, _, dict():
            return [field]
    texts = _joined(before), _joined(after)
    return [arrow(field, *texts) if texts[0] != texts[1] else field]


def _joined(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]


def _uploads(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> str:
    """Return which uploaded files differ, e.g. "uploads: a.txt changed, b.txt new"."""
    old, new = dict(_files(before)), dict(_files(after))
    words = [f"{name} {_fate(old.get(name), new.get(name))}" for name in _differing(old, new)]
    more = [f"{len(words) - _FILES} more"] if len(words) > _FILES else []
    return f"uploads: {', '.join([*words[:_FILES], *more]) or 'their order'}"


def _fate(before: tuple[Any, ...] | None, after: tuple[Any, ...] | None) -> str:
    """Return what became of a file."""
    if before is None or after is None:
        return "new" if before is None else "gone"
    if before[:3] == after[:3]:
        return "is a program now" if after[3] else "is no program any more"
    return "changed" if before[2] == after[2] else "is another object now"


def _files(uploads: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the name of each uploaded file, and all that a task sees of it."""
    return [
        (file["src"], (entry.get("dest"), file.get("sha256"), file.get("generation"), file.get("executable")))
        for entry in uploads
        for file in entry.get("files", [entry])
    ]


def _short(value: Any) -> str:
    text = "unset" if value is None else str(value)
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"
