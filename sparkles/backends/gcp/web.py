"""Web: asks servers that may be anybody's: bounded in time and in size, and no secret goes to another server."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin

import urllib3.exceptions
from requests import PreparedRequest, Response, Session
from requests.exceptions import RequestException
from urllib3.util import Url, parse_url

from sparkles.backends.gcp.wording import innermost, short, unwrapped

#: Seconds to connect, and without a byte.
_PATIENCE = (10.0, 20.0)

#: Seconds that one answer may take altogether.
_ANSWER = 60.0

#: Seconds between tries, and the longest pause that a server is granted.
_PAUSES = (0.5, 1.0, 2.0, 4.0)
_LONGEST = 20.0

#: Answers after which the same may work later.
_LATER = frozenset([429, 500, 502, 503, 504])

_NO_ANSWER = (OSError, RequestException, urllib3.exceptions.HTTPError)

_MOVED = frozenset([301, 302, 303, 307, 308])
_MOVES = 5

#: The most bytes of an answer: more than what describes an image may have.
_LARGEST = 4 << 20


class WebError(Exception):
    """No answer, or none that can be used; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web:
    """Asks by HTTPS; by plain HTTP only servers of this machine, and those whose `host:port` is among `plain`."""

    def __init__(self, *, plain: Collection[str] = (), session: Session | None = None) -> None:
        self._plain = frozenset(plain)
        self._session = session or Session()

    def scheme(self, host: str) -> str:
        """Return how a server, perhaps with its port, is asked."""
        return "http" if host in self._plain or _is_here(parse_url(f"//{host}")) else "https"

    def ask(self, method: str, url: str, *, headers: Mapping[str, str], authorization: str | None) -> Answer:
        """Return what a server answers in the end. Raises WebError if it does not.

        Where it says that what is wanted is elsewhere, that is asked; without the `authorization`.
        """
        with _in_words():
            asked = parse_url(url)
            for _ in range(_MOVES):
                answer = self._patiently(method, url, {**headers, **_for(url, asked, authorization)})
                if answer.status not in _MOVED or "Location" not in answer.headers:
                    return answer
                url = urljoin(url, answer.headers["Location"])
                if parse_url(url).scheme not in ("https", asked.scheme):
                    raise WebError(f"it sends us on to {short(url)}, where anybody could listen")
        raise WebError("it sends us from one place to the next")

    def _patiently(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """Ask again what may work later."""
        for pause in _PAUSES:
            try:
                answer = self._once(method, url, headers)
            except _NO_ANSWER:
                time.sleep(pause)
                continue
            wait = _seconds(answer.headers.get("Retry-After")) or pause
            if answer.status not in _LATER or wait > _LONGEST:
                return answer
            time.sleep(wait)
        return self._once(method, url, headers)

    def _once(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        with self._session.request(
            method, url, headers={"Accept-Encoding": "identity", **headers}, timeout=_PATIENCE,
            allow_redirects=False, stream=True, auth=_as_it_is,
        ) as response:  # fmt: skip
            return Answer(status=response.status_code, headers=response.headers, body=_body(response))


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    """Add no credentials: the library would look for some in the user's .netrc."""
    return request


def _for(url: str, asked: Url, authorization: str | None) -> Mapping[str, str]:
    """Return the authorization if the server is still the one that it is for."""
    here = parse_url(url)
    is_same = (here.scheme, here.host, here.port) == (asked.scheme, asked.host, asked.port)
    return {"Authorization": authorization} if authorization and is_same else {}


def _body(response: Response) -> bytes:
    """Read the answer. Raises WebError if it is too much, or takes too long."""
    body, end = bytearray(), time.monotonic() + _ANSWER
    for piece in response.iter_content(1 << 16):
        body += piece
        if len(body) > _LARGEST:
            raise WebError("its answer is too large to be what was asked for")
        if time.monotonic() > end:
            raise WebError("its answer does not end")
    return bytes(body)


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (*_NO_ANSWER, ValueError) as error:  # addresses that are none are the latter
        raise WebError(unwrapped(short(str(innermost(error))))) from error


def _seconds(text: Any) -> float | None:
    """Return the seconds of a `Retry-After`; None if it is a date, or nothing."""
    return float(text) if text and str(text).isascii() and str(text).isdigit() else None


def _is_here(url: Url) -> bool:
    host = (url.host or "").strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
