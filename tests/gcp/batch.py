"""Batches: up to a hundred requests in one, each answered as if it had come alone."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable

from .errors import ApiError, invalid
from .multipart import Part, parts
from .server import Reply, Request, read_headers

_MOST = 100


def answer(request: Request, single: Callable[[Request], Reply]) -> Reply:
    """Answer a batch by answering its requests."""
    try:
        found = parts(request.whole_body(), request.headers.get("content-type", ""))
        if len(found) > _MOST:
            raise invalid(f"The batch request could not be processed: {len(found)} calls of at most {_MOST}.")
    except ApiError as error:
        return error.reply()
    mark = f"batch_{secrets.token_hex(12)}"
    answers = [_answered(part, single(_request(part, request))) for part in found]
    body = b"".join(b"--%s\r\n%s\r\n" % (mark.encode(), each) for each in answers) + b"--%s--\r\n" % mark.encode()
    return Reply(headers={"Content-Type": f"multipart/mixed; boundary={mark}"}, body=body)


def _request(part: Part, batch: Request) -> Request:
    stream = io.BytesIO(part.content)
    verb, target, *_ = stream.readline().decode().split()
    headers = read_headers(stream)
    if "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    size = headers.get("content-length")
    return Request.of(verb, target, {"host": batch.host, **headers}, io.BytesIO(stream.read(int(size) if size else -1)))


def _answered(part: Part, reply: Reply) -> bytes:
    assert isinstance(reply.body, bytes), "a batch carries no content"
    name = part.headers.get("content-id", "").strip("<>")
    lines = ["Content-Type: application/http", *([f"Content-ID: <response-{name}>"] if name else []), ""]
    lines += [f"HTTP/1.1 {reply.status} Status", *(f"{key}: {value}" for key, value in reply.headers.items())]
    lines += [f"Content-Length: {len(reply.body)}", "", ""]
    return "\r\n".join(lines).encode() + reply.body
