"""Image name: `[registry/]repository[:tag][@digest]`, as docker reads it; or the id of an image, `sha256:…`.

The name decides which registry is asked, and so who is given the credentials: it is taken apart in this one place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkles.errors import RequestError

#: Where docker looks for names that do not begin with a registry.
HUB = "docker.io"

# Patterns are made when the first name is taken apart: to make them takes long for commands that see none.
_ID = r"sha256:[0-9a-f]{64}"
# Without a dot or a port, only `localhost` is a registry: programs differ about others, such as `Registry/x`.
_HOST = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = rf"(?:localhost|(?:{_HOST}\.)+{_HOST}|(?:{_HOST}|\[[0-9a-fA-F:]+\])(?=:))(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = (
    rf"(?P<repository>(?:{_REGISTRY}/)?{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageName:
    """What a text says about an image."""

    #: As it was written; empty for the id of an image.
    repository: str
    tag: str | None = None
    #: `sha256:…`: of the manifest, or the id itself if there is no repository.
    digest: str | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether the name can only ever mean one image."""
        return self.digest is not None

    @property
    def registry(self) -> str:
        """The registry that has the image.

        >>> [parse(name).registry for name in ("r-base", "me/tool", "quay.io/x", "localhost:5000/x")]
        ['docker.io', 'docker.io', 'quay.io', 'localhost:5000']
        """
        return self._split()[0]

    @property
    def full(self) -> str:
        """The one way to write the repository, by which two names can be compared.

        >>> parse("r-base").full, parse("index.docker.io/me/tool").full
        ('docker.io/library/r-base', 'docker.io/me/tool')
        """
        registry, path = self._split()
        return f"{registry}/{path}" if registry != HUB or "/" in path else f"{HUB}/library/{path}"

    def _split(self) -> tuple[str, str]:
        first, slash, rest = self.repository.partition("/")
        if slash and (first == "localhost" or any(sign in first for sign in ".:")):
            return (HUB if first == f"index.{HUB}" else first), rest
        return HUB, self.repository

    def at(self, digest: str) -> str:
        """Return the name of the very image that has this digest."""
        return f"{self.repository}@{digest}"


def parse(text: str) -> ImageName:
    """Take the name of an image apart. Raises RequestError for a text that is none.

    >>> parse("quay.io/me/tool:1.2").tag
    '1.2'
    """
    if re.fullmatch(_ID, text):
        return ImageName(repository="", digest=text)
    found = re.fullmatch(_NAME, text)
    if not found:
        hint = f"; did you mean {text.lower()!r}?" if re.fullmatch(_NAME, text.lower()) else ""
        raise RequestError(f"{text!r} is not the name of an image, such as python:3.12-slim or quay.io/me/tool:1{hint}")
    return ImageName(**found.groupdict())
