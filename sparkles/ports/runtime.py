"""Runtime: how a node runs commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sparkles.model import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a runtime is asked to run."""

    claim: str
    argv: Sequence[str]
    #: The whole environment; in an image, what is added to the image's own.
    env: Mapping[str, str]
    #: The existing folder that the command starts in.
    folder: Path
    #: The file that stdout and stderr are appended to; made if it is not there.
    log: Path
    #: `<job>.<index>`, for people.
    task: str = ""
    #: A pinned image, see `Images`.
    image: str | None = None
    #: All of the work directory, which a command in an image finds under the same path. It holds `folder`.
    work: Path | None = None
    #: The most bytes of memory that a command in an image may use; None for no limit.
    memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a command ended."""

    #: The exit code; 128 + the signal's number if a signal ended it.
    exit: int
    #: Bytes; None where it is not known.
    peak_memory: int | None = None
    out_of_memory: bool = False


class Running(Protocol):
    """A command that has been started."""

    def wait(self) -> Ending:
        """Wait for the end of the command; end what it left running. Called once.

        Raises LaunchError if it turns out that the command could not be executed at all, and BackendError if it was
        lost: nothing of it runs any more, and nobody knows how it ended.
        """
        ...

    def signal(self, number: int) -> None:
        """Send a signal to the command and all it started. Harmless after its end."""
        ...

    def sample(self) -> Sample | None:
        """Return what the command uses now, or None where that cannot be known."""
        ...


class Runtime(Protocol):
    """Runs commands on a node."""

    def start(self, launch: Launch) -> Running:
        """Start a command.

        Raises LaunchError, with the exit code that a shell would give, if it cannot be executed; what only comes to
        light later is for `Running.wait` to raise.
        """
        ...
