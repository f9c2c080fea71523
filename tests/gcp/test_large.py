"""Large objects: the simulator keeps no object in memory, so a client's memory is what a test of memory measures.

Half a GiB; SPARKLES_TEST_LARGE sets another number of bytes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from conftest import ROOT

SIZE = int(os.environ.get("SPARKLES_TEST_LARGE", 1 << 29))
BLOCK = 1 << 20

_SERVE = """
import pathlib, sys
from gcp.storage import StorageSimulator
storage = StorageSimulator(pathlib.Path(sys.argv[1]))
storage.make_bucket("large", "sparkles-test")
print(storage.url, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def simulator_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A simulator in a process of its own; its number."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to measure memory")
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, tmp_path / "objects"], env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", process.stdout.readline().strip())
        yield process.pid
        process.stdin.close()


class Pattern:
    """Bytes of which no two blocks are alike, and that lie nowhere: the disk has enough to do with the object."""

    _REST = os.urandom(BLOCK - 8)

    def __init__(self) -> None:
        self.place, self._block = 0, b""

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        read = bytearray()
        while len(read) < size and self.place < SIZE:
            number, start = divmod(self.place, BLOCK)
            if not start:
                self._block = number.to_bytes(8, "big") + self._REST
            piece = self._block[start : start + size - len(read)]
            read += piece
            self.place += len(piece)
        return bytes(read)

    def write(self, piece: bytes) -> int:
        """Take the next bytes, which must be these."""
        assert piece == self.read(len(piece))
        return len(piece)

    def tell(self) -> int:
        return self.place


def test_a_large_object_goes_through_a_small_memory(simulator_process: int) -> None:
    from google.cloud.storage import Client

    before, received = peak_memory(simulator_process), Pattern()
    with closing(Client(project="sparkles-test")) as client:
        bucket = client.bucket("large")
        bucket.blob("large", chunk_size=32 << 20).upload_from_file(Pattern(), size=SIZE, if_generation_match=0)
        bucket.blob("large").download_to_file(received)

    assert received.place == SIZE
    assert peak_memory(simulator_process) - before < 64 << 20


def peak_memory(process: int) -> int:
    """Return how many bytes of memory a process ever had."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024
