"""Which permissions a caller lacks, and which of them a method asks for."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import ApiError
from .service import Call

#: Of each method, what it needs. An insert that overwrites needs `storage.objects.delete`, too.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "storage.buckets.delete": ("storage.buckets.delete",),
    "storage.buckets.get": ("storage.buckets.get",),
    "storage.buckets.getIamPolicy": ("storage.buckets.getIamPolicy",),
    "storage.buckets.insert": ("storage.buckets.create",),
    "storage.buckets.list": ("storage.buckets.list",),
    "storage.buckets.patch": ("storage.buckets.get", "storage.buckets.update"),
    "storage.buckets.setIamPolicy": ("storage.buckets.setIamPolicy",),
    "storage.objects.compose": ("storage.objects.get", "storage.objects.create"),
    "storage.objects.copy": ("storage.objects.get", "storage.objects.create"),
    "storage.objects.delete": ("storage.objects.delete",),
    "storage.objects.get": ("storage.objects.get",),
    "storage.objects.insert": ("storage.objects.create",),
    "storage.objects.list": ("storage.objects.list",),
    "storage.objects.move": ("storage.objects.get", "storage.objects.create", "storage.objects.delete"),
    "storage.objects.patch": ("storage.objects.get", "storage.objects.update"),
    "storage.objects.rewrite": ("storage.objects.get", "storage.objects.create"),
    "storage.objects.update": ("storage.objects.get", "storage.objects.update"),
}


class Permissions:
    """What the caller may do: all but what a test denies."""

    def __init__(self) -> None:
        self.denied: set[str] = set()

    def check(self, call: Call) -> None:
        """Raise if the caller may not do this."""
        for permission in NEEDED.get(call.method.id, ()):
            self.need(permission)

    def need(self, permission: str) -> None:
        """Raise if the caller lacks a permission."""
        if permission in self.denied:
            kind = "object" if ".objects." in permission else "bucket"
            message = (
                f"tester@sparkles-test.iam.gserviceaccount.com does not have {permission} access to the Google Cloud "
                f"Storage {kind}. Permission '{permission}' denied on resource (or it may not exist)."
            )
            raise ApiError(403, "forbidden", message)
