"""Uploads: in one request, in one request with a description, or resumable in many."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import preconditions
from .content import Content, sums_of_header
from .errors import ApiError, invalid, not_found
from .multipart import parts
from .objects import Holdings, check_name
from .permissions import Permissions
from .resources import object_resource
from .server import Reply, Request
from .service import Call, Service
from .sessions import Session, Span


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """A resumable upload, and what it will be."""

    call: Call
    name: str
    said: Mapping[str, Any]
    session: Session


class Uploads:
    """Answers storage.objects.insert, and all that goes to an upload that was begun."""

    def __init__(self, holdings: Holdings, permissions: Permissions) -> None:
        self._holdings, self._permissions = holdings, permissions
        self._begun: dict[str, _Begun] = {}

    def insert(self, call: Call, service: Service) -> Any:
        """Store an object, or begin to."""
        kinds = {"media": self._simple, "multipart": self._multipart, "resumable": self._begin}
        kind = kinds.get(call.values.get("uploadType", ""))
        if not call.upload or kind is None:
            raise invalid("An upload goes to /upload, with an uploadType: media, multipart or resumable.")
        self._holdings.bucket(call.values["bucket"])
        return kind(call, service)

    def go_on(self, request: Request, service: Service) -> Reply:
        """Answer a request for an upload that was begun."""
        begun = self._begun.get(dict(request.query)["upload_id"])
        if begun is None:
            return not_found("No such upload.").reply()
        call, part = begun.call, _part(request)
        with begun.session.lock:
            return service.attempt(
                call.method, call.values, lambda: self._step(begun, request, service, part), part=part
            )

    def close(self) -> None:
        """Give up what was begun and never finished."""
        for begun in self._begun.values():
            if begun.session.outcome is None:
                begun.session.incoming.discard()

    def _simple(self, call: Call, service: Service) -> Any:
        said = {"contentType": call.request.headers.get("content-type"), **_encoding(call)}
        name = check_name(call.values.get("name"))
        incoming = self._holdings.contents.incoming()
        try:
            incoming.take(call.request.body)
            return self._commit(call, name, said, incoming.done(_sums(call.request, said)))
        except BaseException:
            incoming.discard()
            raise

    def _multipart(self, call: Call, service: Service) -> Any:
        found = parts(call.request.whole_body(), call.request.headers.get("content-type", ""))
        if len(found) != 2:
            raise invalid(f"A multipart upload has two parts, this one {len(found)}.")
        said, name = _described(call, found[0].content, service)
        incoming = self._holdings.contents.incoming()
        incoming.write(found[1].content)
        content = incoming.done(_sums(call.request, said))
        return self._commit(call, name, {"contentType": found[1].headers.get("content-type"), **said}, content)

    def _begin(self, call: Call, service: Service) -> Reply:
        headers = call.request.headers
        said, name = _described(call, call.request.whole_body(), service)
        preconditions.check(call.values, self._holdings.bucket(call.values["bucket"]).objects.get(name))
        length = headers.get("x-upload-content-length")
        session = Session(self._holdings.contents.incoming(), total=None if length is None else int(length))
        token = secrets.token_urlsafe(24)
        said = {"contentType": headers.get("x-upload-content-type"), **said}
        self._begun[token] = _Begun(call=call, name=name, said=said, session=session)
        where = f"http://{call.request.host}{call.request.path}?uploadType=resumable&upload_id={token}"
        return Reply(headers={"Location": where, "X-GUploader-UploadID": token})

    def _step(self, begun: _Begun, request: Request, service: Service, part: str) -> Reply:
        session = begun.session
        if isinstance(session.outcome, ApiError):
            raise session.outcome
        if part == "cancel":
            session.fail(ApiError(410, "gone", "The upload was cancelled."))
            return ApiError(499, "clientClosedRequest", "Client Closed Request").reply()
        if session.outcome is None:
            if not session.take(Span.of(request), request.body):
                return session.incomplete(plain=request.headers.get("x-guploader-no-308") == "yes")
            session.outcome = self._finish(begun, request)
        return service.json_reply(begun.call, session.outcome)

    def _finish(self, begun: _Begun, request: Request) -> dict[str, Any]:
        first, last = (_sums(each, begun.said) for each in (begun.call.request, request))
        try:
            content = begun.session.incoming.done(first, last)
            return self._commit(begun.call, begun.name, begun.said, content)
        except ApiError as error:
            raise begun.session.fail(error) from None

    def _commit(self, call: Call, name: str, said: Mapping[str, Any], content: Content) -> dict[str, Any]:
        """Make content the live generation of an object, if the preconditions hold now."""
        holdings = self._holdings
        try:
            with holdings.lock:
                bucket = holdings.bucket(call.values["bucket"])
                live = bucket.objects.get(name)
                if live is not None:
                    self._permissions.need("storage.objects.delete")
                preconditions.check(call.values, live)
                holdings.count_change(bucket.name, name)
                stored = bucket.put(holdings.new(bucket.name, name, content, said))
        except ApiError:
            content.path.unlink()
            raise
        return object_resource(stored, call.request.host)


def _described(call: Call, document: bytes, service: Service) -> tuple[dict[str, Any], str]:
    """Read what a client says of an object, and its name."""
    try:
        said = json.loads(document) if document.strip() else {}
    except ValueError as error:
        raise invalid(f"The description of the object is no JSON: {error}") from error
    service.refuse(service.document.wrong_request(call.method, said))
    name = check_name(call.values.get("name") or said.get("name"))
    call.values["name"] = name
    return {**said, **_encoding(call)}, name


def _part(request: Request) -> str:
    if request.verb == "DELETE":
        return "cancel"
    return "query" if request.headers.get("content-range", "").startswith("bytes */") else "chunk"


def _sums(request: Request, said: Mapping[str, Any]) -> dict[str, str]:
    named = {"crc32c": said.get("crc32c"), "md5": said.get("md5Hash")}
    given = {name: value for name, value in named.items() if value}
    return {**given, **sums_of_header(request.headers.get("x-goog-hash", ""))}


def _encoding(call: Call) -> dict[str, str]:
    encoding = call.values.get("contentEncoding")
    return {"contentEncoding": encoding} if encoding else {}
