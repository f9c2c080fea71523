"""The stand-in cloud as a whole: it starts, it can be used from a shell, and nothing of it stays behind."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from conftest import ROOT, eventually, lives
from gcp.emulator import MissingError, find_jar

if TYPE_CHECKING:
    from gcp.cloud import Cloud

_STARTS_AND_DIES = """
import os, signal
from gcp.emulator import Emulator
print(Emulator().pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def emulator_jar() -> Path:
    """The emulator is on this machine."""
    try:
        return find_jar()
    except MissingError as error:
        pytest.skip(str(error))


def test_a_test_has_a_datastore_and_a_bucket(cloud: Cloud) -> None:
    from google.cloud import datastore, storage

    with closing(datastore.Client()) as state, closing(storage.Client()) as objects:
        state.put(datastore.Entity(state.key("Task", "a")))
        objects.bucket(cloud.bucket).blob("a").upload_from_string(b"x")

        assert state.get(state.key("Task", "a")) is not None
        assert [blob.name for blob in objects.list_blobs(cloud.bucket)] == ["a"]


def test_the_next_test_finds_nothing_of_it(cloud: Cloud) -> None:
    from google.cloud import datastore, storage

    with closing(datastore.Client()) as state, closing(storage.Client()) as objects:
        assert state.get(state.key("Task", "a")) is None
        assert list(objects.list_blobs(cloud.bucket)) == []
    assert cloud.storage.count("storage.objects.insert") == 0


def test_the_emulator_does_not_outlive_who_started_it(emulator_jar: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-c", _STARTS_AND_DIES], env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert started.returncode == -signal.SIGKILL, started.stderr
    eventually(lambda: not lives(int(started.stdout)))


def test_a_missing_emulator_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARKLES_FIRESTORE_JAR", str(tmp_path / "none.jar"))

    with pytest.raises(MissingError, match=r"apt-get install .*google-cloud-cli-firestore-emulator"):
        find_jar()


def test_a_shell_can_use_it_until_ctrl_c(emulator_jar: Path) -> None:
    up = subprocess.Popen([sys.executable, "-m", "tests.gcp.cloud", "up", "--bucket", "mine"], cwd=ROOT,
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    with up, up.stdout:
        printed = list(iter(up.stdout.readline, "# Ctrl-C ends it and forgets all.\n"))
        exported = dict(shlex.split(line)[1].split("=", 1) for line in printed)
        listed = subprocess.run(
            [sys.executable, "-c", "from google.cloud.storage import Client; print(*Client().list_buckets())"],
            env={**os.environ, **exported}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        up.send_signal(signal.SIGINT)

    assert up.returncode == 0
    assert "mine" in listed.stdout
    compute = exported["COMPUTE_EMULATOR_HOST"]
    assert exported["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"] == f"{compute}/compute/v1/"
    assert (exported["SPARKLES_BACKEND"], exported["SPARKLES_BUCKET"]) == ("gcp", "mine")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(exported["DATASTORE_EMULATOR_HOST"].rpartition(":")[2]))).close()
