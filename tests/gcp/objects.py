"""What a simulated project holds: buckets, objects, generations, and the rules for changing them. Knows no HTTP.

Whoever changes something holds `Holdings.lock` from the look to the change, so of many who want to be first one is.
Buckets are not versioned: an old generation is gone at once.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .content import Content, ContentFolder
from .errors import ApiError, invalid, not_found

#: What a client says of an object. All else of it is the store's to say.
SETTABLE = (
    "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "customTime",
    "metadata", "storageClass", "temporaryHold", "eventBasedHold",
)  # fmt: skip

_LONGEST_NAME = 1024


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One generation of an object."""

    bucket: str
    name: str
    generation: int
    metageneration: int = 1
    content: Content
    #: What the client said of it.
    said: Mapping[str, Any]
    #: Of how many uploads it was composed; None for one that was not.
    components: int | None = None
    #: Seconds since 1970.
    created: float
    updated: float


@dataclass
class Bucket:
    """A bucket and the live generation of each of its objects."""

    name: str
    project: str
    said: dict[str, Any]
    created: float = field(default_factory=time.time)
    metageneration: int = 1
    generation: int = 1
    objects: dict[str, Stored] = field(default_factory=dict)
    #: Names in the order in which they are listed: that of their UTF-8.
    order: list[bytes] = field(default_factory=list)

    def live(self, name: str, generation: str | None = None) -> Stored:
        """Return an object, if that generation of it is the live one."""
        stored = self.objects.get(name)
        if stored is None or generation not in (None, str(stored.generation)):
            raise not_found(f"No such object: {self.name}/{name}")
        return stored

    def put(self, stored: Stored) -> Stored:
        """Make this the live generation."""
        before = self.objects.get(stored.name)
        if before is None:
            insort(self.order, stored.name.encode())
        elif before.content.path != stored.content.path:
            before.content.path.unlink()
        self.objects[stored.name] = stored
        return stored

    def remove(self, stored: Stored) -> None:
        """Remove an object and its content."""
        del self.objects[stored.name]
        del self.order[bisect_left(self.order, stored.name.encode())]
        stored.content.path.unlink()


class Holdings:
    """All buckets of all projects."""

    def __init__(self, contents: ContentFolder) -> None:
        self.lock = threading.RLock()
        self.contents = contents
        self.buckets: dict[str, Bucket] = {}
        #: Seconds that must pass between two changes of the same object, as Google asks for; None: no limit.
        self.change_interval: float | None = None
        self._changed: dict[tuple[str, str], float] = {}
        self._last_generation = 0

    def bucket(self, name: str) -> Bucket:
        """Return a bucket."""
        if name not in self.buckets:
            raise not_found("The specified bucket does not exist.")
        return self.buckets[name]

    def new(self, bucket: str, name: str, content: Content, said: Mapping[str, Any], **more: Any) -> Stored:
        """Return a new generation of an object, which is not live yet."""
        self._last_generation = max(self._last_generation + 1, time.time_ns() // 1000)
        now = self._last_generation / 1e6
        kept = {key: value for key, value in said.items() if key in SETTABLE and value is not None}
        return Stored(
            bucket=bucket, name=name, generation=self._last_generation, content=content, said=kept, created=now,
            updated=now, **more,
        )  # fmt: skip

    def changed(self, stored: Stored, said: Mapping[str, Any]) -> Stored:
        """Return an object of which something else is said now."""
        return replace(stored, said=said, metageneration=stored.metageneration + 1, updated=time.time())

    def count_change(self, bucket: str, name: str) -> None:
        """Refuse to change the same object too often, if there is a limit."""
        if self.change_interval is None:
            return
        now = time.monotonic()
        if now - self._changed.get((bucket, name), 0.0) < self.change_interval:
            message = (
                f"The object {bucket}/{name} exceeded the rate limit for object mutation operations (create, update, "
                "and delete). Please reduce your request rate."
            )
            raise ApiError(429, "rateLimitExceeded", message)
        self._changed[bucket, name] = now


def check_name(name: str | None) -> str:
    """Return the name of an object if it can be one."""
    if not name:
        raise ApiError(400, "required", "Required parameter: name")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise invalid("The name of an object must be UTF-8.") from None
    if size > _LONGEST_NAME:
        raise invalid(f"The specified object name is too long: it has {size} bytes of at most {_LONGEST_NAME}.")
    if name in (".", "..") or "\r" in name or "\n" in name or name.startswith(".well-known/acme-challenge/"):
        raise invalid(f"Invalid object name: {name!r}")
    return name


def merged(said: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of an object after a patch: null removes, an object within is patched likewise."""
    result = dict(said)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            result[key] = merged(result.get(key, {}), value)
        else:
            result[key] = value
    return result
