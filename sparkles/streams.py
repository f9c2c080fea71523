"""Streams: the same done with many things, by several threads at once where a store can take that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

#: Threads that begin; with each thing that was begun there may be another one. A database that has not been written to
#: for a while does not like to be taken by storm.
_FIRST = 2

#: Seconds between two calls of `meanwhile`, at most.
_PAUSE = 1.0

T = TypeVar("T")


def in_streams(
    do: Callable[[T], object], things: Iterable[T], *, streams: int, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Do it with each thing, by up to so many threads; call `meanwhile` now and then, in this one.

    What goes wrong with one of them is raised, after all that had begun has ended; no other is begun then.
    """
    if streams == 1:
        for thing in things:
            do(thing)
        return
    from concurrent.futures import ThreadPoolExecutor  # at home nobody has to wait for it to load

    with ThreadPoolExecutor(streams) as pool:
        running: set[Future[object]] = set()
        for number, thing in enumerate(things):
            running.add(pool.submit(do, thing))
            running = _wait(running, meanwhile, most=min(_FIRST + number, streams) - 1)
        _wait(running, meanwhile, most=0)


def _wait(running: set[Future[object]], meanwhile: Callable[[], object], *, most: int) -> set[Future[object]]:
    """Wait until at most so many are under way; return those."""
    from concurrent.futures import FIRST_COMPLETED, wait

    while len(running) > most:
        done, running = wait(running, timeout=_PAUSE, return_when=FIRST_COMPLETED)
        for one in done:
            one.result()
        meanwhile()
    return running
