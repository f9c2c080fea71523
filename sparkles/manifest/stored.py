"""Stored: reading back a document that `dump` wrote. Trusting and lenient: a newer sparkles may have added fields."""

from __future__ import annotations

from typing import Any


def load(text: str) -> dict[str, Any]:
    """Return the document of a stored manifest."""
    import yaml

    document: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return document
