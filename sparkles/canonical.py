"""Canonical JSON: one text, and so one hash, for one value."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def text(value: Any) -> str:
    """Return the canonical JSON of a value: sorted keys, no white space, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def sha256(value: Any) -> str:
    """Return the sha256, in hex, of the canonical JSON of a value."""
    return hashlib.sha256(text(value).encode()).hexdigest()
