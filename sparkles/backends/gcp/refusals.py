"""Refusals: what Google's storage library raises, as errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core.exceptions import Forbidden, GoogleAPIError, Unauthorized
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from sparkles.errors import BackendError

#: All that a request to Cloud Storage may raise.
_TROUBLE = (
    GoogleAPIError,
    GoogleAuthError,
    InvalidResponse,
    DataCorruption,
    RequestException,
    HTTPError,
    ConnectionError,
)


@contextmanager
def readable(what: str, *, bucket: str) -> Iterator[None]:
    """Raise as BackendError whatever keeps `what` in a bucket from being read."""
    try:
        yield
    except (Forbidden, Unauthorized) as error:
        message = re.sub(r"^[A-Z]+ \S+: ", "", str(error.message))  # verb and address of the request
        raise BackendError(f"{what} may not be read: {message}\n{_way_out(message, bucket)}") from None
    except _TROUBLE as error:
        raise BackendError(f"{what} could not be read: {error}") from None


def _way_out(message: str, bucket: str) -> str:
    """Return what the bucket's owner can do. Google's message begins with the account, if there is one."""
    found = re.match(r"(\S+@\S+) ", message)
    account = found[1] if found else "YOU@EXAMPLE.COM"
    kind = "serviceAccount" if account.endswith(".gserviceaccount.com") else "user"
    return (
        f"its owner can allow it: gcloud storage buckets add-iam-policy-binding gs://{bucket} "
        f"--member={kind}:{account} --role=roles/storage.objectViewer"
    )
