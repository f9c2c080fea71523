"""A simulated API: each request and each answer is checked against the discovery document, and kept. Knows no API.

A request that does not fit the document is refused and goes to `violations`, which a test wants to be empty; so does
an answer that does not fit: that one is our own mistake. What the document does not know is 404, what it knows and we
do not simulate is 501.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import fields
from .discovery import Document, Method, Route
from .errors import ApiError, invalid, json_reply, not_found
from .faults import Faults
from .server import Cut, Reply, Request

#: The status of a request whose connection was cut.
CUT = 0

#: So many requests are kept: a cloud that stays up for days must not grow.
_KEPT = 200_000

#: The part of requests for content rather than for its description.
MEDIA = "media"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request that was answered."""

    method: str
    #: The last thing that its path names.
    name: str
    status: int
    #: Which form of the answer, or which step of a method that has several. Mostly empty.
    part: str = ""
    #: Parameters of path and query.
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that fits the document."""

    method: Method
    #: Parameters of path and query. A method whose body names what its path does not adds `name`.
    values: dict[str, str]
    #: The JSON document that came along. None for an upload, whose body is still to be read.
    body: Any
    request: Request
    upload: bool = False


#: Gives a JSON document, None for an answer without a body, or a whole reply.
Answer = Callable[[Call], Any]


class Service:
    """Answers the requests of one API."""

    def __init__(
        self,
        document: Document,
        methods: Mapping[str, Answer],
        *,
        guard: Callable[[Call], None] = lambda call: None,
        not_simulated: Iterable[str] = (),
        tolerated: Iterable[str] = (),
    ) -> None:
        self.document = document
        self.faults = Faults()
        self.requests: deque[Seen] = deque(maxlen=_KEPT)
        self.violations: list[str] = []
        self._methods = methods
        self._guard = guard
        self._not_simulated = tuple(not_simulated)
        self._tolerated = frozenset(tolerated)

    def answer(self, request: Request) -> Reply:
        """Answer a request."""
        route = self.document.route(request.verb, request.path)
        if route is None:
            unknown = f"{request.verb} {request.path}: there is no such method"
            self.violations.append(unknown)
            return not_found(unknown).reply()
        values = dict(request.query) | dict(route.values)
        return self.attempt(route.method, values, lambda: self._checked(route, values, request), part=_part(values))

    def attempt(self, method: Method, values: Mapping[str, str], act: Callable[[], Reply], *, part: str = "") -> Reply:
        """Act, unless a fault strikes; keep what was asked and how it ended."""
        try:
            self.faults.before(method.id, part)
            reply = act()
            self.faults.after(method.id, part)
        except ApiError as error:
            reply = error.reply(text=part == MEDIA)
        except Cut:
            self.requests.append(_seen(method, values, status=CUT, part=part))
            raise
        self.requests.append(_seen(method, values, status=reply.status, part=part))
        return reply

    def refuse(self, wrong: Iterable[str]) -> None:
        """Raise, and keep for the tests, what is wrong with a request, if anything is."""
        found = [each for each in wrong if each not in self._tolerated]
        if found:
            self.violations.extend(found)
            raise invalid("; ".join(found))

    def json_reply(self, call: Call, answer: Any) -> Reply:
        """Return the reply that carries an answer, once it was checked."""
        self.violations.extend(self.document.wrong_response(call.method, answer))
        if answer is None:
            return Reply(status=204)
        try:
            wanted = fields.mask(call.values["fields"]) if call.values.get("fields") else {}
        except fields.MaskError as error:
            raise invalid(str(error)) from error
        return json_reply(fields.keep(answer, wanted))

    def _checked(self, route: Route, values: dict[str, str], request: Request) -> Reply:
        method = route.method
        self.refuse(self.document.wrong_parameters(method, route.values, request.query))
        body = None if route.upload else self._body(method, request)
        act = self._methods.get(method.id)
        unknown = [name for name in self._not_simulated if values.get(name, "false") not in ("", "false")]
        if act is None or unknown:
            raise ApiError(501, "notImplemented", f"{' '.join([method.id, *unknown])} is not simulated")
        call = Call(method=method, values=values, body=body, request=request, upload=route.upload)
        self._guard(call)
        answer = act(call)
        return answer if isinstance(answer, Reply) else self.json_reply(call, answer)

    def _body(self, method: Method, request: Request) -> Any:
        content = request.whole_body()
        try:
            body = json.loads(content) if content else None
        except ValueError as error:
            self.refuse([f"{method.id}: the body is no JSON: {error}"])
        self.refuse(self.document.wrong_request(method, body))
        return body


class Simulated:
    """What a test sees of a simulated API, and does to it."""

    _service: Service

    @property
    def requests(self) -> deque[Seen]:
        """All requests since the last `forget`, in the order in which they ended."""
        return self._service.requests

    @property
    def violations(self) -> list[str]:
        """What did not fit the discovery document. A test wants none."""
        return self._service.violations

    @property
    def faults(self) -> Faults:
        """Faults to arm."""
        return self._service.faults

    def count(self, method: str, *, name: str | None = None, status: int | None = None, part: str | None = None) -> int:
        """Count requests of a method such as `storage.objects.insert`."""
        return sum(
            each.method == method
            and name in (None, each.name)
            and status in (None, each.status)
            and part in (None, each.part)
            for each in tuple(self.requests)
        )


def _part(values: Mapping[str, str]) -> str:
    if values.get("alt") == MEDIA:
        return MEDIA
    return "start" if values.get("uploadType") == "resumable" else ""


def _seen(method: Method, values: Mapping[str, str], *, status: int, part: str) -> Seen:
    named = values.get("name") or next((values[name] for name in reversed(method.path_names) if name in values), "")
    return Seen(method=method.id, name=named, status=status, part=part, values=values)
