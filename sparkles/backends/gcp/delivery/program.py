"""Program: this very installation as an archive, which nodes run. Client and worker are never of two versions."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from functools import cached_property
from pathlib import Path

from sparkles.backends.gcp.delivery.archive import archive
from sparkles.resources import shipped


class ProgramArchive:
    """The archive of the program. To make it takes less than to find out whether it has changed."""

    @property
    def sha256(self) -> str:
        """Return its sha256: the version of the program."""
        return self._made[1]

    @cached_property
    def path(self) -> Path:
        """Return a file with it, which is there as long as this is."""
        folder = tempfile.mkdtemp(prefix="sparkles-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder, "program.zip")
        path.write_bytes(self._made[0])
        return path

    @cached_property
    def _made(self) -> tuple[bytes, str]:
        return archive(shipped())
