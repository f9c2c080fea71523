"""Boot logs: what VMs wrote into the bucket before they removed themselves, because they could not start or go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from sparkles.backends.gcp.storage.bucket import Bucket
from sparkles.backends.gcp.storage.faults import GoneError
from sparkles.paths import Layout

#: Bytes of a log that are read: of its beginning, for the reason in words, and of the whole.
_LINE, _WHOLE = 2000, 1 << 20

#: Characters that are shown.
_SHOWN = 2000


class BootLogs:
    """The boot logs of clusters. Safe to share among threads."""

    def __init__(self, bucket: Callable[[], Bucket], layout: Layout) -> None:
        self._bucket = bucket
        self._layout = layout
        #: Object → its first line: it is written once.
        self._known: dict[str, str] = {}

    def first_lines(self, cluster: str) -> Sequence[str]:
        """Return the first line of each: the reason."""
        names = [stored.name for stored in self._bucket().below(f"{self._layout.boot_logs(cluster)}/")]
        return [self._first_line(name) for name in names]

    def read(self, cluster: str, instance: str) -> str:
        """Return the end of what an instance wrote; empty if it wrote nothing."""
        return self._read(str(self._layout.boot_log(cluster, instance)), limit=_WHOLE)[-_SHOWN:]

    def remove(self, cluster: str) -> None:
        """Remove those of a cluster."""
        bucket = self._bucket()
        bucket.remove(lambda: bucket.below(f"{self._layout.boot_logs(cluster)}/"))

    def _first_line(self, name: str) -> str:
        if name not in self._known:
            self._known[name] = self._read(name, limit=_LINE).partition("\n")[0]
        return self._known[name]

    def _read(self, name: str, *, limit: int) -> str:
        with suppress(GoneError):
            return self._bucket().read_piece(name, start=0, limit=limit).decode(errors="replace")
        return ""
