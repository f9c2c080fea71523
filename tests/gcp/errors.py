"""Errors in the shape that Google's JSON APIs give them."""

from __future__ import annotations

import json
from typing import Any

from .server import Reply


class ApiError(Exception):
    """A request that is refused."""

    def __init__(self, status: int, reason: str, message: str, **where: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message
        #: Such as locationType and location.
        self.where = where

    def reply(self, *, text: bool = False) -> Reply:
        """Return the reply that says so: whoever asked for content gets text instead of JSON."""
        if self.status == 304:
            return Reply(status=304)
        if text:
            return Reply(status=self.status, headers={"Content-Type": "text/html"}, body=self.message.encode())
        error = {"message": self.message, "domain": "global", "reason": self.reason, **self.where}
        return json_reply({"error": {"code": self.status, "message": self.message, "errors": [error]}}, self.status)


def json_reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Return a reply with a JSON document."""
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return Reply(
        status=status, headers={"Content-Type": "application/json; charset=UTF-8", **(headers or {})}, body=content
    )


def invalid(message: str) -> ApiError:
    """A request that makes no sense."""
    return ApiError(400, "invalid", message)


def not_found(message: str) -> ApiError:
    """A request for something that is not there."""
    return ApiError(404, "notFound", message)


def condition_not_met(parameter: str) -> ApiError:
    """A request whose precondition does not hold."""
    message = "At least one of the pre-conditions you specified did not hold."
    return ApiError(412, "conditionNotMet", message, locationType="header", location=_HEADERS.get(parameter, parameter))


_HEADERS = {"ifGenerationMatch": "If-Match", "ifGenerationNotMatch": "If-None-Match"}
