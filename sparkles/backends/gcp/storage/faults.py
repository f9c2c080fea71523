"""Faults: what goes wrong with a bucket becomes an error that says what, and which command mends it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3.exceptions
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from sparkles.backends.gcp.unreachable import UNREACHABLE
from sparkles.backends.gcp.wording import innermost, short, sign_in, unwrapped
from sparkles.errors import BackendError, RequestError, SparklesError, UnreachableError

#: What the account needs in a bucket of ours, where it writes, and in one of others, where it only reads.
OURS, OTHERS = "roles/storage.objectAdmin", "roles/storage.objectViewer"

#: Nobody answers, or not now.
_UNREACHABLE = (*UNREACHABLE, urllib3.exceptions.HTTPError)


class ChangedError(Exception):
    """The object is of another generation than the one that was expected."""


class GoneError(Exception):
    """There is no such object, or not of that generation any more."""


class NoBucketError(BackendError):
    """There is no such bucket."""


class NoRightError(BackendError):
    """The account may not do that with the bucket."""


@contextmanager
def reaching(bucket: str, name: str = "", *, role: str = OURS) -> Iterator[None]:
    """Raise what goes wrong with `bucket`, or its object of a `name`, as ChangedError, GoneError, or for people.

    Whoever lacks a right is told how to get the `role`.
    """
    try:
        yield
    except exceptions.PreconditionFailed:
        raise ChangedError from None
    except exceptions.NotFound as error:
        if "specified bucket does not exist" in _words(error):
            raise _no_bucket(bucket) from None
        raise GoneError from None
    except (exceptions.GoogleAPICallError, GoogleAuthError, *_UNREACHABLE, DataCorruption, InvalidResponse) as error:
        raise _for_people(error, bucket, name, role) from error


def _for_people(error: Exception, bucket: str, name: str, role: str) -> SparklesError:
    url = f"gs://{bucket}"
    if isinstance(error, _UNREACHABLE):
        return UnreachableError(f"{url} cannot be reached: {_reason(error)}")
    if isinstance(error, (exceptions.Unauthorized, GoogleAuthError)):
        return sign_in(url, _words(error))
    if isinstance(error, exceptions.Forbidden):
        return _no_right(url, _words(error), role)
    if isinstance(error, exceptions.BadRequest) and "bucket name" in _words(error).lower():
        return RequestError(f"{bucket!r} cannot be the name of a bucket: {_words(error)}")
    if isinstance(error, DataCorruption):
        return BackendError(f"{url}/{name}: what came of it does not have its checksum; try again")
    return BackendError(f"{url}/{name}: {_words(error)}" if name else f"{url}: {_words(error)}")


def _no_bucket(bucket: str) -> NoBucketError:
    return NoBucketError(
        f"there is no bucket gs://{bucket}; make it with "
        f"'gcloud storage buckets create gs://{bucket} --location=REGION', or name another in the configuration"
    )


def _no_right(url: str, words: str, role: str) -> NoRightError:
    who = re.match(r"(\S+@\S+) does not have", words)
    account = who.group(1) if who else "EMAIL"
    kind = "serviceAccount" if account.endswith("gserviceaccount.com") else "user"
    return NoRightError(
        f"{url}: {words.rstrip('.')}; whoever owns the bucket allows it with 'gcloud storage buckets "
        f"add-iam-policy-binding {url} --member={kind}:{account} --role={role}'"
    )


def _reason(error: BaseException) -> str:
    """Return why nobody answers: what is at the bottom of what the layers of the library make of it."""
    return unwrapped(_words(innermost(error)))


def _words(error: BaseException) -> str:
    """Return what Google says, without the request that it answers."""
    response = getattr(error, "response", None)
    try:
        return short(response.json()["error"]["message"])  # type: ignore[union-attr] # any other kind is caught
    except (AttributeError, KeyError, TypeError, ValueError):
        text = re.sub(r"^(\d+ )?[A-Z]+ https?://\S+: ", "", str(error))
        return short(text)
