"""Images for nodes on Compute Engine: what a name means is asked of the registry itself. No docker engine is needed.

Nodes fetch images by themselves. They log in at Google's registries and nowhere else, so here nobody else is shown
anything, either: what can be pinned is what nodes can have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sparkles import image_name
from sparkles.backends.gcp.registry import Registry, UnknownError
from sparkles.backends.gcp.registry_auth import RefusedError, google_token, is_googles
from sparkles.backends.gcp.web import Web, WebError
from sparkles.errors import BackendError, RequestError, UnreachableError
from sparkles.image_name import ImageName
from sparkles.ports.images import Progress

#: The variable that names registries, `host:port`, which are asked by plain HTTP: those of stand-ins for the cloud.
INSECURE = "SPARKLES_INSECURE_REGISTRIES"

#: Where Docker Hub is asked, and Google's copy of what many use of it: nodes look there first, and it counts no pulls.
_HUB, _MIRROR = "registry-1.docker.io", "mirror.gcr.io"

#: What nodes run.
_SYSTEM = "linux"


class RegistryImages:
    """Images by way of registries. See Images.

    `ours` is where the user can push images for nodes, such as `us-central1-docker.pkg.dev/my-project/sparkles`;
    `plain` are the registries that are asked by plain HTTP.
    """

    def __init__(
        self,
        *,
        ours: str,
        plain: Collection[str] = (),
        web: Web | None = None,
        token: Callable[[], str | None] = google_token,
    ) -> None:
        self._ours = ours
        self._web = web or Web(plain=plain)
        self._token = token
        self._registries: dict[str, Registry] = {}
        #: Pinned name → what it is made for, of images that were looked at.
        self._kinds: dict[str, Sequence[str]] = {}

    def pin(self, name: str, *, architecture: str | None = None) -> str:
        """See Images."""
        parsed = self._parsed(name)
        if parsed.digest:
            return parsed.at(parsed.digest)
        with self._in_words(name, parsed):
            digest = self._digest(parsed)
        pinned = parsed.at(digest)
        self._require(name, pinned, architecture)
        return pinned

    def fetch(self, pinned: str, progress: Progress, *, architecture: str | None = None) -> None:  # noqa: ARG002 - nothing comes here
        """See Images."""
        self._require(pinned, pinned, architecture)

    def _parsed(self, name: str) -> ImageName:
        parsed = image_name.parse(name)
        if not parsed.repository:
            raise RequestError(
                f"image {name} is only on the machine where it was built, and nodes cannot fetch it; {self._push(name)}"
            )
        return parsed

    def _digest(self, parsed: ImageName) -> str:
        """Return what a tag means now. Docker Hub knows best; Google's copy of it may be some hours old."""
        host, path = _place(parsed)
        tag = parsed.tag or "latest"
        try:
            return self._registry(host).digest(path, tag)
        except WebError:
            if host != _HUB:
                raise
            with suppress(RefusedError, UnknownError, WebError):
                return self._registry(_MIRROR).digest(path, tag)
            raise

    def _require(self, name: str, pinned: str, architecture: str | None) -> None:
        """Raise RequestError unless nodes can have an image, and run it."""
        parsed = self._parsed(pinned)
        if pinned not in self._kinds:
            with self._in_words(name, parsed):
                self._kinds[pinned] = self._look(parsed)
        made = self._kinds[pinned]
        if architecture and made and f"{_SYSTEM}/{architecture}" not in made:
            raise RequestError(
                f"image {name!r} is made for {', '.join(made)}; nodes of this machine type run "
                f"{_SYSTEM}/{architecture}: build it with 'docker build --platform {_SYSTEM}/{architecture}', or "
                "name another machine type (-m)"
            )

    def _look(self, parsed: ImageName) -> Sequence[str]:
        """Return what an image is made for; what has a digest is the same wherever it comes from."""
        assert parsed.digest
        host, path = _place(parsed)
        if host == _HUB:
            with suppress(RefusedError, UnknownError, WebError):  # it has only what many use
                return _made_for(self._registry(_MIRROR), path, parsed.digest)
        return _made_for(self._registry(host), path, parsed.digest)

    def _registry(self, host: str) -> Registry:
        if host not in self._registries:
            token = _nobody if host == _MIRROR else self._token  # what it has, everybody may have
            self._registries[host] = Registry(host, web=self._web, token=token)
        return self._registries[host]

    @contextmanager
    def _in_words(self, name: str, parsed: ImageName) -> Iterator[None]:
        registry = parsed.registry
        try:
            yield
        except UnknownError:
            raise RequestError(
                f"image {name!r}: there is none of this name at {registry}; check the name and its tag. If it is only "
                f"on your machine, {self._push(name)}"
            ) from None
        except RefusedError:
            raise self._refusal(name, registry) from None
        except WebError as error:
            raise UnreachableError(f"image {name!r}: {registry} cannot be asked: {error}") from None

    def _refusal(self, name: str, registry: str) -> BackendError:
        if is_googles(f"https://{registry}/"):
            return BackendError(
                f"image {name!r}: {registry} has none of this name that you may use; check the name, sign in with "
                "'gcloud auth application-default login', and have its owner give you and the nodes "
                "roles/artifactregistry.reader"
            )
        return BackendError(
            f"image {name!r}: {registry} has none of this name that everybody may use; check the name. Nodes log in at "
            f"Google's registries only: if it is private, or only on your machine, {self._push(name)}"
        )

    def _push(self, name: str) -> str:
        """Return how an image comes to where nodes can fetch it."""
        last = image_name.parse(name).repository.rpartition("/")[2] or "NAME"
        there = f"{self._ours}/{last}"
        host = self._ours.partition("/")[0]
        return (
            f"push it: 'gcloud auth configure-docker {host}', 'docker tag {name} {there}', 'docker push {there}', "
            f"and name {there}"
        )


def insecure_registries(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the registries that the environment allows to be asked by plain HTTP.

    >>> sorted(insecure_registries({"SPARKLES_INSECURE_REGISTRIES": "10.0.0.1:5000, r:80"}))
    ['10.0.0.1:5000', 'r:80']
    """
    return frozenset(name.strip() for name in environment.get(INSECURE, "").split(",") if name.strip())


def _nobody() -> None:
    """Return no token."""


def _place(parsed: ImageName) -> tuple[str, str]:
    """Return the registry that is asked for an image, and what it is called there."""
    host, _, path = parsed.full.partition("/")
    return (_HUB if host == image_name.HUB else host), path


def _made_for(registry: Registry, path: str, digest: str) -> Sequence[str]:
    """Return the systems and processors, `linux/amd64`, that an image is made for; empty if it does not say."""
    manifest = registry.manifest(path, digest)
    try:
        if "manifests" in manifest:
            platforms = [each.get("platform") or {} for each in manifest["manifests"]]
        else:
            platforms = [registry.blob(path, manifest["config"]["digest"])]
        return _kinds(platforms)
    except (AttributeError, KeyError, TypeError):
        raise WebError(f"what it gives out as {digest} does not describe an image") from None


def _kinds(platforms: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    found = {(str(each.get("os") or _SYSTEM), str(each.get("architecture") or "")) for each in platforms}
    return sorted(f"{system}/{kind}" for system, kind in found if kind not in ("", "unknown"))
