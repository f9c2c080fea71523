"""Content as it goes out: whole or a range of it, with the headers by which clients know what it is."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping

from .errors import ApiError
from .objects import Stored
from .resources import etag, hash_header
from .server import Reply, open_slice

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def reply(stored: Stored, headers: Mapping[str, str]) -> Reply:
    """Return the content of an object. Call it while nobody can remove the object."""
    size, said = stored.content.size, {**_headers(stored)}
    if stored.said.get("contentEncoding") == "gzip" and "gzip" not in headers.get("accept-encoding", ""):
        del said["Content-Encoding"]
        return Reply(headers=said, body=gzip.decompress(stored.content.path.read_bytes()))
    span = _span(headers.get("range", ""), size)
    if span is None:
        return Reply(headers=said, body=open_slice(stored.content.path, 0, size))
    start, end = span
    said["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Reply(status=206, headers=said, body=open_slice(stored.content.path, start, end - start))


def _span(text: str, size: int) -> tuple[int, int] | None:
    """Return start and end of a range; None for all. What is no single range is no range, as HTTP has it."""
    found = _RANGE.fullmatch(text)
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if first and last and int(last) < int(first):
        return None
    if start >= size:
        raise ApiError(416, "requestedRangeNotSatisfiable", "The requested range cannot be satisfied.")
    return start, end


def _headers(stored: Stored) -> dict[str, str]:
    content, said = stored.content, stored.said
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": said.get("contentType", "application/octet-stream"),
        "ETag": etag(stored),
        "X-Goog-Generation": str(stored.generation),
        "X-Goog-Metageneration": str(stored.metageneration),
        "X-Goog-Hash": hash_header(content),
        "X-Goog-Storage-Class": "STANDARD",
        "X-Goog-Stored-Content-Encoding": said.get("contentEncoding", "identity"),
        "X-Goog-Stored-Content-Length": str(content.size),
    }
    named = {"contentEncoding": "Content-Encoding", "contentDisposition": "Content-Disposition",
             "contentLanguage": "Content-Language", "cacheControl": "Cache-Control"}  # fmt: skip
    return headers | {header: str(said[name]) for name, header in named.items() if name in said}
