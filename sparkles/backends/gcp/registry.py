"""Registry: asks a registry of images what it has, by the distribution protocol of the Open Container Initiative."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sparkles.backends.gcp.registry_auth import RefusedError, authorization, challenge, is_googles
from sparkles.backends.gcp.web import Answer, Web, WebError

#: What describes an image: for one kind of machine, or an index of those for several. From docker, and in general.
_KINDS = ", ".join((
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
))  # fmt: skip

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class UnknownError(Exception):
    """The registry has no such image."""


class Registry:
    """The registry at `host`. `token` is called for the token that Google's registries are shown.

    Every method raises UnknownError, RefusedError, or WebError if there is no answer that can be used.
    """

    def __init__(self, host: str, *, web: Web, token: Callable[[], str | None]) -> None:
        self._web = web
        self._root = f"{web.scheme(host)}://{host}/v2/"
        self._token = token
        #: Repository → what it wants to be shown.
        self._shown: dict[str, str] = {}

    def digest(self, repository: str, tag: str) -> str:
        """Return the digest of what a tag means now."""
        said = self._ask("HEAD", repository, f"manifests/{tag}").headers.get("Docker-Content-Digest", "")
        return said if _DIGEST.fullmatch(said) else _digest(self._ask("GET", repository, f"manifests/{tag}").body)

    def manifest(self, repository: str, digest: str) -> Mapping[str, Any]:
        """Return the description of an image, or the index of several, that has this digest."""
        return _document(self._ask("GET", repository, f"manifests/{digest}").body, digest)

    def blob(self, repository: str, digest: str) -> Mapping[str, Any]:
        """Return a part of an image that is a document."""
        if not _DIGEST.fullmatch(digest):
            raise WebError(f"it knows a part of the image by {digest!r}, which is no digest")
        return _document(self._ask("GET", repository, f"blobs/{digest}").body, digest)

    def _ask(self, method: str, repository: str, path: str) -> Answer:
        answer = self._try(method, repository, path)
        if answer.status == 401:
            wanted = challenge(answer.headers.get("WWW-Authenticate", ""))
            token = self._token() if is_googles(self._root) else None
            self._shown[repository] = authorization(wanted, repository, web=self._web, registry=self._root, token=token)
            answer = self._try(method, repository, path)
        return _useful(answer)

    def _try(self, method: str, repository: str, path: str) -> Answer:
        return self._web.ask(
            method, f"{self._root}{repository}/{path}", headers={"Accept": _KINDS},
            authorization=self._shown.get(repository),
        )  # fmt: skip


def _useful(answer: Answer) -> Answer:
    if answer.status == 404:
        raise UnknownError
    if answer.status in (401, 403):
        raise RefusedError
    if answer.status == 429:
        raise WebError("it was asked too often; try again later")
    if answer.status != 200:
        raise WebError(f"it answers {answer.status}")
    return answer


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _document(content: bytes, digest: str) -> Mapping[str, Any]:
    """Read a document. Raises WebError if it is none, or not the one of this digest."""
    if _digest(content) != digest:
        raise WebError(f"what it gives out as {digest} is something else")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, Mapping):
        raise WebError(f"what it gives out as {digest} does not describe an image")
    return document
