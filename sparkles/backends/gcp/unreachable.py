"""Unreachable: the errors of Google's libraries that mean that nobody answers, or not now."""

from __future__ import annotations

from google.api_core import exceptions
from google.auth.exceptions import TransportError
from requests.exceptions import RequestException

UNREACHABLE = (
    exceptions.RetryError,
    exceptions.ServerError,
    exceptions.TooManyRequests,
    ConnectionError,
    RequestException,
    TransportError,
)
