"""Pins: what the names of images meant when somebody last asked, remembered for a day.

For the image of the worker alone. Nodes whose worker runs in another image are other nodes: when the stock image is
renewed, that should not cost everybody a new machine for each job at once; and nobody waits for a registry.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from sparkles.backends.replacing import replacing
from sparkles.ports.images import Images

#: Seconds for which a pin holds.
_DAY = 86_400.0


class Pins:
    """Pins names as `images` does. The memory is a file; that it is missing or broken is no reason to fail."""

    def __init__(self, images: Images, path: Path, *, write: bool, now: Callable[[], float] = time.time) -> None:
        self._images = images
        self._path = path
        self._write = write
        self._now = now

    def pin(self, name: str, *, architecture: str | None = None) -> str:
        """See Images."""
        key, known = f"{name} {architecture}", self._read()
        if key in known and 0 <= self._now() - known[key][1] < _DAY:
            return known[key][0]
        pinned = self._images.pin(name, architecture=architecture)
        if self._write:
            self._keep({**known, key: (pinned, self._now())})
        return pinned

    def _read(self) -> Mapping[str, tuple[str, float]]:
        """Return (name and architecture) → (pinned, when it was)."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(key): (str(pinned), float(since)) for key, (pinned, since) in found.items()}
        return {}

    def _keep(self, known: Mapping[str, tuple[str, float]]) -> None:
        fresh = {key: each for key, each in known.items() if self._now() - each[1] < _DAY}
        with suppress(OSError), replacing(self._path) as path:
            path.write_text(json.dumps(fresh), encoding="utf-8")
