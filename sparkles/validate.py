"""Validate: tries each thing that jobs stand on, for real and without a trace, and says what mends what fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sparkles.errors import SparklesError


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing to try."""

    #: What it is, for people.
    what: str
    #: Tries it. Returns what is worth knowing, perhaps nothing. Raises SparklesError, with what mends it.
    attempt: Callable[[], str]
    #: Those that make no sense to try unless these went well, by `what`.
    needs: tuple[str, ...] = ()


class UnknownError(SparklesError):
    """Whether it is well cannot be found out by whoever asks, which is no fault."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of a check."""

    what: str
    #: `ok`, `FAILED`; `unknown` where it cannot be found out, `skipped` where something that it needs has failed.
    state: str
    words: str = ""

    @property
    def line(self) -> str:
        """Return it for people.

        >>> Verdict(what="bucket", state="ok", words="gs://b").line
        'ok       bucket: gs://b'
        """
        return f"{self.state:<8} {self.what}" + (f": {self.words}" if self.words else "")

    @property
    def is_fault(self) -> bool:
        """Say whether it stands against jobs."""
        return self.state in ("FAILED", "skipped")


def validate(checks: Sequence[Check]) -> Iterator[Verdict]:
    """Try everything, in order; yield what came of each."""
    failed: set[str] = set()
    for check in checks:
        verdict = _tried(check, failed)
        if verdict.is_fault:
            failed.add(check.what)
        yield verdict


def _tried(check: Check, failed: set[str]) -> Verdict:
    if lacking := [each for each in check.needs if each in failed]:
        return Verdict(what=check.what, state="skipped", words=f"needs {', '.join(lacking)}")
    try:
        return Verdict(what=check.what, state="ok", words=check.attempt())
    except UnknownError as error:
        return Verdict(what=check.what, state="unknown", words=str(error))
    except SparklesError as error:
        return Verdict(what=check.what, state="FAILED", words=" ".join(str(error).split("\n")))
