"""The methods that read, describe and remove objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import listing, preconditions, reading
from .objects import SETTABLE, Holdings, Stored, merged
from .resources import object_resource
from .service import MEDIA, Answer, Call


class ObjectMethods:
    """Answers storage.objects.* but for what makes objects."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self.answers: Mapping[str, Answer] = {
            "storage.objects.delete": self.delete,
            "storage.objects.get": self.get,
            "storage.objects.list": self.list,
            "storage.objects.patch": self.patch,
            "storage.objects.update": self.update,
        }

    def get(self, call: Call) -> Any:
        """Return an object's description, or its content."""
        with self._holdings.lock:
            stored = self._found(call, reading=True)
            if call.values.get("alt") == MEDIA:
                return reading.reply(stored, call.request.headers)
        return _shown(call, stored)

    def list(self, call: Call) -> dict[str, Any]:
        """Return a page of objects and prefixes."""
        with self._holdings.lock:
            bucket = self._holdings.bucket(call.values["bucket"])
            page = listing.page(bucket.order, listing.Query.of(call.values))
            stored = [bucket.objects[name] for name in page.names]
        answer: dict[str, Any] = {"kind": "storage#objects"}
        if page.next is not None:
            answer["nextPageToken"] = page.next
        if page.prefixes:
            answer["prefixes"] = page.prefixes
        if stored:
            answer["items"] = [_shown(call, each) for each in stored]
        return answer

    def patch(self, call: Call) -> dict[str, Any]:
        """Change some of what is said of an object."""
        return self._describe(call, lambda stored, said: merged(stored.said, said))

    def update(self, call: Call) -> dict[str, Any]:
        """Change all that is said of an object."""
        return self._describe(call, lambda stored, said: {key: value for key, value in said.items() if value})

    def delete(self, call: Call) -> None:
        """Remove an object."""
        with self._holdings.lock:
            stored = self._found(call)
            self._holdings.count_change(stored.bucket, stored.name)
            self._holdings.bucket(stored.bucket).remove(stored)

    def _found(self, call: Call, *, reading: bool = False) -> Stored:
        stored = self._holdings.bucket(call.values["bucket"]).live(call.values["object"], call.values.get("generation"))
        preconditions.check(call.values, stored, reading=reading)
        return stored

    def _describe(self, call: Call, described: Any) -> dict[str, Any]:
        said = {key: value for key, value in (call.body or {}).items() if key in SETTABLE}
        with self._holdings.lock:
            stored = self._found(call)
            self._holdings.count_change(stored.bucket, stored.name)
            changed = self._holdings.changed(stored, described(stored, said))
            self._holdings.bucket(stored.bucket).put(changed)
        return _shown(call, changed)


def _shown(call: Call, stored: Stored) -> dict[str, Any]:
    return object_resource(stored, call.request.host)
