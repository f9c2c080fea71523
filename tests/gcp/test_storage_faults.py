"""What a test can make the simulator do, and what the simulator keeps for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import requests

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from gcp.discovery import Document
from gcp.server import Request
from gcp.service import Service
from google.api_core import exceptions

if TYPE_CHECKING:
    from gcp.storage import StorageSimulator
    from google.cloud.storage import Bucket

Ask = Callable[..., Any]


def test_a_request_that_fails_some_times_and_then_does_not(storage: StorageSimulator, remote: Bucket) -> None:
    storage.faults.fail("storage.objects.insert", 429)
    storage.faults.fail("storage.objects.insert", 503)

    remote.blob("a").upload_from_string(b"x", if_generation_match=0)

    assert storage.faults.armed == 0
    assert [each.status for each in storage.requests] == [429, 503, 200]


def test_a_reset_has_no_effect(storage: StorageSimulator, remote: Bucket) -> None:
    storage.faults.reset("storage.objects.insert")

    with pytest.raises(requests.exceptions.ConnectionError):
        remote.blob("a").upload_from_string(b"x", retry=None)

    assert not remote.blob("a").exists()


def test_a_lost_reply_is_one_of_what_was_done(storage: StorageSimulator, remote: Bucket) -> None:
    storage.faults.lose_reply("storage.objects.insert")

    with pytest.raises(exceptions.PreconditionFailed):  # the client tries again, and finds its own object
        remote.blob("a").upload_from_string(b"x", if_generation_match=0)

    assert remote.blob("a").exists()
    assert storage.count("storage.objects.insert", status=0) == 1


def test_content_that_is_lost_on_its_way_is_sent_again(storage: StorageSimulator, remote: Bucket) -> None:
    remote.blob("a").upload_from_string(b"x")
    storage.faults.lose_reply("storage.objects.get", part="media")

    assert remote.blob("a").download_as_bytes() == b"x"
    assert storage.count("storage.objects.get", part="media") == 2


def test_a_fault_strikes_the_part_that_it_is_for(storage: StorageSimulator, remote: Bucket) -> None:
    remote.blob("a").upload_from_string(b"x")
    storage.faults.fail("storage.objects.get", 500, part="media")

    remote.blob("a").reload(retry=None)
    with pytest.raises(exceptions.InternalServerError):
        remote.blob("a").download_as_bytes(retry=None)


@pytest.mark.parametrize(
    ("permission", "act"),
    [
        ("storage.objects.create", lambda remote: remote.blob("new").upload_from_string(b"")),
        ("storage.objects.delete", lambda remote: remote.blob("a").upload_from_string(b"")),
        ("storage.objects.delete", lambda remote: remote.blob("a").delete()),
        ("storage.objects.get", lambda remote: remote.blob("a").download_as_bytes()),
        ("storage.objects.list", lambda remote: list(remote.list_blobs())),
        ("storage.buckets.get", lambda remote: remote.reload()),
    ],
)
def test_who_lacks_a_permission_is_told_which(
    storage: StorageSimulator, remote: Bucket, permission: str, act: Callable[[Bucket], Any]
) -> None:
    remote.blob("a").upload_from_string(b"x")
    storage.permissions.denied.add(permission)

    with pytest.raises(exceptions.Forbidden, match=f"Permission '{permission}' denied"):
        act(remote)


def test_requests_are_kept(storage: StorageSimulator, remote: Bucket) -> None:
    remote.blob("a/b").upload_from_string(b"x", if_generation_match=0)
    remote.blob("a/b").download_as_bytes()
    remote.blob("none").exists()

    assert [(each.method, each.name, each.status, each.part) for each in storage.requests] == [
        ("storage.objects.insert", "a/b", 200, ""),
        ("storage.objects.get", "a/b", 200, "media"),
        ("storage.objects.get", "none", 404, ""),
    ]
    assert storage.requests[0].values["ifGenerationMatch"] == "0"


def test_a_request_that_does_not_fit_is_refused_and_kept(storage: StorageSimulator, ask: Ask, bucket: str) -> None:
    answer = ask("GET", f"/storage/v1/b/{bucket}/o?maxResult=2")

    assert answer.status == 400
    assert answer.json["error"]["message"] == "storage.objects.list: maxResult: there is no such parameter"
    assert storage.violations == ["storage.objects.list: maxResult: there is no such parameter"]
    storage.violations.clear()


def test_an_answer_that_does_not_fit_is_kept() -> None:
    service = Service(Document.load("storage.v1"), {"storage.objects.get": lambda call: {"name": 1}})

    service.answer(Request(verb="GET", path="/storage/v1/b/k/o/a"))

    assert service.violations == ["storage.objects.get: answer.name: 1 is not a string"]


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/storage/v1/b/{}/objects", 404),
        ("GET", "/storage/v1/b/{}/o/a/acl", 501),
        ("GET", "/storage/v1/b/{}/o?softDeleted=true", 501),
        ("GET", "/storage/v1/b/{}/o?softDeleted=false", 200),
        ("GET", "/storage/v1/b/{}/o?fields=items(", 400),
    ],
)
def test_what_is_unknown_and_what_is_not_simulated_are_told_apart(
    storage: StorageSimulator, ask: Ask, bucket: str, verb: str, path: str, status: int
) -> None:
    assert ask(verb, path.format(bucket)).status == status
    assert bool(storage.violations) == (status == 404)
    storage.violations.clear()


@pytest.mark.parametrize("header", ["If_Match", "If_None_Match", "X_Goog_Encryption_Key"])
def test_a_header_that_is_not_simulated_is_not_ignored(ask: Ask, bucket: str, header: str) -> None:
    assert ask("GET", f"/storage/v1/b/{bucket}", **{header: "x"}).status == 501
