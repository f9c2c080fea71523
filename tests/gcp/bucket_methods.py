"""The methods for buckets, and for who may do what with one."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from . import preconditions
from .errors import ApiError, condition_not_met, invalid
from .objects import Bucket, Holdings, merged
from .permissions import Permissions
from .resources import bucket_resource
from .service import Answer, Call

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_NO_POLICY = {"kind": "storage#policy", "version": 1, "etag": "CAE=", "bindings": []}


class BucketMethods:
    """Answers storage.buckets.*."""

    def __init__(self, holdings: Holdings, permissions: Permissions) -> None:
        self._holdings, self._permissions = holdings, permissions
        self._policies: dict[str, dict[str, Any]] = {}
        self.answers: Mapping[str, Answer] = {
            "storage.buckets.delete": self.delete,
            "storage.buckets.get": self.get,
            "storage.buckets.getIamPolicy": self.get_policy,
            "storage.buckets.getStorageLayout": self.layout,
            "storage.buckets.insert": self.insert,
            "storage.buckets.list": self.list,
            "storage.buckets.patch": self.patch,
            "storage.buckets.setIamPolicy": self.set_policy,
            "storage.buckets.testIamPermissions": self.test_permissions,
        }

    def insert(self, call: Call) -> dict[str, Any]:
        """Make a bucket."""
        name = call.body.get("name", "")
        call.values["name"] = name
        if not _NAME.fullmatch(name):
            raise invalid(f"Invalid bucket name: '{name}'")
        with self._holdings.lock:
            if name in self._holdings.buckets:
                raise ApiError(409, "conflict", "Your previous request to create the named bucket succeeded and you "
                               "already own it.")  # fmt: skip
            bucket = Bucket(name=name, project=call.values["project"], said=_said(call))
            self._holdings.buckets[name] = bucket
        return _shown(call, bucket)

    def get(self, call: Call) -> dict[str, Any]:
        """Return a bucket's description."""
        bucket = self._holdings.bucket(call.values["bucket"])
        preconditions.check(call.values, bucket, reading=True)
        return _shown(call, bucket)

    def layout(self, call: Call) -> dict[str, Any]:
        """Say that a bucket has no real folders."""
        shown = _shown(call, self._holdings.bucket(call.values["bucket"]))
        return {
            "kind": "storage#storageLayout",
            "bucket": shown["name"],
            "location": shown["location"],
            "locationType": shown["locationType"],
            "hierarchicalNamespace": {"enabled": False},
        }

    def list(self, call: Call) -> dict[str, Any]:
        """Return the buckets of a project, on one page."""
        prefix, project = call.values.get("prefix", ""), call.values["project"]
        found = [each for name, each in sorted(self._holdings.buckets.items()) if name.startswith(prefix)]
        items = [_shown(call, each) for each in found if each.project == project]
        return {"kind": "storage#buckets", **({"items": items} if items else {})}

    def patch(self, call: Call) -> dict[str, Any]:
        """Change some of what is said of a bucket."""
        with self._holdings.lock:
            bucket = self._holdings.bucket(call.values["bucket"])
            preconditions.check(call.values, bucket)
            bucket.said = merged(bucket.said, _said(call))
            bucket.metageneration += 1
        return _shown(call, bucket)

    def delete(self, call: Call) -> None:
        """Remove a bucket that is empty."""
        with self._holdings.lock:
            bucket = self._holdings.bucket(call.values["bucket"])
            preconditions.check(call.values, bucket)
            if bucket.objects:
                raise ApiError(409, "conflict", "The bucket you tried to delete is not empty.")
            del self._holdings.buckets[bucket.name]

    def get_policy(self, call: Call) -> dict[str, Any]:
        """Return who may do what."""
        bucket = self._holdings.bucket(call.values["bucket"])
        return {**self._policies.get(bucket.name, _NO_POLICY), "resourceId": f"projects/_/buckets/{bucket.name}"}

    def set_policy(self, call: Call) -> dict[str, Any]:
        """Say who may do what, if nobody has said so since it was read. It is kept, and nobody acts by it."""
        bucket = self._holdings.bucket(call.values["bucket"])
        with self._holdings.lock:
            etag = self._policies.get(bucket.name, _NO_POLICY)["etag"]
            if call.body.get("etag") not in (None, etag):
                raise condition_not_met("etag")
            self._policies[bucket.name] = {**_NO_POLICY, **call.body, "etag": _next(etag)}
        return self.get_policy(call)

    def test_permissions(self, call: Call) -> dict[str, Any]:
        """Return which of some permissions the caller has."""
        self._holdings.bucket(call.values["bucket"])
        asked = [text for name, text in call.request.query if name == "permissions"]
        held = [each for each in asked if each not in self._permissions.denied]
        return {"kind": "storage#testIamPermissionsResponse", **({"permissions": held} if held else {})}


def _next(etag: str) -> str:
    """Return an etag that comes after another."""
    return b64encode(b64decode(etag) + b"+").decode()


def _said(call: Call) -> dict[str, Any]:
    known = ("labels", "lifecycle", "location", "storageClass", "iamConfiguration", "versioning", "softDeletePolicy")
    return {key: call.body[key] for key in known if key in (call.body or {})}


def _shown(call: Call, bucket: Bucket) -> dict[str, Any]:
    return bucket_resource(bucket, call.request.host)
