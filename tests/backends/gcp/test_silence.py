"""A service that does not answer: whoever waits for it is told so, once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from types import SimpleNamespace

import pytest
from gcp.children import free_port
from requests.exceptions import ConnectTimeout

from sparkles.backends.gcp import silence
from sparkles.backends.gcp.datastore import Datastore
from sparkles.backends.gcp.silence import Silence
from sparkles.backends.gcp.storage.bucket import Bucket
from sparkles.backends.gcp.storage.client import storage_client
from sparkles.backends.gcp.vms.clients import ComputeClients
from sparkles.backends.gcp.vms.groups import Groups
from sparkles.errors import UnreachableError

WORDS = "Cloud Storage does not answer; trying again …"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING)
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("sparkles")]


@pytest.fixture
def note(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    service = Silence("Cloud Storage")

    def note(at: float, error: Exception | None = None) -> None:
        monkeypatch.setattr(silence, "time", SimpleNamespace(monotonic=lambda: at))
        service.note(error or ConnectionError())

    return note


def test_errors_that_pass_in_a_moment_are_not_worth_a_word(note, said):
    for at in (0.0, 0.5, 1.5, 2.9):
        note(at)

    assert said() == []


def test_a_service_that_does_not_answer_for_seconds_is_spoken_of_once(note, said):
    for at in (0.0, 1.5, 5.0, 13.0, 40.0):
        note(at)

    assert said() == [WORDS]


def test_who_has_waited_for_an_answer_that_did_not_come_hears_of_it_at_once(note, said):
    note(0.0, ConnectTimeout())

    assert said() == [WORDS]


def test_another_silence_is_spoken_of_again(note, said):
    for at in (0.0, 5.0, 1000.0, 1001.0, 1005.0):
        note(at)

    assert said() == [WORDS, WORDS]


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> str:
    """Where nothing listens; errors are worth a word after a tenth of a second there."""
    for name in ("DATASTORE", "STORAGE", "COMPUTE"):
        monkeypatch.setattr(silence, name, Silence(name.lower()))
    monkeypatch.setattr(silence, "_PATIENCE", 0.1)
    return f"127.0.0.1:{free_port()}"


def test_datastore_that_refuses_connections_is_spoken_of(closed, said, monkeypatch):
    monkeypatch.setenv("DATASTORE_EMULATOR_HOST", closed)

    with (
        closing(Datastore(project="p", database="(default)", namespace="n", patience=1.5)) as store,
        pytest.raises(UnreachableError),
    ):
        list(store.lookup([("Job", "j")]))

    assert said() == ["datastore does not answer; trying again …"]


def test_cloud_storage_that_refuses_connections_is_spoken_of(closed, said, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{closed}")
    bucket = Bucket(storage_client("p"), "b", patience=2.0)

    for ask in (lambda: bucket.look("o"), lambda: bucket.write("o", b"")):
        with pytest.raises(UnreachableError):
            ask()

    assert said() == ["storage does not answer; trying again …"]


def test_compute_engine_that_refuses_connections_is_spoken_of(closed, said, monkeypatch):
    monkeypatch.setenv("COMPUTE_EMULATOR_HOST", f"http://{closed}")
    groups = Groups(ComputeClients(), project="p", region="r", patience=2.0)

    with pytest.raises(UnreachableError):
        groups.find("g")

    assert said() == ["compute does not answer; trying again …"]
