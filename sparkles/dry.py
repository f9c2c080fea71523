"""Dry: a backend that refuses every write. `diff` and `--dry-run` are given it, and run the same code as `apply`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from sparkles.ports.backend import Backend, Environments
from sparkles.ports.buckets import Buckets
from sparkles.ports.compute import Compute
from sparkles.ports.objects import ObjectStore
from sparkles.ports.state import StateStore

#: What a dry run may call.
_READS = {
    "state": {
        "read",
        "pending",
        "held",
        "is_open",
        "open_indices",
        "counts",
        "columns",
        "rows",
        "tasks",
        "some",
        "jobs",
        "nodes",
        "past_nodes",
        "clusters",
        "tick",
        "close",
        "commit_limit",
        "streams",
        "row_limit",
    },
    "objects": {
        "url",
        "download_line",
        "streams",
        "missing",
        "read_blob",
        "read_manifest",
        "manifests",
        "results",
        "jobs_with_results",
        "read_result",
        "read_log",
        "log_size",
        "read_output",
        "output_sha256",
    },
    "compute": {"lapsed", "elsewhere", "machine", "supplies", "staffing"},
    "buckets": {"find", "missing", "absent"},
    "environments": {"read"},
}


class WriteRefusedError(AssertionError):
    """A dry run tried to write: a defect of sparkles."""


class _ReadOnly:
    def __init__(self, inner: object, allowed: set[str]) -> None:
        self._inner = inner
        self._allowed = allowed

    def __getattr__(self, name: str) -> Any:
        if name not in self._allowed:
            raise WriteRefusedError(f"a dry run called {name}")
        return getattr(self._inner, name)


def read_only(backend: Backend) -> Backend:
    """Return the backend with stores that refuse writes."""
    return replace(
        backend,
        state=cast("StateStore", _ReadOnly(backend.state, _READS["state"])),
        objects=cast("ObjectStore", _ReadOnly(backend.objects, _READS["objects"])),
        compute=cast("Compute", _ReadOnly(backend.compute, _READS["compute"])),
        buckets=backend.buckets and cast("Buckets", _ReadOnly(backend.buckets, _READS["buckets"])),
        environments=backend.environments
        and cast("Environments", _ReadOnly(backend.environments, _READS["environments"])),
    )
