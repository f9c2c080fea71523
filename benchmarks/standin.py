"""Stand-in: the stand-in cloud of the tests, for one run at a time. It says nothing of how quick Google is.

The emulator keeps everything in memory and is slow until it is warm: there is one for a whole benchmark, and it is
emptied for each run. Each run has a simulator, and so a bucket and a namespace, of its own.
"""

from __future__ import annotations

import atexit
import functools
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import needed
from benchmarks.measure import Run, RunFailed, measure
from benchmarks.nouns import Contestant

if TYPE_CHECKING:
    from tests.gcp.cloud import Cloud
    from tests.gcp.emulator import Emulator

    Make = Callable[[Path], Run]
    #: Looks at what was done in a folder and a cloud; says what was counted. Raises RunFailed.
    Tell = Callable[[Path, Cloud], Mapping[str, float]]

#: Memory of the emulator. Thirty thousand tasks fit into a tenth of it; what is left keeps it from collecting garbage.
_MEGABYTES = 3072

#: Rounds after which the emulator gets no quicker.
WARM_UPS = 3

#: Where a run has the simulator's objects.
_OBJECTS = "cloud"

#: What is to be done before the next run.
_over = ExitStack()


def missing() -> str:
    """Return why there is no stand-in cloud here, and what would bring it; empty if there is."""
    from tests.gcp.emulator import MissingError, find_jar, find_java

    try:
        find_java(), find_jar()
    except MissingError as error:
        return str(error)
    return needed.library("googleapiclient")()


@functools.cache
def _emulator() -> Emulator:
    from tests.gcp.emulator import Emulator

    emulator = Emulator(megabytes=_MEGABYTES)
    atexit.register(emulator.close)
    atexit.register(_over.close)
    return emulator


def _empty(folder: Path) -> Cloud:
    """Return an empty cloud. What the last one held goes now, not at the end: it may be gigabytes."""
    from tests.gcp.cloud import Cloud, fresh_bucket
    from tests.gcp.storage import StorageSimulator

    _over.close()
    _emulator().reset()
    storage = StorageSimulator(folder / _OBJECTS)
    _over.callback(shutil.rmtree, folder / _OBJECTS, ignore_errors=True)
    _over.callback(storage.close)
    return Cloud(emulator=_emulator(), storage=storage, bucket=fresh_bucket(storage))


def contestant(
    name: str, make: Make, *, count: int = 1, before: Make | None = None, tell: Tell = lambda *_: {}
) -> Contestant:
    """Return a contestant whose every run has an empty cloud, or one in which another run was made `before`."""
    visited: dict[Path, Cloud] = {}

    def make_there(folder: Path) -> Run:
        visited[folder] = cloud = _empty(folder)
        if before:
            measure(there(before(folder), cloud), folder)
        cloud.storage.requests.clear()
        return there(make(folder), cloud)

    def tell_of(folder: Path) -> Mapping[str, float]:
        cloud = visited[folder]
        if cloud.storage.violations:
            raise RunFailed(cloud.storage.violations[0])
        return tell(folder, cloud)

    return Contestant(name=name, count=count, make=make_there, tells=tell_of, missing=missing)


def there(run: Run, cloud: Cloud) -> Run:
    """Return a run that finds the cloud."""
    return replace(run, env={**run.env, **cloud.environment})
