"""Preconditions: a request that names a generation acts on that one or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from .errors import ApiError, condition_not_met

_NAMES = (
    ("GenerationMatch", "generation", True),
    ("GenerationNotMatch", "generation", False),
    ("MetagenerationMatch", "metageneration", True),
    ("MetagenerationNotMatch", "metageneration", False),
)


class Versioned(Protocol):
    """What has generations."""

    @property
    def generation(self) -> int:
        """Of the content."""

    @property
    def metageneration(self) -> int:
        """Of what is said of it."""


def check(values: Mapping[str, str], live: Versioned | None, *, prefix: str = "if", reading: bool = False) -> None:
    """Raise unless what is live meets the preconditions among the parameters. Generation 0: nothing is live."""
    for suffix, attribute, should_match in _NAMES:
        wanted = values.get(prefix + suffix)
        if wanted is None:
            continue
        matches = (getattr(live, attribute) if live else 0) == int(wanted)
        if matches != should_match:
            raise _not_modified() if reading and not should_match else condition_not_met(prefix + suffix)


def given(values: Mapping[str, str], *, prefix: str = "if") -> bool:
    """Say whether the parameters hold a precondition."""
    return any(prefix + suffix in values for suffix, _, _ in _NAMES)


def _not_modified() -> ApiError:
    return ApiError(304, "notModified", "Not Modified")
