"""Docker images: what a name means on this machine, and bringing in what is not here yet.

An image that is here is taken as it is, like `docker run` does; only for others a registry is asked. The credentials
are those of the user's `docker login`, and go to the registry that the name begins with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparkles import image_name
from sparkles.backends.docker.engine import Engine, reached
from sparkles.errors import BackendError, RequestError
from sparkles.image_name import ImageName
from sparkles.ports.images import Progress


class DockerImages:
    """Images by way of an engine. See Images."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pin(self, name: str, *, architecture: str | None = None) -> str:  # noqa: ARG002 - the engine's own counts
        """See Images."""
        parsed = image_name.parse(name)
        if parsed.is_pinned:
            return parsed.at(parsed.digest) if parsed.repository and parsed.digest else name
        found = self.inspect(name)
        return self._pinned_here(name, parsed, found) if found else self._pinned_there(name, parsed)

    def inspect(self, name: str) -> Mapping[str, Any] | None:
        """Return what the engine knows of an image; None if it is not on this machine."""
        from docker.errors import APIError, ImageNotFound

        with reached():
            try:
                found: Mapping[str, Any] = self._engine.api.inspect_image(name)
            except ImageNotFound:
                return None
            except APIError as error:
                raise BackendError(f"image {name!r}: {error.explanation}") from None
            return found

    def _pinned_here(self, name: str, parsed: ImageName, found: Mapping[str, Any]) -> str:
        self._require_architecture(name, [found["Architecture"]])
        for reference in found.get("RepoDigests") or []:
            repository, _, digest = reference.partition("@")
            if image_name.parse(repository).full == parsed.full:
                return parsed.at(digest)
        return str(found["Id"])

    def _pinned_there(self, name: str, parsed: ImageName) -> str:
        from docker.errors import APIError

        try:
            with reached():
                found = self._engine.api.inspect_distribution(name)
        except APIError as error:
            raise _refusal(name, parsed, error) from None
        platforms = found.get("Platforms") or []
        self._require_architecture(name, [platform["architecture"] for platform in platforms])
        return parsed.at(found["Descriptor"]["digest"])

    def _require_architecture(self, name: str, made_for: Sequence[str]) -> None:
        ours = self._engine.facts.architecture
        made = sorted({one for one in made_for if one not in ("", "unknown")})
        if ours and made and ours not in made:
            raise RequestError(f"image {name!r} is made for {', '.join(made)}; the docker engine here runs {ours}")

    def fetch(self, pinned: str, progress: Progress, *, architecture: str | None = None) -> None:  # noqa: ARG002 - as above
        """See Images."""
        parsed = image_name.parse(pinned)
        found = self.inspect(pinned)
        if not found:
            if not parsed.repository:
                raise BackendError(
                    f"image {pinned} was only on this machine, and is not here any more; build it anew and submit the "
                    "job once more, or apply it with --refresh-image"
                )
            self._pull(parsed, progress)
            found = self.inspect(pinned)
        self._require_architecture(pinned, [found["Architecture"]] if found else [])

    def _pull(self, parsed: ImageName, progress: Progress) -> None:
        from docker.errors import APIError

        layers: dict[str, tuple[int, int]] = {}
        try:
            with reached():
                for event in self._engine.api.pull(parsed.repository, parsed.digest, stream=True, decode=True):
                    if "error" in event:
                        raise BackendError(f"image {parsed.repository}: {event['error']}")
                    _note(event, layers)
                    progress(sum(done for done, _ in layers.values()), sum(size for _, size in layers.values()))
        except APIError as error:
            raise _refusal(parsed.repository, parsed, error) from None


def _note(event: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> None:
    """Take note of how much of a layer has come."""
    detail = event.get("progressDetail") or {}
    if event.get("status") == "Downloading" and detail.get("total"):
        layers[event["id"]] = detail["current"], detail["total"]
    elif event.get("status") == "Download complete" and event["id"] in layers:
        layers[event["id"]] = (layers[event["id"]][1],) * 2


def _refusal(name: str, parsed: ImageName, error: Any) -> RequestError | BackendError:
    """Say what it means that a registry does not give an image away."""
    why = str(error.explanation or error)
    words = why.lower()
    if any(sign in words for sign in ("manifest unknown", "not found", "no such manifest")):
        return RequestError(f"image {name!r}: there is none of this name on this machine or at {parsed.registry}")
    if any(sign in words for sign in ("unauthorized", "denied", "authentication required", "no basic auth")):
        login = "" if parsed.registry == image_name.HUB else f" {parsed.registry}"
        return BackendError(
            f"image {name!r}: not on this machine, and {parsed.registry} has none of this name that you may use: "
            f"check the name, or log in with 'docker login{login}'"
        )
    return BackendError(f"image {name!r}: not on this machine, and {parsed.registry} cannot be asked: {why}")
