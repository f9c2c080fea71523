"""Setup: sees what a backend needs and what of it is there, and makes the rest. May be cut off, and run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sparkles.errors import BackendError, SparklesError

#: Says how far something is that takes long.
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that a backend needs."""

    #: What it is, for people.
    what: str
    #: Returns what is worth knowing of it if it is there, mostly nothing; None if it is not. Changes nothing.
    #: Raises BackendError for something that is there and cannot be used.
    see: Callable[[], str | None]
    #: Makes it. Harmless if it is there.
    make: Callable[[Say], None]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A step, and what there is of it."""

    step: Step
    #: None if it is not there.
    found: str | None

    @property
    def is_there(self) -> bool:
        """Say whether there is nothing to make."""
        return self.found is not None

    @property
    def line(self) -> str:
        """Return what there is, for people, while nothing is made.

        >>> Seen(step=Step(what="bucket gs://b", see=str, make=print), found=None).line
        '? would make bucket gs://b'
        """
        if self.found is None:
            return f"? would make {self.step.what}"
        return f"= {self.step.what} is there" + (f" ({self.found})" if self.found else "")


def look(steps: Sequence[Step]) -> Iterator[Seen]:
    """See what there is. Changes nothing."""
    for step in steps:
        with _named(step):
            seen = Seen(step=step, found=step.see())
        yield seen


def carry_out(steps: Sequence[Step], say: Callable[[Step], Say]) -> Iterator[str]:
    """Make what is not there, in order; yield a line for each step as it is done.

    Each is looked at right before it is made: it may stand on the ones before.
    """
    for step in steps:
        with _named(step):
            seen = Seen(step=step, found=step.see())
            if not seen.is_there:
                step.make(say(step))
        yield seen.line if seen.is_there else f"+ {step.what} made"


@contextmanager
def _named(step: Step) -> Iterator[None]:
    """Say at which step something went wrong."""
    try:
        yield
    except SparklesError as error:
        raise BackendError(f"{step.what}: {error}") from None
