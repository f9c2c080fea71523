"""Fetching: results as they come to a folder here: only committed ones, and nothing outside of that folder.

What is there already does not come again, so a fetch that was cut off goes on where it was.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from sparkles import partials, patterns, results
from sparkles.errors import BackendError, RequestError
from sparkles.model import Task
from sparkles.paths import LOG_NAME, RESULT_NAME, is_inside
from sparkles.ports.backend import Backend
from sparkles.ports.objects import Fetched, Moved

#: Times that a result may be replaced while it is copied.
_TRIES = 3

#: Files that sparkles writes into each result.
_OURS = (LOG_NAME, RESULT_NAME)


_ROOM = "; make room: what was copied is whole, and the same command goes on from there"
_AWAY = "is to be: move it away, or fetch to another folder"

#: What to do about a file that cannot be written.
_HELPS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EEXIST: f"; a file stands where a folder {_AWAY}",
    errno.ENOTDIR: f"; a file stands where a folder {_AWAY}",
    errno.EISDIR: f"; a folder stands where a file {_AWAY}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A result folder: whose it is, and its task; None for what a deleted job left."""

    job: str
    index: int
    task: Task | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which files of results are wanted, and what they are called here."""

    #: Patterns, as in `outputs.include` of a manifest; all files if there are none.
    include: tuple[str, ...] = ()
    #: Whether all are to be in one folder, by the last part of their names.
    flat: bool = False
    #: Whether the task is to be in that name.
    prefix: bool = False
    #: Whether there are results of several jobs.
    several: bool = False

    def name(self, folder: Folder, name: str) -> str | None:
        """Return what a file is to be called below the destination; None if it is not wanted.

        >>> Choice().name(Folder(job="fit", index=3), "plots/a.svg")
        '3/plots/a.svg'
        >>> Choice(flat=True, prefix=True).name(Folder(job="fit", index=3), "plots/a.svg")
        '3-a.svg'
        """
        if not self._is_wanted(name):
            return None
        if not self.flat:
            return f"{folder.job}/{folder.index}/{name}" if self.several else f"{folder.index}/{name}"
        task = f"{folder.job}.{folder.index}" if self.several else str(folder.index)
        last = PurePosixPath(name).name
        return f"{task}-{last}" if self.prefix else last

    def _is_wanted(self, name: str) -> bool:
        if self.flat and name in _OURS:  # every task has them, and mostly nobody means them
            return name in self.include
        return not self.include or bool(patterns.any_of(self.include)(name))


@dataclass(slots=True)
class Outcome:
    """What came of fetching results."""

    #: How many results there were.
    results: int = 0
    files: Fetched = field(default_factory=Fetched)
    #: The tasks that have none.
    without: int = 0
    #: Results that were there, and are not any more.
    gone: int = 0


def folders(job: str, tasks: Iterable[Task] | None, backend: Backend) -> Iterator[Folder]:
    """Yield the result folders of some tasks, or without them all that there are, as a deleted job leaves them."""
    if tasks is None:
        yield from (Folder(job=job, index=index) for index in backend.objects.results(job))
    else:
        yield from (Folder(job=job, index=task.index, task=task) for task in tasks)


def check_names(found: Iterable[Folder], choice: Choice, backend: Backend) -> None:
    """Raise RequestError if two files would have the same name."""
    taken: dict[str, tuple[Folder, str]] = {}

    def names(folder: Folder) -> tuple[Folder, list[str]]:
        return folder, _names(folder, backend)

    for folder, there in results.each(names, found, backend):
        for name in there:
            if not (target := choice.name(folder, name)):
                continue
            other = taken.setdefault(target, (folder, name))
            if other != (folder, name):
                raise RequestError(_clash(target, other, (folder, name), choice))


def _names(folder: Folder, backend: Backend) -> list[str]:
    """Return the names of all files of a result."""
    document = _document(folder, backend)
    return [*(file["name"] for file in document["files"]), *_OURS] if document else []


def _document(folder: Folder, backend: Backend) -> dict[str, Any] | None:
    """Return result.json, of the task's own result if there is a task."""
    if folder.task:
        return results.committed(folder.task, backend)
    found = backend.objects.read_result(folder.job, folder.index)
    return found[1] if found else None


