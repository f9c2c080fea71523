"""Where a user's jobs are kept in a test: at home, or in the stand-in cloud. Looks into it from outside."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkles.backends.local.state import SqliteState
from sparkles.model import Node

#: The protocol's times in the stand-in cloud, which is near and costs nothing.
_QUICK = {"poll": 0.05, "longest_poll": 0.5, "commit_gap": 0.02, "heal": 2.0, "look": 1.0,
          "idle_look": 5.0, "sweep": 3.0}  # fmt: skip


class AtHome:
    """State in SQLite, files in a directory."""

    name = "local"
    env: Mapping[str, str] = {}
    timing: Mapping[str, float] = {}

    def nodes(self, home: Path) -> Sequence[Node]:
        """Return the nodes that are not gone."""
        path = home / "state.db"
        if not path.exists():
            return []
        with closing(SqliteState(path)) as state:
            return state.nodes()

    def file(self, home: Path, name: str) -> bytes:
        """Return the content of an object."""
        return (home / "objects" / name).read_bytes()


@dataclass
class InCloud:
    """State in Google's emulator, files in the simulator: a bucket, and so a namespace, of its own."""

    cloud: Any
    name: str = "gcp"
    timing: Mapping[str, float] = field(default_factory=lambda: _QUICK)

    @property
    def env(self) -> Mapping[str, str]:
        return self.cloud.environment

    def nodes(self, _: Path) -> Sequence[Node]:
        """Return the nodes that are not gone."""
        from sparkles.backends.gcp.backend import namespace_of
        from sparkles.backends.gcp.datastore import Datastore
        from sparkles.backends.gcp.state import DatastoreState

        os.environ["DATASTORE_EMULATOR_HOST"] = self.cloud.emulator.host
        namespace = namespace_of(self.cloud.bucket)
        store = Datastore(project=self.cloud.project, database="(default)", namespace=namespace, patience=10.0)
        with closing(DatastoreState(store)) as state:
            return state.nodes()

    def file(self, _: Path, name: str) -> bytes:
        """Return the content of an object."""
        from sparkles.backends.gcp.client import storage_client

        os.environ["STORAGE_EMULATOR_HOST"] = self.cloud.storage.url
        content: bytes = storage_client(self.cloud.project).bucket(self.cloud.bucket).blob(name).download_as_bytes()
        return content
