"""Wording: what Google says, cut to what people read, and what to do for someone whom it does not know."""

from __future__ import annotations

import re

from sparkles.errors import BackendError

#: Characters of what Google says that are passed on.
_LONG = 300


def sign_in(what: str, why: str) -> BackendError:
    """Return the error of someone whom Google does not know."""
    return BackendError(
        f"{what}: no credentials that Google accepts ({short(why)}); "
        "sign in with 'gcloud auth application-default login'"
    )


def short(text: str) -> str:
    """Return a text in one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONG else f"{line[:_LONG]}…"


def innermost(error: BaseException) -> BaseException:
    """Return what is at the bottom of what the layers of a library make of an error."""
    below = (getattr(error, "cause", None), getattr(error, "reason", None), *error.args)
    deeper = next((each for each in below if isinstance(each, BaseException)), None)
    return innermost(deeper) if deeper and deeper is not error else error


def unwrapped(words: str) -> str:
    """Return what is said of a connection, without how the libraries call their parts.

    >>> unwrapped("HTTPSConnection(host='h', port=443): Failed to establish a new connection: [Errno 111] Refused")
    'Refused'
    """
    plain = re.sub(r"^(HTTPS?Connection(Pool)?)\(.*?\): ", "", words)
    return re.sub(r"^Failed to establish a new connection: (\[Errno -?\d+\] )?", "", plain)
