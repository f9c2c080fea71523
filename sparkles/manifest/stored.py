"""Stored: the text of a document as the stores keep it, and reading it back.

It is JSON, which is YAML as well, and is read thirty times as quickly: some documents name ten thousand files.
Reading is trusting and lenient: a newer sparkles may have added fields, an older one has written YAML of its own.
"""

from __future__ import annotations

import json
import re
from typing import Any

from sparkles.errors import BackendError

#: What JSON lets stand as it is and YAML does not, or takes for white space.
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def store(document: dict[str, Any]) -> str:
    """Return the text that is kept of a document."""
    return to_json(document) + "\n"


def to_json(document: Any, *, indent: int | None = None) -> str:
    """Return a document as JSON that can be read as YAML, too."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return _NOT_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def load(text: str) -> dict[str, Any]:
    """Return the document of a stored manifest. Raises BackendError if it cannot be read."""
    try:
        document: dict[str, Any] = json.loads(text) if text.startswith("{") else _load_yaml(text)
    except ValueError as error:
        raise BackendError(f"a stored manifest cannot be read: {error}") from None
    return document


def _load_yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise ValueError(error) from None
