"""The client of Cloud Storage: Google's own, made so that many threads can share it and tokens go to Google alone."""

from __future__ import annotations

import os
import weakref
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Client
from requests import Response
from requests.adapters import HTTPAdapter

from sparkles.backends.gcp.wording import sign_in
from sparkles.errors import RequestError

#: Connections that are kept open; more than threads that use them.
_CONNECTIONS = 128

#: Variables that name certificates to trust.
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

_LOOPBACK = frozenset(["localhost", "127.0.0.1", "::1"])


def storage_client(project: str | None = None) -> Client:
    """Return a client with the credentials of this machine; with none if STORAGE_EMULATOR_HOST is set.

    Raises BackendError if there are no credentials, and RequestError if they would be sent to a stranger.
    """
    try:
        client = Client(project=project)
    except GoogleAuthError as error:
        raise sign_in("Cloud Storage", str(error)) from None
    if not isinstance(client._credentials, AnonymousCredentials):
        require_google(client.api_endpoint)
    client._bucket_metadata_cache = None  # it asks for what every bucket is, which needs a right that nodes may lack
    for scheme in ("http://", "https://"):
        client._http.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
    if not (getproxies() or any(map(os.environ.get, _CERTIFICATES))):
        client._http.trust_env = False  # to look for them takes a sixth of a small upload
    client._http.hooks["response"].append(_release)
    weakref.finalize(client, client._http.close)  # it closes no connections by itself
    return client


def _release(response: Response, **_: Any) -> None:
    """Read all of a refusal, so that its connection can be used again: the library forgets that of some."""
    if not response.ok:
        response.content  # noqa: B018 - to be read is all that it is for


def require_google(endpoint: str) -> None:
    """Raise RequestError unless an endpoint is Google's, or on this machine: it is sent tokens."""
    host = urlsplit(endpoint).hostname or ""
    is_googles = urlsplit(endpoint).scheme == "https" and (host == "googleapis.com" or host.endswith(".googleapis.com"))
    if not is_googles and not is_here(endpoint):
        raise RequestError(
            f"{endpoint}: expected https://….googleapis.com: credentials are sent to Google only; "
            "unset API_ENDPOINT_OVERRIDE and GOOGLE_CLOUD_UNIVERSE_DOMAIN"
        )


def is_here(endpoint: str) -> bool:
    """Say whether an endpoint is on this machine."""
    return urlsplit(endpoint).hostname in _LOOPBACK
