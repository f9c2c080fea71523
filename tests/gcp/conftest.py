"""What the tests of the stand-in cloud share: Google's client on the simulator, and bare requests to it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gcp.storage import StorageSimulator
    from google.cloud.storage import Bucket, Client


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@pytest.fixture
def client(storage: StorageSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Google's client, unmodified. It asks for what it is told to alone: newer ones describe buckets, for traces."""
    from google.cloud.storage import Client

    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    with closing(Client(project="sparkles-test")) as client:
        yield client


@pytest.fixture
def remote(client: Client, bucket: str) -> Bucket:
    """An empty bucket, as Google's client has it."""
    return client.bucket(bucket)


@pytest.fixture
def ask(storage: StorageSimulator) -> Iterator[Callable[..., Answer]]:
    """Sends one request over a connection that stays open: verb, path, body, headers."""
    with closing(http.client.HTTPConnection(storage.url.removeprefix("http://"), timeout=30)) as connection:

        def ask(verb: str, path: str, body: Any = None, **headers: str) -> Answer:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            content = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
            connection.request(verb, path.removeprefix(storage.url), content, sent)
            reply = connection.getresponse()
            return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())

        yield ask
