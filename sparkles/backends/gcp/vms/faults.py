"""Compute faults: what goes wrong with Compute Engine becomes an error that says what, and what mends it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

from sparkles.backends.gcp.unreachable import UNREACHABLE
from sparkles.backends.gcp.wording import short, sign_in
from sparkles.errors import BackendError, SparklesError, UnreachableError


class AbsentError(BackendError):
    """There is no such thing."""


class ThereError(BackendError):
    """There is such a thing already."""


@contextmanager
def asking(what: str, project: str) -> Iterator[None]:
    """Raise what goes wrong with `what`, a thing of Compute Engine, as one of the errors above, or for people."""
    try:
        yield
    except exceptions.NotFound as error:
        raise AbsentError(f"{what}: {_words(error)}") from error
    except exceptions.Conflict as error:
        raise ThereError(f"{what}: {_words(error)}") from error
    except (exceptions.GoogleAPICallError, GoogleAuthError, *UNREACHABLE) as error:
        raise _for_people(error, what, project) from error


def _for_people(error: Exception, what: str, project: str) -> SparklesError:
    words = _words(error)
    if isinstance(error, UNREACHABLE):
        return UnreachableError(f"Compute Engine cannot be reached: {words}")
    if isinstance(error, (exceptions.Unauthorized, GoogleAuthError)):
        return sign_in("Compute Engine", words)
    if isinstance(error, exceptions.Forbidden):
        return BackendError(_no_right(what, words, project))
    return BackendError(f"{what}: {words}")


def _no_right(what: str, words: str, project: str) -> str:
    if "has not been used" in words or "is disabled" in words:
        return (
            f"Compute Engine is not switched on in the project {project}; "
            f"switch it on with 'gcloud services enable compute.googleapis.com --project={project}'"
        )
    if "actAs" in words or "iam.serviceAccounts" in words or "SERVICE_ACCOUNT" in words:
        account = re.search(r"[\w.-]+@[\w.-]+\.gserviceaccount\.com", words)
        return (
            f"{what}: {words.rstrip('.')}; whoever owns the service account of the nodes allows it with "
            f"'gcloud iam service-accounts add-iam-policy-binding {account[0] if account else 'ACCOUNT'} "
            f"--project={project} --member=user:EMAIL --role=roles/iam.serviceAccountUser'"
        )
    return (
        f"{what}: {words.rstrip('.')}; whoever owns the project allows it with 'gcloud projects "
        f"add-iam-policy-binding {project} --member=user:EMAIL --role=roles/compute.instanceAdmin.v1'"
    )


def _words(error: BaseException) -> str:
    """Return what Google says, without the request that it answers."""
    text = error.message if isinstance(error, exceptions.GoogleAPICallError) else str(error)
    return short(re.sub(r"^(\d+ )?[A-Z]+ https?://\S+: ", "", text or str(error)))
