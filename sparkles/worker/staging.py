"""Staging: fills the work directory of an attempt with the task's files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sparkles.compile import Input
from sparkles.errors import BackendError
from sparkles.ports import Backend, Buckets
from sparkles.spec import in_bucket
from sparkles.worker.turn import Turn

#: Objects of buckets that are brought in at once: each of them waits most of its time.
_STREAMS = 8


def fill(folder: Path, inputs: Sequence[Input], backend: Backend, turn: Turn) -> None:
    """Put each input in its place below `folder`. Raises SparklesError or OSError if one cannot be had.

    The caller has the turn; it is given up while objects of buckets come in.
    """
    objects = []
    for entry in inputs:
        target = folder / entry.dest
        target.parent.mkdir(parents=True, exist_ok=True)
        if in_bucket(entry.content):
            objects.append(entry)
        else:
            backend.objects.stage(entry.content, target, executable=entry.executable)
    if objects:
        with turn.yielded():
            _fetch(objects, folder, backend.buckets)


def _fetch(objects: Sequence[Input], folder: Path, buckets: Buckets | None) -> None:
    if buckets is None:
        raise BackendError("this node has no way to objects of buckets")
    with ThreadPoolExecutor(_STREAMS) as pool:
        ends = [
            pool.submit(buckets.stage, entry.content, folder / entry.dest, executable=entry.executable)
            for entry in objects
        ]
        try:
            for end in ends:
                end.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # the rest is of no use any more
            raise
