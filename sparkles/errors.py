"""Errors. Those that a user can act on say where, what, and what would have worked."""

from __future__ import annotations

from collections.abc import Iterable


class SparklesError(Exception):
    """Base of every expected error; the command line prints its text and exits with `exit_code`."""

    exit_code = 1


class RequestError(SparklesError):
    """The request is wrong. Nothing was changed."""

    exit_code = 2


class BackendError(SparklesError):
    """A backend, an engine or another user stands against a request that is itself fine."""

    exit_code = 3


class UnreachableError(BackendError):
    """A store cannot be reached, or does not do its work, now: the same may work later."""


class ProblemsError(RequestError):
    """Several problems of one request, reported together, one line each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known word closest to `word`, or an empty string."""
    import difflib  # most commands find nothing wrong

    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


class LaunchError(SparklesError):
    """A command that could not be executed; `exit` is what a shell would have returned (126, 127)."""

    def __init__(self, message: str, *, exit: int) -> None:  # noqa: A002 - the word of the schema and the records
        self.exit = exit
        super().__init__(message)


class MoveError(AssertionError):
    """A move that the tables do not have: a defect of sparkles, never of a request."""
