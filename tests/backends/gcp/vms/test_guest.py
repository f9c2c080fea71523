"""Guest: the notice that a machine is taken away, from metadata servers good and bad."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from gcp.server import Reply, Request, Server

from sparkles.backends.gcp.vms.guest import Guest


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Request]]]:
    """Gives a metadata server these replies, one for each question; returns what it is asked."""
    servers: list[Server] = []
    asked: list[Request] = []

    def serve(*replies: Reply) -> list[Request]:
        left = iter(replies)

        def answer(request: Request) -> Reply:
            asked.append(request)
            return next(left)

        servers.append(Server(answer))
        monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{servers[-1].port}")
        return asked

    yield serve
    for server in servers:
        server.close()


def said(text: str, **headers: str) -> Reply:
    return Reply(headers=headers, body=text.encode())


def pauses_until_notice() -> list[float]:
    """Wait for the notice; return the pauses between the questions."""
    noticed, pauses = threading.Event(), list[float]()
    Guest(sleep=pauses.append).watch(noticed.set)
    assert noticed.wait(30)
    return pauses


def test_a_change_is_waited_for_without_a_pause(serve):
    asked = serve(said("FALSE", ETag="1"), said("FALSE", ETag="1"), said("TRUE", ETag="2"))

    assert pauses_until_notice() == []
    assert [dict(each.query).get("last_etag") for each in asked] == [None, "1", "1"]


def test_a_server_that_cannot_tell_of_a_change_is_asked_now_and_then(serve):
    asked = serve(said("FALSE"), said("FALSE"), said("TRUE"))

    assert len(pauses_until_notice()) == 2
    assert [each.query for each in asked] == [(), (), ()]


def test_one_that_does_not_know_is_asked_now_and_then(serve):
    serve(Reply(status=404), said("FALSE", ETag="1"), said("TRUE", ETag="2"))

    assert len(pauses_until_notice()) == 1
