"""Registry auth: what a registry wants to be shown, and who is told what.

Google's registries are shown a token of the user's Google account. All others are asked as anybody: nodes have nothing
else to show them, so an image that this machine could have with a password is none that a node can run.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlencode

from requests.utils import parse_dict_header
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from sparkles.backends.gcp.web import Web, WebError

#: The name with which Google's registries take a token for a password.
USER = "oauth2accesstoken"

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_TOKEN = re.compile(r"[!-~]+")


class RefusedError(Exception):
    """The registry wants to be shown more than it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What a registry says it wants: `basic`, or `bearer` and then where a token for it is given out."""

    scheme: str
    realm: str = ""
    service: str = ""


def challenge(header: str) -> Challenge:
    """Read a `WWW-Authenticate`.

    >>> challenge('Bearer realm="https://auth.docker.io/token",service="registry.docker.io"').realm
    'https://auth.docker.io/token'
    """
    scheme, _, rest = header.strip().partition(" ")
    said = parse_dict_header(rest)
    return Challenge(scheme=scheme.lower(), realm=said.get("realm") or "", service=said.get("service") or "")


def is_googles(url: str) -> bool:
    """Say whether an address is that of one of Google's registries: only they are shown Google's token.

    Read as the library reads it that will ask there, since others differ about addresses that are made to deceive.

    >>> [is_googles(f"https://{host}/v2/") for host in ("us-docker.pkg.dev", "eu.gcr.io", "gcr.io", "gcr.io.evil.com")]
    [True, True, True, False]
    """
    try:
        read = parse_url(url)
    except LocationParseError:
        return False
    host = (read.host or "").lower()
    named = host == "gcr.io" or host.endswith((".gcr.io", ".pkg.dev"))
    return named and read.scheme == "https" and read.port in (None, 443)


@cache
def google_token() -> str | None:
    """Return a token of the user's Google account; None if nobody is signed in."""
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request

    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        credentials.refresh(Request())  # type: ignore[no-untyped-call] # the library's own types are not complete
    except GoogleAuthError:
        return None
    return str(credentials.token)


def authorization(wanted: Challenge, repository: str, *, web: Web, registry: str, token: str | None) -> str:
    """Return the header with which the `registry` of this address shows a repository.

    `token` is Google's, and only told to Google. Raises RefusedError if there is none that would do.
    """
    secret = f"Basic {_encoded(token)}" if token and is_googles(registry) else None
    if wanted.scheme == "basic" and secret:
        return secret
    if wanted.scheme != "bearer":
        raise RefusedError
    if not wanted.realm.startswith("https://") and not registry.startswith("http://"):
        raise WebError(f"it wants us to ask for a token at {wanted.realm!r}, where anybody could listen")
    query = {"service": wanted.service, "scope": f"repository:{repository}:pull"}
    sign = "&" if "?" in wanted.realm else "?"
    answer = web.ask(
        "GET", f"{wanted.realm}{sign}{urlencode(query)}", headers={},
        authorization=secret if is_googles(wanted.realm) else None,
    )  # fmt: skip
    if answer.status in (400, 401, 403, 404):
        raise RefusedError
    return f"Bearer {_token(answer.body)}"


def _encoded(token: str) -> str:
    return base64.b64encode(f"{USER}:{token}".encode()).decode()


def _token(body: bytes) -> str:
    try:
        said: Mapping[str, str] = json.loads(body)
        token = said.get("token") or said.get("access_token") or ""
        if _TOKEN.fullmatch(token):
            return token
    except (ValueError, RecursionError, AttributeError, TypeError):
        pass
    raise WebError("what gives out its tokens gave none")
