"""Stored: reading back a document that `dump` wrote. Trusting and lenient: a newer sparkles may have added fields."""

from __future__ import annotations

from typing import Any

from sparkles.errors import BackendError


def load(text: str) -> dict[str, Any]:
    """Return the document of a stored manifest. Raises BackendError if it cannot be read."""
    import yaml

    try:
        document: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise BackendError(f"a stored manifest cannot be read: {error}") from None
    return document
