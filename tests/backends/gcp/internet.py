"""An internet of one's own: servers with any names, asked as https://NAME by a session whose wire leads here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter


@dataclass(frozen=True)
class Asked:
    """One request that came in."""

    host: str
    method: str
    path: str
    authorization: str | None


#: status, headers, body
Reply = tuple[int, Mapping[str, str], bytes]


@dataclass
class Internet:
    """Each server is a function of the requests to it."""

    servers: dict[str, Callable[[Asked], Reply]] = field(default_factory=dict)
    seen: list[Asked] = field(default_factory=list)
    session: Session = field(default_factory=Session)

    def told(self, host: str) -> set[str | None]:
        """Return what a server was told in secret."""
        return {asked.authorization for asked in self.seen if asked.host == host}


class _Wire(HTTPAdapter):
    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def send(self, request: PreparedRequest, **options: Any) -> Response:  # type: ignore[override]
        parts = urlsplit(str(request.url))
        request.headers["Host"] = parts.netloc
        rest = str(request.url).removeprefix(f"{parts.scheme}://{parts.netloc}")
        request.url = f"http://127.0.0.1:{self._port}{rest}"
        return super().send(request, **options)


@contextmanager
def an_internet() -> Iterator[Internet]:
    internet = Internet()

    class Server(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = Asked(self.headers["Host"], self.command, self.path, self.headers.get("Authorization"))
            internet.seen.append(asked)
            server = internet.servers.get(asked.host, lambda _: (502, {}, b""))
            status, headers, body = server(asked)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name that the library calls

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Whoever asked may hang up."""

    with Quiet(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        internet.session.mount("https://", _Wire(server.server_port))
        try:
            yield internet
        finally:
            internet.session.close()
            server.shutdown()
