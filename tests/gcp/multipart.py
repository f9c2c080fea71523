"""Bodies of several parts, as clients write them: Google's with CRLF, gcloud's with LF alone."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from .errors import invalid
from .server import read_headers

_BOUNDARY = re.compile(r"""boundary=(?:"([^"]+)"|'([^']+)'|([^;\s]+))""", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """A part: its headers, in small letters, and its content."""

    headers: dict[str, str]
    content: bytes


def parts(body: bytes, content_type: str) -> list[Part]:
    """Return the parts of a body."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise invalid(f"Malformed multipart body: no boundary in {content_type!r}")
    mark = b"--" + next(group for group in found.groups() if group).encode()
    pieces = re.split(rb"(?:\A|\r?\n)" + re.escape(mark) + rb"(?=--|[ \t]*\r?\n)", body)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise invalid("Malformed multipart body.")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    stream = io.BytesIO(piece)
    stream.readline()
    headers = read_headers(stream)
    return Part(headers, stream.read())
