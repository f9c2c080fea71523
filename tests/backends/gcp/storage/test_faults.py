"""Faults: what stands against a request is said in words that mend it, and in a bounded time."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from sparkles.errors import BackendError, RequestError

#: What each part of a store is asked, and the right that it needs.
CALLS = [
    pytest.param("storage.objects.get", lambda objects, _: objects.read_manifest("j", 1), id="read"),
    pytest.param("storage.objects.get", lambda objects, _: objects.missing(["0" * 64]), id="ask"),
    pytest.param("storage.objects.list", lambda objects, _: objects.results("j"), id="list"),
    pytest.param("storage.objects.create", lambda objects, _: objects.write_manifest("j", 1, "x"), id="write"),
    pytest.param("storage.objects.create", lambda objects, path: list(objects.put_blobs(a_file(path))), id="upload"),
    pytest.param("storage.objects.delete", lambda objects, _: removed(objects), id="delete"),
]


def a_file(path: Path):
    (path / "file").write_bytes(b"x")
    return [(path / "file", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")]


def removed(objects) -> None:
    objects.write_manifest("j", 1, "x")
    objects.remove_records("j")


@pytest.mark.parametrize(("right", "call"), CALLS)
def test_a_right_that_is_missing_is_named_with_the_command_that_gives_it(
    objects, storage, bucket, tmp_path, right, call
):
    storage.permissions.denied.add(right)

    with pytest.raises(BackendError) as raised:
        call(objects, tmp_path)

    assert right in str(raised.value)
    assert f"gcloud storage buckets add-iam-policy-binding gs://{bucket} --member=" in str(raised.value)
    assert "--role=roles/storage.objectAdmin" in str(raised.value)


@pytest.mark.parametrize(("right", "call"), CALLS)
def test_a_bucket_that_is_not_there_is_named_with_the_command_that_makes_it(
    open_objects, tmp_path, right, call
) -> None:
    objects = open_objects(bucket="no-such-bucket")

    with pytest.raises(
        BackendError, match=r"there is no bucket gs://no-such-bucket; make it with 'gcloud storage buck"
    ):
        call(objects, tmp_path)


def test_who_is_not_logged_in_is_told_how(objects, storage) -> None:
    storage.faults.fail("storage.objects.get", 401, times=9)

    with pytest.raises(BackendError, match="'gcloud auth application-default login'"):
        objects.read_manifest("j", 1)


def test_a_name_that_no_bucket_can_have_is_a_wrong_request(open_objects) -> None:
    with pytest.raises((RequestError, BackendError)):
        open_objects(bucket="No Bucket").read_manifest("j", 1)


def test_an_error_is_one_line_without_the_address_of_the_request(objects, storage) -> None:
    storage.faults.fail("storage.objects.get", 400, times=9)

    with pytest.raises(BackendError) as raised:
        objects.read_manifest("j", 1)

    assert "http" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_service_is_asked_again(objects, storage, status) -> None:
    storage.faults.fail("storage.objects.insert", status)

    objects.write_manifest("j", 1, "text")

    assert objects.read_manifest("j", 1) == "text"


@pytest.mark.parametrize(("right", "call"), CALLS)
def test_nobody_is_asked_for_ever(open_objects, storage, bucket, tmp_path, right, call) -> None:
    objects = open_objects(patience=0.3)
    method = right.replace("create", "insert")
    storage.faults.fail(method, 503, times=1_000)
    began = time.monotonic()

    with pytest.raises(BackendError, match=f"gs://{bucket} cannot be reached: "):
        call(objects, tmp_path)

    assert time.monotonic() - began < 20


def test_a_service_that_is_not_there_is_said_to_be_out_of_reach(open_objects, monkeypatch, tmp_path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")

    with pytest.raises(BackendError, match=r"gs://bucket-\w+ cannot be reached: .*refused"):
        open_objects(patience=0.3).read_manifest("j", 1)


def test_a_service_that_never_answers_is_given_up(open_objects, monkeypatch) -> None:
    monkeypatch.setattr("sparkles.backends.gcp.storage.bucket._TIME_LIMITS", (0.2, 0.2))
    with closing(socket.create_server(("127.0.0.1", 0), backlog=50)) as silent:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(BackendError, match=r"cannot be reached: .*timed out"):
            open_objects(patience=0.3).read_manifest("j", 1)


# The client


def test_with_an_emulator_no_token_is_looked_for_or_sent(storage, monkeypatch, tmp_path) -> None:
    from google.auth.credentials import AnonymousCredentials

    from sparkles.backends.gcp.storage.client import storage_client

    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "not there"))

    assert isinstance(storage_client()._credentials, AnonymousCredentials)


def test_without_credentials_the_error_says_how_to_get_them(monkeypatch, tmp_path) -> None:
    from sparkles.backends.gcp.storage.client import storage_client

    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "not there"))

    with pytest.raises(BackendError, match="sign in with 'gcloud auth application-default login'"):
        storage_client("p")


@pytest.mark.parametrize(
    ("endpoint", "is_trusted"),
    [
        ("https://storage.googleapis.com", True),
        ("https://storage.mtls.googleapis.com", True),
        ("https://private-p.p.googleapis.com:443/", True),
        ("http://localhost:4443", True),
        ("http://127.0.0.1:4443", True),
        ("http://[::1]:4443", True),
        ("http://storage.googleapis.com", False),
        ("https://googleapis.com.evil.example", False),
        ("https://evilgoogleapis.com", False),
        ("https://storage.googleapis.com@evil.example", False),
        ("http://192.168.0.7:4443", False),
        ("", False),
    ],
)
def test_tokens_go_to_google_and_to_this_machine_only(endpoint, is_trusted) -> None:
    from sparkles.backends.gcp.storage.client import require_google

    if is_trusted:
        require_google(endpoint)
    else:
        with pytest.raises(RequestError, match="credentials are sent to Google only"):
            require_google(endpoint)


def test_credentials_are_not_sent_to_an_endpoint_that_the_environment_names(monkeypatch) -> None:
    import google.auth
    from google.oauth2.credentials import Credentials

    from sparkles.backends.gcp.storage.client import storage_client

    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", "https://storage.evil.example")
    monkeypatch.setattr(google.auth, "default", lambda *_, **__: (Credentials("token"), "p"))

    with pytest.raises(RequestError, match=r"https://storage\.evil\.example: expected https"):
        storage_client("p")


def test_nobody_asks_what_a_bucket_is(objects, storage) -> None:
    """It needs a right that nodes may lack."""
    objects.write_manifest("j", 1, "text")
    objects.read_manifest("j", 1)
    objects.results("j")

    for thread in threading.enumerate():  # the library would ask beside these
        if "_fetch_background" in thread.name:
            thread.join()
    assert [seen.method for seen in storage.requests if "buckets" in seen.method] == []


def test_nothing_of_google_is_loaded_by_the_rest() -> None:
    script = "import sys, sparkles.cli, sparkles.backends.registry; print([m for m in sys.modules if 'google' in m])"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
