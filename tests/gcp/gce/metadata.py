"""The metadata server: requests of a VM are answered from what its guest knows. It knows nothing of ports or VMs.

In both forms: a text at each path, and JSON for all below one (`recursive=true`). A request may wait for a change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ..server import Reply, Request
from . import guests
from .guests import Guest

_ROOT = "/computeMetadata/v1"
_FLAVOR = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}

#: So long a request waits if it does not say how long. Google's waits for ever; the VM ends it here, too.
_FOR_EVER = 24 * 3600.0


def answer(guest: Guest, request: Request) -> Reply:
    """Answer a request of a VM."""
    if request.path in ("", "/"):
        return _text("computeMetadata/\n")
    if request.headers.get("metadata-flavor") != "Google":
        return _refusal(403, "Missing Metadata-Flavor:Google header.")
    if "x-forwarded-for" in request.headers:
        return _refusal(403, "Your client does not have permission: X-Forwarded-For is not allowed.")
    if request.verb not in ("GET", "HEAD"):
        return _refusal(405, f"{request.verb} is not simulated")
    if guest.is_deaf():
        return _refusal(503, "The metadata server is not ready.")
    path, query = unquote(request.path), dict(request.query)
    if path != _ROOT and not path.startswith(f"{_ROOT}/"):
        return _refusal(404, "The requested URL was not found on this server.")
    try:
        return _found(guest, path.removeprefix(_ROOT), query)
    except KeyError:
        return _refusal(404, "The requested URL was not found on this server.")


def _found(guest: Guest, path: str, query: Mapping[str, str]) -> Reply:
    if query.get("wait_for_change", "").lower() == "true":
        last = query.get("last_etag") or guests.etag(guest.at(path))
        guest.wait(path, last_etag=last, within=float(query.get("timeout_sec") or _FOR_EVER))
    found = guest.at(path)
    etag = {"ETag": guests.etag(found)}
    name = path.rstrip("/").rpartition("/")[2]
    if isinstance(found, Mapping) and not path.endswith("/"):
        return Reply(status=301, headers={**_FLAVOR, "Location": f"{_ROOT}{path}/{_again(query)}"})
    if query.get("recursive", "").lower() == "true" and query.get("alt") == "text":
        return _refusal(501, "recursive=true as text is not simulated")
    if name == "token":
        return _json(json.loads(found), etag)
    if query.get("recursive", "").lower() == "true":
        return _json(guests.recursive(found, name), etag)
    if query.get("alt") == "json":
        return _json([*_names(found)] if isinstance(found, Mapping) else guests.recursive(found, name), etag)
    return _text("".join(f"{each}\n" for each in _names(found)) if isinstance(found, Mapping) else found, etag)


def _names(found: Mapping[str, Any]) -> list[str]:
    return [f"{name}/" if isinstance(value, Mapping) else name for name, value in sorted(found.items())]


def _again(query: Mapping[str, str]) -> str:
    return "?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else ""


def _json(value: Any, headers: Mapping[str, str]) -> Reply:
    content = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Reply(headers={**_FLAVOR, "Content-Type": "application/json", **headers}, body=content)


def _text(text: str, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(headers={**_FLAVOR, "Content-Type": "application/text", **(headers or {})}, body=text.encode())


def _refusal(status: int, message: str) -> Reply:
    return Reply(status=status, headers={**_FLAVOR, "Content-Type": "text/html"}, body=message.encode())
