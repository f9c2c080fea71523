"""Result text: what result.json is written as."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: A line for each value: easy on the eye, and much quicker than what `indent` does.
_json_of = json.JSONEncoder(ensure_ascii=False, separators=(",\n ", ": ")).encode


def result_text(document: Mapping[str, Any]) -> bytes:
    """Return the content of result.json."""
    return _json_of(document).encode() + b"\n"
