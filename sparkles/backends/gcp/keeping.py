"""What a bucket keeps that may outlive its use: blobs, what VMs wrote that could not start, and probes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from sparkles.backends.gcp.storage.bucket import Bucket, Stored
from sparkles.paths import Layout
from sparkles.ports.keeping import Kept


class BucketKeeper:
    """Keeper of a bucket."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._layout = Layout(Path(prefix))

    def kept(self) -> Iterator[Kept]:
        """See Keeper."""
        yield from self._below(self._layout.blobs, "blob")
        yield from self._below(self._layout.all_boot_logs, "boot log")
        yield from self._below(self._layout.probes, "probe")

    def _below(self, folder: Path, kind: str) -> Iterator[Kept]:
        for stored in self._bucket.below(f"{folder}/"):
            name = stored.name.removeprefix(f"{folder}/")
            yield Kept(kind=kind, name=name, age=time.time() - stored.used, size=stored.size, place=stored)

    def drop(self, things: Sequence[Kept]) -> None:
        """See Keeper."""
        stored: list[Stored] = [thing.place for thing in things]
        self._bucket.threads.each(self._bucket.delete_unused, stored)
