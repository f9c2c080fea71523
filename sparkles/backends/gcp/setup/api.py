"""Google's APIs for setting things up: one JSON request at a time. What is refused is said for people."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import google.auth
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession, Request
from requests import Response
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.util.retry import Retry

from sparkles.backends.gcp.setup.refusals import AbsentError, ApiOffError, RefusedError, TakenError, refusal
from sparkles.backends.gcp.storage.client import is_here, require_google
from sparkles.backends.gcp.wording import short, sign_in
from sparkles.errors import BackendError, RequestError, UnreachableError

#: Says how far something is that takes long.
Say = Callable[[str], None]

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

#: Services that have a stand-in of their own. That of all others is the folder `HOST` of `GOOGLEAPIS_EMULATOR_HOST`.
_STAND_INS = {"compute": "COMPUTE_EMULATOR_HOST", "storage": "STORAGE_EMULATOR_HOST"}
STAND_IN = "GOOGLEAPIS_EMULATOR_HOST"

#: Seconds to wait for a connection, and for an answer.
_TIME_LIMITS = (10.0, 60.0)

#: Again, if nobody does what was asked: all that is asked may be asked twice. Then it is there already.
_RETRY = Retry(
    total=5,
    allowed_methods=None,
    backoff_factor=0.5,
    raise_on_status=False,
    status_forcelist=(429, 500, 502, 503, 504),
)

#: Seconds that an API, or an account, may take to be known everywhere once it is there.
_SETTLING = 180.0

#: Seconds between looks at what takes long, and after which it has failed.
_FIRST_LOOK, _LONGEST_LOOK, _TOO_LONG = 0.5, 5.0, 900.0


class Apis:
    """Google's APIs, with the credentials of this machine."""

    def __init__(self, project: str) -> None:
        self.project = project
        self._sessions: dict[bool, AuthorizedSession] = {}
        #: Until when (monotonic) something that was just made may look as if it were not there.
        self._settled = 0.0

    def get(self, service: str, path: str, **query: str | list[str]) -> Any:
        """Return what there is at a path; None if there is nothing, or its API is off."""
        try:
            return self._ask("GET", service, path, query=query)
        except (AbsentError, ApiOffError):
            return None

    def read(self, service: str, path: str, **query: str | list[str]) -> Any:
        """Return what there is at a path. Raises AbsentError, and ApiOffError."""
        return self._ask("GET", service, path, query=query)

    def post(self, service: str, path: str, body: Mapping[str, Any] | None = None, **query: str) -> Any:
        """Ask for something. Raises TakenError if it is there already, or is not any more what it was."""
        return self._ask("POST", service, path, body=body or {}, query=query)

    def send(self, verb: str, service: str, path: str, body: Mapping[str, Any] | None = None, **query: str) -> Any:
        """Change, or remove, what there is at a path."""
        return self._ask(verb, service, path, body=body, query=query)

    def settle(self) -> None:
        """Bear with what is not known everywhere yet, from now on for a while: something was just made."""
        self._settled = time.monotonic() + _SETTLING

    def patiently(self, make: Callable[[], Any], say: Say) -> Any:
        """Ask for something, again as long as what it stands on may have been made too short a time ago."""
        while (done := self._unless_too_soon(make)) is None:
            say("waits until it is known everywhere what was just made")
            time.sleep(_LONGEST_LOOK)
        return done

    def _unless_too_soon(self, make: Callable[[], Any]) -> Any:
        """Return the answer; None if it may be another one soon."""
        try:
            return make()
        except (AbsentError, ApiOffError, RefusedError) as error:
            if time.monotonic() > self._settled or not error.may_pass:
                raise
            return None

    def finish(self, service: str, operation: Mapping[str, Any], say: Say) -> None:
        """Wait until what was asked for has been done. Raises BackendError if it failed."""
        started, pause = time.monotonic(), _FIRST_LOOK
        while not operation.get("done"):
            waited = time.monotonic() - started
            if waited > _TOO_LONG:
                raise UnreachableError(
                    f"Google has not done it for {waited:.0f} s; run this again to see whether it has"
                )
            say(f"{waited:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK)
            operation = self.read(service, f"v1/{operation['name']}")
        if "error" in operation:
            raise BackendError(short(operation["error"].get("message", "failed")))

    def account(self) -> str:
        """Return who asks, as far as the credentials say. Raises BackendError if there are none that are accepted."""
        if is_stand_in("iam"):
            return "nobody: a stand-in asks for no credentials"
        credentials = self._session(real=True).credentials
        try:
            credentials.refresh(Request())
        except GoogleAuthError as error:
            raise sign_in("Google Cloud", str(error)) from None
        return getattr(credentials, "service_account_email", None) or "the account of this machine"

    def _ask(
        self,
        verb: str,
        service: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | list[str]] | None = None,
    ) -> Any:
        url = f"{root(service)}/{path}"
        try:
            session = self._session(real=not is_stand_in(service))
            response: Response = session.request(  # type: ignore[no-untyped-call]
                verb, url, json=body, params=query, timeout=_TIME_LIMITS, allow_redirects=False
            )
        except GoogleAuthError as error:
            raise sign_in(f"{service}.googleapis.com", str(error)) from None
        except RequestException as error:
            raise UnreachableError(f"{root(service)} cannot be reached: {short(str(error))}") from None
        return _content(response, service, self.project)

    def _session(self, *, real: bool) -> AuthorizedSession:
        if real not in self._sessions:
            self._sessions[real] = _connect(_credentials(self.project) if real else _nobody())
        return self._sessions[real]


def is_stand_in(service: str) -> bool:
    """Say whether requests to a service go to a stand-in."""
    return bool(os.environ.get(_STAND_INS.get(service, STAND_IN)))


def root(service: str) -> str:
    """Return the URL that the paths of a service begin with. Raises RequestError for one that is a stranger's."""
    variable = _STAND_INS.get(service, STAND_IN)
    given = os.environ.get(variable, "").removesuffix("/")
    if not given:
        require_google(url := f"https://{service}.googleapis.com")
        return url
    if urlsplit(given).scheme != "http" or not is_here(given):
        raise RequestError(f"{variable}: {given!r}: expected http://127.0.0.1:PORT: a stand-in is on this machine")
    return given if service in _STAND_INS else f"{given}/{service}.googleapis.com"


def _connect(credentials: Any) -> AuthorizedSession:
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=_RETRY))
    return session


def _nobody() -> Any:
    return AnonymousCredentials()  # type: ignore[no-untyped-call]


def _credentials(project: str) -> Any:
    credentials: Any
    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except GoogleAuthError as error:
        raise sign_in("Google Cloud", str(error)) from None
    if getattr(credentials, "quota_project_id", None) is None and hasattr(credentials, "refresh_token"):
        credentials = credentials.with_quota_project(project)  # without one, these APIs refuse accounts of people
    return credentials


def _content(response: Response, service: str, project: str) -> Any:
    try:
        content = response.json() if response.content else {}
    except ValueError:
        content = {}
    if response.ok:
        return content
    raise refusal(response.status_code, content, service=service, project=project)


__all__ = ["AbsentError", "ApiOffError", "Apis", "RefusedError", "Say", "TakenError", "is_stand_in", "root"]
