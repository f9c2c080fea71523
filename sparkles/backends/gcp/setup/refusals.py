"""Refusals: what Google's set-up APIs answer instead of doing it, as errors that say what mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sparkles.backends.gcp.wording import short, sign_in
from sparkles.errors import BackendError, UnreachableError

#: Statuses after which the same may work later.
_LATER = (408, 429)


class AbsentError(BackendError):
    """There is no such thing."""

    may_pass = True


class TakenError(BackendError):
    """There is such a thing already, or it is not any more what it was."""


class ApiOffError(BackendError):
    """The project does not have that API enabled."""

    may_pass = True


class RefusedError(BackendError):
    """Google does not do it: a right is missing, or the request makes no sense to it."""

    def __init__(self, words: str, *, status: int) -> None:
        self.words, self.status = words, status
        #: Whether this is what is said of an account that was made too short a time ago to be known everywhere.
        self.may_pass = status == 400 and "does not exist" in words
        super().__init__(words)


def refusal(status: int, content: Any, *, service: str, project: str) -> BackendError:
    """Return what an answer that is no success means."""
    error = content.get("error", {}) if isinstance(content, Mapping) else {}
    words = short(str(error.get("message", ""))) if isinstance(error, Mapping) else str(error)
    words = words or f"{service}.googleapis.com answered {status}"
    if status == 401:
        return sign_in(f"{service}.googleapis.com", words)
    if status == 403 and _is_off(error, words):
        return ApiOffError(
            f"the API {service}.googleapis.com is off in project {project}; "
            f"turn it on with 'gcloud services enable {service}.googleapis.com --project={project}'"
        )
    if status >= 500 or status in _LATER:
        return UnreachableError(f"{service}.googleapis.com: {words}; try again later")
    if status in (404, 409, 412):
        return (AbsentError if status == 404 else TakenError)(words)
    return RefusedError(words, status=status)


def _is_off(error: Mapping[str, Any], words: str) -> bool:
    reasons = {detail.get("reason") for detail in error.get("details", ()) if isinstance(detail, Mapping)}
    return "SERVICE_DISABLED" in reasons or "has not been used in project" in words


@contextmanager
def needing(role: str, *, on: str, command: str) -> Iterator[None]:
    """Say, of whoever lacks a right within, who must grant which `role` `on` what, with which gcloud `command`."""
    try:
        yield
    except RefusedError as error:
        if error.status != 403:
            raise
        raise BackendError(
            f"{error.words.rstrip('.')}; you need {role} on {on}: whoever administers it grants it with "
            f"'gcloud {command} --member=user:YOU --role={role}'"
        ) from None
