"""Wording: what Google says, cut to what people read, and what to do for someone whom it does not know."""

from __future__ import annotations

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
