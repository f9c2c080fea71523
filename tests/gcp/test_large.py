"""Large objects: the simulator keeps no object in memory, so a client's memory is what a test of memory measures.

One GiB; SPARKLES_TEST_LARGE sets another number of bytes.
"""

from __future__ import annotations

import filecmp
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from conftest import ROOT

if TYPE_CHECKING:
    from google.cloud.storage import Client

SIZE = int(os.environ.get("SPARKLES_TEST_LARGE", 1 << 30))
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
def simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
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


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file no two blocks of which are alike."""
    path, block = tmp_path / "large", os.urandom(BLOCK - 8)
    with path.open("wb") as file:
        for number in range(SIZE // BLOCK):
            file.write(number.to_bytes(8, "big") + block)
    return path


def test_a_large_object_goes_through_a_small_memory(simulator: int, large: Path, tmp_path: Path) -> None:
    from google.cloud.storage import Client

    before = peak_memory(simulator)
    with_client(Client(project="sparkles-test"), large, tmp_path / "back")

    assert filecmp.cmp(large, tmp_path / "back", shallow=False)
    assert peak_memory(simulator) - before < 64 << 20


def with_client(client: Client, large: Path, back: Path) -> None:
    blob = client.bucket("large").blob("large", chunk_size=32 << 20)
    blob.upload_from_filename(large, if_generation_match=0)
    client.bucket("large").blob("large").download_to_filename(back)
    client.close()


def peak_memory(process: int) -> int:
    """Return how many bytes of memory a process ever had."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024
