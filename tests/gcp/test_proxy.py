"""The bad network: it must do exactly what it is told, or the tests that use it prove nothing."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from gcp.proxy import Fault, Proxy
from gcp.server import Reply, Request, Server

if TYPE_CHECKING:
    from gcp.emulator import Emulator
    from google.cloud.datastore import Client

BROKEN = (ConnectionError, http.client.HTTPException)


@pytest.fixture
def done() -> list[str]:
    """What reached the server."""
    return []


@pytest.fixture
def proxy(done: list[str]) -> Iterator[Proxy]:
    def answer(request: Request) -> Reply:
        done.append(request.path)
        return Reply(body=request.path.encode())

    with closing(Server(answer)) as server, closing(Proxy(server.url)) as proxy:
        yield proxy


@pytest.fixture
def connection(proxy: Proxy) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(proxy.host, timeout=10)) as connection:
        yield connection


@pytest.fixture
def get(connection: http.client.HTTPConnection) -> Callable[[str], bytes]:
    def get(path: str) -> bytes:
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        except BaseException:
            connection.close()
            raise

    return get


def test_a_good_network_forwards_everything(proxy: Proxy, get: Callable[[str], bytes]) -> None:
    assert [get(f"/{n}") for n in range(3)] == [b"/0", b"/1", b"/2"]
    assert proxy.requests == 3


def test_a_request_that_is_reset_before_it_arrives_has_no_effect(
    proxy: Proxy, get: Callable[[str], bytes], done: list[str]
) -> None:
    proxy.arm(Fault.BEFORE, skip=1)

    get("/first")
    with pytest.raises(ConnectionResetError):
        get("/second")
    get("/third")

    assert done == ["/first", "/third"]
    assert proxy.armed == 0


def test_a_reply_that_is_lost_is_one_of_a_request_that_was_done(
    proxy: Proxy, get: Callable[[str], bytes], done: list[str]
) -> None:
    get("/first")
    proxy.arm(Fault.AFTER)

    with pytest.raises(ConnectionResetError):
        get("/second")
    get("/third")

    assert done == ["/first", "/second", "/third"]


def test_who_is_refused_may_come_back_later(proxy: Proxy, get: Callable[[str], bytes]) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        get("/a")

    proxy.pass_all()

    assert get("/a") == b"/a"


@pytest.mark.parametrize(("how", "seen"), [("reset", ConnectionResetError), ("cut", http.client.RemoteDisconnected)])
def test_connections_that_are_can_be_broken(
    proxy: Proxy, connection: http.client.HTTPConnection, how: str, seen: type[Exception]
) -> None:
    connection.request("GET", "/a")
    connection.getresponse().read()
    stream = connection.sock.makefile("rb")

    getattr(proxy, how)()

    with closing(stream), pytest.raises(seen):
        hears_nothing(stream.read(1))


def hears_nothing(read: bytes) -> None:
    """The other end hung up: say so as http.client does."""
    assert read == b""
    raise http.client.RemoteDisconnected


def test_a_black_hole_swallows_and_says_nothing(proxy: Proxy, done: list[str]) -> None:
    proxy.blackhole()
    with closing(http.client.HTTPConnection(proxy.host, timeout=0.2)) as connection:
        connection.request("GET", "/a")

        with pytest.raises(TimeoutError):
            connection.getresponse()

    assert done == []


def test_what_lost_bytes_in_a_black_hole_does_not_wait_for_ever(
    proxy: Proxy, connection: http.client.HTTPConnection, get: Callable[[str], bytes]
) -> None:
    proxy.blackhole()
    connection.request("GET", "/a")
    time.sleep(0.1)

    proxy.pass_all()

    with pytest.raises(BROKEN):
        connection.getresponse()
    connection.close()
    assert get("/b") == b"/b"


def test_a_slow_network_is_slow(proxy: Proxy, get: Callable[[str], bytes]) -> None:
    proxy.delay(0.1)

    before = time.monotonic()
    get("/a")

    assert time.monotonic() - before >= 0.2  # there and back


def test_who_comes_while_the_server_is_away_is_told() -> None:
    with closing(Server(lambda request: Reply())) as away:
        pass

    with closing(Proxy(away.url)) as proxy:
        connection = http.client.HTTPConnection(proxy.host, timeout=10)
        with closing(connection), pytest.raises(BROKEN):  # when it connects, or a moment later
            request(connection)


def request(connection: http.client.HTTPConnection) -> bytes:
    connection.request("GET", "/")
    return connection.getresponse().read()


class TestGrpc:
    """The same with HTTP/2, where bytes of other kinds go to and fro between requests."""

    @pytest.fixture
    def proxy(self, datastore_emulator: Emulator) -> Iterator[Proxy]:
        with closing(Proxy(datastore_emulator.host)) as proxy:
            yield proxy
        datastore_emulator.reset()

    @pytest.fixture
    def client(self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
        from google.cloud.datastore import Client

        monkeypatch.setenv("DATASTORE_EMULATOR_HOST", proxy.host)
        with closing(Client(project="sparkles-test")) as client:
            yield client

    @pytest.mark.parametrize(("fault", "written"), [(Fault.BEFORE, False), (Fault.AFTER, True)])
    def test_a_commit_whose_outcome_is_unknown(self, proxy: Proxy, client: Client, fault: Fault, written: bool) -> None:
        from google.api_core.exceptions import ServiceUnavailable
        from google.cloud.datastore import Entity

        client.put(Entity(client.key("Task", "first")))
        proxy.arm(fault)

        with pytest.raises(ServiceUnavailable):
            client.put(Entity(client.key("Task", "second")))

        assert proxy.armed == 0
        assert (client.get(client.key("Task", "second")) is not None) == written

    def test_each_call_is_one_request(self, proxy: Proxy, client: Client) -> None:
        from google.cloud.datastore import Entity

        client.put(Entity(client.key("Task", "first")))
        client.get(client.key("Task", "first"))

        assert proxy.requests == 2
