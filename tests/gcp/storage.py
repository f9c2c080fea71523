"""A simulated Cloud Storage for Google's unmodified clients: set STORAGE_EMULATOR_HOST to its `url`.

It is ours. What runs against it shows the shape of our requests, which Google's own discovery document judges, and
how our code behaves when requests race, fail and break off. It shows nothing of how Google's service behaves.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from . import batch
from .bucket_methods import BucketMethods
from .content import ContentFolder
from .copying import CopyMethods
from .discovery import Document
from .errors import ApiError
from .object_methods import ObjectMethods
from .objects import Bucket, Holdings
from .permissions import Permissions
from .server import Reply, Request, Server
from .service import Call, Service, Simulated
from .uploads import Uploads

#: Parameters that change what a method does, and that do nothing here: whoever sends one is told.
_NOT_SIMULATED = (
    "destinationKmsKeyName", "dropContextGroups", "filter", "kmsKeyName", "overrideUnlockedRetention",
    "restoreToken", "rewriteToken", "softDeleted",
)  # fmt: skip

#: Beginnings of the names of headers that do the same.
_HEADERS_NOT_SIMULATED = ("if-", "x-goog-encryption", "x-goog-copy-source", "x-goog-if-")

#: What the document asks for and Google's own clients leave out.
_TOLERATED = ("storage.objects.update.acl: is required", "storage.buckets.update.acl: is required")


class StorageSimulator(Simulated):
    """Cloud Storage at a port of this machine, its objects' bytes below a folder."""

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.holdings = Holdings(ContentFolder(folder))
        self.permissions = Permissions()
        self._uploads = Uploads(self.holdings, self.permissions)
        self._service = Service(
            Document.load("storage.v1"),
            {
                **BucketMethods(self.holdings, self.permissions).answers,
                **ObjectMethods(self.holdings).answers,
                **CopyMethods(self.holdings, self.permissions).answers,
                "storage.objects.insert": lambda call: self._uploads.insert(call, self._service),
            },
            guard=self._guard,
            not_simulated=_NOT_SIMULATED,
            tolerated=_TOLERATED,
        )
        self._server = Server(self._answer, port=port)
        self.url = self._server.url

    def make_bucket(self, name: str, project: str) -> None:
        """Make a bucket without a request."""
        self.holdings.buckets[name] = Bucket(name=name, project=project, said={}, created=time.time())

    def copy_bucket(self, name: str, other: str, *, below: str = "") -> None:
        """Put what one bucket holds `below` a name into another, generations and all, without a request."""
        with self.holdings.lock:
            for stored in list(self.holdings.bucket(name).objects.values()):
                if stored.name.startswith(below):
                    content = self.holdings.contents.same(stored.content)
                    self.holdings.bucket(other).put(replace(stored, bucket=other, content=content))

    def limit_changes(self, seconds: float | None = 1.0) -> None:
        """Answer 429 to whoever changes the same object again within so many seconds."""
        self.holdings.change_interval = seconds

    def forget(self) -> None:
        """Disarm, allow everything, and forget all requests. Objects stay."""
        self.faults.clear()
        self.permissions.denied.clear()
        self.limit_changes(None)
        self.requests.clear()
        self.violations.clear()

    def close(self) -> None:
        """Stop. The folder stays."""
        self._server.close()
        self._uploads.close()

    def _guard(self, call: Call) -> None:
        unknown = [name for name in call.request.headers if name.startswith(_HEADERS_NOT_SIMULATED)]
        if unknown:
            raise ApiError(501, "notImplemented", f"the header {unknown[0]} is not simulated")
        self.permissions.check(call)

    def _answer(self, request: Request) -> Reply:
        if request.path == "/batch/storage/v1" and request.verb == "POST":
            return batch.answer(request, self._service.answer)
        if any(name == "upload_id" for name, _ in request.query):
            return self._uploads.go_on(request, self._service)
        return self._service.answer(request)
