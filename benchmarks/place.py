"""Place: the folders that runs are made in, each far from the others on the disk.

ext4 does not reuse an inode for minutes after a file was removed, and looks at each such one whenever a file is made
nearby. So nothing is removed before the end, and whoever removes files, as sparkles does after each task, must not make
the next contestant's slower: on ext4 the attribute T of a folder spreads what is in it over the disk.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def place(folder: Path | None) -> Iterator[Path]:
    """Make a folder for a whole benchmark, in `folder` or where temporary files are; remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=folder) as name:
        subprocess.run(["chattr", "+T", name], capture_output=True, check=False)  # other file systems have no T
        yield Path(name)


def fresh(base: Path) -> Path:
    """Make an empty folder for one run."""
    return Path(tempfile.mkdtemp(dir=base))
