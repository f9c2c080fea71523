"""Side by side: jobs that may go on at the same time are watched in turns, and each line says of which one it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import NoReturn

from sparkles import lineup, polling
from sparkles.cli import live
from sparkles.cli.context import hint
from sparkles.cli.submission import conclude, interrupted_ends, say_where_it_runs, say_where_results_are
from sparkles.model import Job, Key
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared
from sparkles.screen import Paper, Screen
from sparkles.sight import Sight
from sparkles.watch import Watcher


def follow_all(jobs: Sequence[Job | Prepared], backend: Backend, *, quiet: bool) -> NoReturn:
    """Watch jobs to their ends and exit; if `quiet`, what is on stdout stays the only thing there."""
    named = lineup.side_by_side([job.name for job in jobs], backend)
    shared = Shared(Paper(hint) if quiet else live.screen(), named)
    wholes = {job.whole for job in jobs}
    whole = wholes.pop() if len(jobs) > 1 and len(wholes) == 1 else None
    watched = {job.name: _watch(job.name, backend, shared) for job in jobs}
    codes = [0]
    with closing(shared.screen):
        while watched:
            with interrupted_ends(whole or next(iter(watched))), shared.closed_by_errors():
                shared.going = _going(list(watched), backend)
                for name in shared.going:
                    if (code := next(watched[name])) is not None:
                        codes.append(code)
                        del watched[name]
    sys.exit(max(codes))


def _going(names: Sequence[str], backend: Backend) -> Sequence[str]:
    """Return those of jobs that do not wait for others; where all do, the first: it knows why they go no further."""
    found = backend.state.read([Key.job(name) for name in names])
    waiting = {job.name for job in found.values() if isinstance(job, Job) and job.waiting}
    return [name for name in names if name not in waiting] or names[:1]


def _watch(name: str, backend: Backend, shared: Shared) -> Iterator[int | None]:
    """Look at a job again and again, and let others have their turns; at last yield its exit code."""
    shared.screen.close()  # what is said now does not go through it
    say_where_it_runs(name, backend)
    watcher = Watcher(name, backend, Part(name, shared), among=lambda: len(shared.going))
    try:
        for _ in _until_the_end(watcher, name, shared):
            yield None
    except polling.BlockedError as error:
        hint(f"error: {error}")
        yield error.exit_code
        return
    say_where_results_are(name, backend, watcher)
    yield conclude(name, backend, watcher.counts)


def _until_the_end(watcher: Watcher, name: str, shared: Shared) -> Iterator[None]:
    """Look at a job; whatever ends that, nothing of it is shown when there is more to be said."""
    try:
        yield from watcher.looks()
    finally:
        shared.leave(name)


class Shared:
    """A screen that several jobs share."""

    def __init__(self, screen: Screen, named: Collection[str]) -> None:
        self.screen = screen
        #: The jobs whose lines have to say of which they are.
        self.named = named
        #: The jobs that are watched in turns now.
        self.going: Sequence[str] = ()
        #: What there was to see of each, and what is new and has not been looked at.
        self._sights: dict[str, Sight] = {}
        self._looks: dict[str, Callable[[], Sight]] = {}

    def show(self, job: str, look: Callable[[], Sight]) -> None:
        """Show how a job stands, and beside it all others."""
        self._looks[job] = look
        self.screen.show(self._look)

    @contextmanager
    def closed_by_errors(self) -> Iterator[None]:
        """Show nothing any more when something is raised, before that is said: below rows it would be written over."""
        try:
            yield
        except BaseException:
            self.screen.close()
            raise

    def _look(self) -> Sight:
        self._sights |= {job: look() for job, look in self._looks.items()}
        self._looks.clear()
        first, *others = self._sights.values()
        return replace(first, beside=tuple(others))

    def leave(self, job: str) -> None:
        """Show nothing of a job any more, and nothing at all until there is something new of another."""
        self._sights.pop(job, None)
        self._looks.pop(job, None)
        self.screen.close()


class Part:
    """What one job has of a shared screen. See Screen."""

    def __init__(self, job: str, shared: Shared) -> None:
        self._job = job
        self._shared = shared

    @property
    def is_live(self) -> bool:
        """See Screen."""
        return self._shared.screen.is_live

    def say(self, line: str) -> None:
        """See Screen."""
        self._shared.screen.say(self._named(line))

    def say_log(self, line: str) -> None:
        """See Screen."""
        self._shared.screen.say_log(self._named(line))

    def show(self, look: Callable[[], Sight]) -> None:
        """See Screen."""
        self._shared.show(self._job, look)

    def close(self) -> None:
        """See Screen."""
        self._shared.leave(self._job)

    def _named(self, line: str) -> str:
        return f"{self._job}: {line}" if self._job in self._shared.named else line
