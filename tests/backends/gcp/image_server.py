"""Images as registries hold them: made here, and put into a registry or given out by a server of a test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from backends.gcp.internet import Asked, Reply

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Image:
    """The documents of an image without a file in it."""

    config: bytes
    manifest: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def an_image(architecture: str = "amd64", system: str = "linux", **extra: Any) -> Image:
    config = json.dumps({"architecture": architecture, "os": system, **extra}).encode()
    part = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": len(config),
        "digest": digest_of(config),
    }
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": part, "layers": []}
    return Image(config, json.dumps(manifest).encode())


def an_index(platforms: Mapping[str, Image]) -> bytes:
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": image.digest,
            "size": len(image.manifest),
            "platform": dict(zip(("os", "architecture"), platform.split("/"), strict=True)),
        }
        for platform, image in platforms.items()
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


def put(address: str, repository: str, tag: str, image: Image) -> None:
    """Bring an image into a real registry."""
    _put_blob(address, repository, image.config)
    _put_manifest(address, repository, tag, image.manifest, MANIFEST)


def put_index(address: str, repository: str, tag: str, platforms: Mapping[str, Image]) -> str:
    """Bring an index and its images into a real registry; return its digest."""
    for image in platforms.values():
        put(address, repository, image.digest, image)
    index = an_index(platforms)
    _put_manifest(address, repository, tag, index, INDEX)
    return digest_of(index)


def _put_blob(address: str, repository: str, content: bytes) -> None:
    begun = requests.post(f"http://{address}/v2/{repository}/blobs/uploads/", timeout=10)
    place = begun.headers["Location"]
    sign = "&" if "?" in place else "?"
    requests.put(f"{place}{sign}digest={digest_of(content)}", data=content, timeout=10).raise_for_status()


def _put_manifest(address: str, repository: str, name: str, content: bytes, kind: str) -> None:
    url = f"http://{address}/v2/{repository}/manifests/{name}"
    requests.put(url, data=content, headers={"Content-Type": kind}, timeout=10).raise_for_status()


class Shelf:
    """A registry that gives out images to whoever shows what it wants; with its own server for tokens if it has one."""

    def __init__(
        self, images: Mapping[str, Image], *, wants: str = "", challenge: str = "", names: bool = True
    ) -> None:
        self._images = images
        self._wants = wants
        self._challenge = challenge
        self._names = names

    def __call__(self, asked: Asked) -> Reply:
        if self._wants and asked.authorization != self._wants:
            return 401, {"WWW-Authenticate": self._challenge}, b"{}"
        _, kind, name = asked.path.rsplit("/", 2)
        found = self._blobs() if kind == "blobs" else self._manifests()
        if name not in found:
            return 404, {}, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}'
        headers = {"Docker-Content-Digest": digest_of(found[name])} if self._names else {}
        return 200, headers, found[name]

    def _blobs(self) -> Mapping[str, bytes]:
        return {digest_of(image.config): image.config for image in self._images.values()}

    def _manifests(self) -> Mapping[str, bytes]:
        tagged = {tag: image.manifest for tag, image in self._images.items()}
        return {**tagged, **{digest_of(content): content for content in tagged.values()}}


def gives_tokens(token: str, *, to: Sequence[str | None] = (None,)) -> Any:
    """Return a server that gives a token to whoever shows one of these."""

    def server(asked: Asked) -> Reply:
        scope = parse_qs(urlsplit(asked.path).query).get("scope", [""])[0]
        if asked.authorization not in to or not scope.endswith(":pull"):
            return 401, {}, b"{}"
        return 200, {}, json.dumps({"token": token}).encode()

    return server