def _clash(target: str, one: tuple[Folder, str], other: tuple[Folder, str], choice: Choice) -> str:
    first, second = (f"{name!r} of {folder.job}.{folder.index}" for folder, name in (one, other))
    are_of_two = one[0] != other[0] and not choice.prefix
    also = "--prefix, which puts the index of its task before each name, " if are_of_two else ""
    return (
        f"--flat: {first} and {second} would both be {target!r}; nothing was copied. What works: {also}"
        "fewer files (--include PATTERN), or no --flat: then each task has a folder of its own"
    )


class Destination:
    """The folder that results come to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Folders below it that are known to be in it.
        self._inside: set[Path] = set()

    def path(self, name: str) -> Path:
        """Return where a file is to be. Raises BackendError for what would not be in the folder.

        What a fetch that was cut off left there is removed.
        """
        path = self.folder / name
        if path.parent not in self._inside:
            real = Path(os.path.realpath(path.parent))
            if not real.is_relative_to(os.path.realpath(self.folder)):
                raise BackendError(
                    f"{path.parent}: a link that leads out of {self.folder}; remove it, or fetch elsewhere"
                )
            partials.remove_left(path.parent)
            self._inside.add(path.parent)
        return path


def fetch(
    found: Iterable[Folder],
    destination: Destination,
    backend: Backend,
    *,
    choice: Choice = Choice(),
    moved: Callable[[Moved], None] = lambda _: None,
) -> Outcome:
    """Copy results, of several at once where they are far away; say how far it is by `moved`."""
    progress = _Progress(moved)
    outcome = Outcome()

    def copy(folder: Folder) -> tuple[Folder, Fetched | None]:
        return folder, _copy(folder, destination, backend, choice, progress)

    for folder, fetched in results.each(copy, found, backend, stop=progress.stop):
        if fetched is None and _is_gone(folder, backend):
            outcome.gone += 1
        elif fetched is None:
            outcome.without += 1
        else:
            outcome.results, outcome.files = outcome.results + 1, outcome.files + fetched
    return outcome


def _copy(
    folder: Folder, destination: Destination, backend: Backend, choice: Choice, progress: _Progress
) -> Fetched | None:
    """Copy one result; again if another one took its place meanwhile."""

    def place(name: str) -> Path | None:
        if not is_inside(name) or "\0" in name:
            raise BackendError(f"{folder.job}.{folder.index}: a file of a result cannot be called {name!r}")
        target = choice.name(folder, name)
        return destination.path(target) if target else None

    generation = folder.task.result_generation if folder.task else None
    if folder.task and generation is None:
        return None
    for _ in range(_TRIES):
        with _saying_where(destination.folder):
            fetched = backend.objects.fetch(
                folder.job, folder.index, place, moved=progress.add, result_generation=generation
            )
        if fetched or _document(folder, backend) is None:  # which moves it into its place, if need be
            return fetched
    raise RequestError(
        f"the result of {folder.job}.{folder.index} changes while it is copied; fetch it when the job has ended"
    )


def _is_gone(folder: Folder, backend: Backend) -> bool:
    """Say of a result that is not there whether somebody has deleted it, with its task, since it was looked up."""
    task = folder.task
    return task is None or (task.result_generation is not None and not backend.state.read([task.key]))


class _Progress:
    """Says how far it is, from whatever thread, until it is stopped: then whoever says something stops, too."""

    def __init__(self, moved: Callable[[Moved], None]) -> None:
        self._moved = moved
        self._lock = threading.Lock()
        self._is_stopped = False

    def add(self, moved: Moved) -> None:
        with self._lock:
            if self._is_stopped:
                raise _StoppedError
            self._moved(moved)

    def stop(self) -> None:
        self._is_stopped = True


class _StoppedError(Exception):
    """Nobody waits for this any more."""


@contextmanager
def _saying_where(folder: Path) -> Iterator[None]:
    """Say which file cannot be written, and what helps; of a full disk, too, that nothing is lost."""
    try:
        yield
    except OSError as error:
        helps = _HELPS.get(error.errno or 0, "")
        raise BackendError(f"{error.filename or folder}: {error.strerror or error}{helps}") from None
