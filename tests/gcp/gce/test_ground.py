"""Where VMs that are containers stand: nothing stays there, however a run of tests ends."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from gcp.gce import ground

TESTS = Path(__file__).resolve().parents[2]


_KILLED = """
from gcp.gce.ground import Ground
ground = Ground()
print(ground.start("left", 2, ["sleep", "86400"]), flush=True)
input()
"""


@pytest.fixture
def left() -> str:
    """The id of a container whose run was killed."""
    try:
        ground.Ground().close()
    except ground.MissingError as error:
        pytest.skip(str(error))
    words = [sys.executable, "-c", _KILLED]
    with subprocess.Popen(words, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        container = process.stdout.readline().strip()
        process.kill()
    return container


def test_what_a_run_left_behind_that_was_killed_is_removed_by_the_next(left: str) -> None:
    with closing(ground.Ground()) as found:
        containers = {each["Id"] for each in found.engine.containers(all=True)}

    assert left not in containers


def test_nothing_stays_when_it_is_closed(left: str) -> None:
    found = ground.Ground()
    container = found.start("vm", 3, ["sleep", "86400"])

    found.close()

    with closing(ground.docker.from_env().api) as engine:
        assert container not in {each["Id"] for each in engine.containers(all=True)}
        assert ground.NAME not in {each["Name"] for each in engine.networks()}
    assert ground.METADATA not in subprocess.run(["ip", "address"], capture_output=True, text=True, check=True).stdout
