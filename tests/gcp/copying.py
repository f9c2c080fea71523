"""The methods that make objects of objects: compose, copy, rewrite, move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import preconditions
from .content import Content
from .errors import invalid
from .objects import Bucket, Holdings, Stored, check_name
from .permissions import Permissions
from .resources import object_resource
from .service import Answer, Call

#: As many as one call may put together.
_MOST_SOURCES = 32


class CopyMethods:
    """Answers storage.objects.compose, copy, rewrite and move."""

    def __init__(self, holdings: Holdings, permissions: Permissions) -> None:
        self._holdings, self._permissions = holdings, permissions
        self.answers: Mapping[str, Answer] = {
            "storage.objects.compose": self.compose,
            "storage.objects.copy": self.copy,
            "storage.objects.move": self.move,
            "storage.objects.rewrite": self.rewrite,
        }

    def compose(self, call: Call) -> dict[str, Any]:
        """Put objects of a bucket together."""
        wanted = call.body["sourceObjects"]
        if not 1 <= len(wanted) <= _MOST_SOURCES:
            raise invalid(f"The number of source components provided ({len(wanted)}) is not in 1…{_MOST_SOURCES}.")
        with self._holdings.lock:
            bucket = self._holdings.bucket(call.values["destinationBucket"])
            sources = [_source(bucket, each) for each in wanted]
            said = call.body.get("destination") or {}
            count = sum(each.components or 1 for each in sources)
            made = self._make(
                call, bucket, lambda: self._holdings.contents.joined(each.content for each in sources), said=said,
                components=count,
            )  # fmt: skip
            if call.body.get("deleteSourceObjects"):
                for each in sources:
                    if bucket.objects.get(each.name) is each:
                        bucket.remove(each)
        return object_resource(made, call.request.host)

    def copy(self, call: Call) -> dict[str, Any]:
        """Copy an object."""
        with self._holdings.lock:
            made = self._copied(call)
        return object_resource(made, call.request.host)

    def rewrite(self, call: Call) -> dict[str, Any]:
        """Copy an object; Google may take several calls for it, here it is one."""
        made = self.copy(call)
        return {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": made["size"],
            "objectSize": made["size"],
            "done": True,
            "resource": made,
        }

    def move(self, call: Call) -> dict[str, Any]:
        """Give an object another name in its bucket, in one step."""
        with self._holdings.lock:
            bucket = self._holdings.bucket(call.values["bucket"])
            source = bucket.live(call.values["sourceObject"])
            preconditions.check(call.values, source, prefix="ifSource")
            made = self._make(call, bucket, lambda: self._holdings.contents.same(source.content), said=source.said,
                              components=source.components)  # fmt: skip
            if source.name != made.name:
                bucket.remove(source)
        return object_resource(made, call.request.host)

    def _copied(self, call: Call) -> Stored:
        source = self._holdings.bucket(call.values["sourceBucket"]).live(
            call.values["sourceObject"], call.values.get("sourceGeneration")
        )
        preconditions.check(call.values, source, prefix="ifSource")
        target = self._holdings.bucket(call.values["destinationBucket"])
        said = {key: value for key, value in (call.body or {}).items() if value is not None}
        return self._make(call, target, lambda: self._holdings.contents.same(source.content),
                          said=said or source.said, components=source.components)  # fmt: skip

    def _make(self, call: Call, bucket: Bucket, content: Any, *, said: Mapping[str, Any], **more: Any) -> Stored:
        name = check_name(call.values["destinationObject"])
        live = bucket.objects.get(name)
        if live is not None:
            self._permissions.need("storage.objects.delete")
        preconditions.check(call.values, live)
        self._holdings.count_change(bucket.name, name)
        made: Content = content()
        return bucket.put(self._holdings.new(bucket.name, name, made, said, **more))


def _source(bucket: Bucket, wanted: Mapping[str, Any]) -> Stored:
    generation = wanted.get("generation")
    stored = bucket.live(wanted["name"], None if generation is None else str(generation))
    preconditions.check(wanted.get("objectPreconditions") or {}, stored)
    return stored
