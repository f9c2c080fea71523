"""Where a user's jobs are kept in a test: at home, or in the stand-in cloud. Looks into it from outside."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pytest
from contracts.nouns import put
from forking import Forker

from sparkles.backends.local.state import SqliteState
from sparkles.model import Key, Record
from sparkles.ports.state import StateStore

#: The protocol's times in the stand-in cloud, which is near and costs nothing.
_QUICK = {"poll": 0.05, "longest_poll": 0.1, "commit_gap": 0.02, "heal": 2.0, "look": 1.0,
          "idle_look": 5.0, "sweep": 3.0}  # fmt: skip

#: What a copy of jobs goes without: the nodes that ran them.
_OF_NODES = shutil.ignore_patterns("nodes", "work", "spool", "cache")

_BLOBS = ".sparkles/cas/"


class Stores(Protocol):
    """Where the jobs of someone are who has a SPARKLES_HOME."""

    #: What a command is told to come here.
    env: Mapping[str, str]
    #: How the protocol's times differ from the usual.
    timing: Mapping[str, float]
    #: What a terminal is told of the backend.
    chosen: str
    #: What `scale` adds for five nodes.
    limit: str
    #: How many tasks are many, for a test that is not to take long.
    many: int

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        input: bytes,  # noqa: A002 - the word of subprocess.run
        timeout: float,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command of the user's to its end."""
        ...

    @contextmanager
    def state(self) -> Iterator[StateStore]:
        """Give the state, for a look, or to write what no command would."""
        ...

    def file(self, name: str) -> bytes:
        """Return what an object holds."""
        ...

    def files(self, folder: str) -> Mapping[str, bytes]:
        """Return what the objects below a folder hold, by their names in it."""
        ...

    def objects(self) -> Mapping[str, object]:
        """Return all objects, each with a value that is another one once it has been written again."""
        ...

    def held(self) -> Mapping[str, object]:
        """Return all that is kept outside of the home, likewise."""
        ...

    def url(self, job: str) -> str:
        """Return where users are told that the results of a job are."""
        ...

    def download_line(self, job: str) -> str:
        """Return the command that users are told: it copies the results of a job."""
        ...

    def another(self, home: Path) -> Stores:
        """Return empty stores of this kind for another home."""
        ...

    def copy(self, home: Path) -> Stores:
        """Return stores with the same jobs for another home, which becomes a copy of this one. No node comes along."""
        ...

    def copy_blobs(self, other: Any) -> None:
        """Put what was uploaded into other stores of this kind, and nothing else."""
        ...


class AtHome:
    """State in SQLite, objects in a folder."""

    env: Mapping[str, str] = {}
    timing: Mapping[str, float] = {}
    chosen = "local (default)"
    limit = "; on this backend it is served by 1 node"
    many = 1000

    def __init__(self, home: Path, forker: Forker | None = None) -> None:
        self._home = home
        self._objects = home / "objects"
        self._forker = forker
        self.run = forker.run if forker else partial(subprocess.run, capture_output=True)

    @contextmanager
    def state(self) -> Iterator[StateStore]:
        """See Stores."""
        with closing(SqliteState(self._home / "state.db", lazy=True)) as state:
            yield state

    def file(self, name: str) -> bytes:
        """See Stores."""
        return (self._objects / name).read_bytes()

    def files(self, folder: str) -> Mapping[str, bytes]:
        """See Stores."""
        paths = [path for path in (self._objects / folder).rglob("*") if path.is_file() and not path.is_symlink()]
        return {str(path.relative_to(self._objects / folder)): path.read_bytes() for path in paths}

    def objects(self) -> Mapping[str, object]:
        """See Stores."""
        found = {path: path.lstat() for path in self._objects.rglob("*") if not path.is_dir()}
        return {str(path): (status.st_mode, status.st_ino, status.st_mtime_ns) for path, status in found.items()}

    def held(self) -> Mapping[str, object]:
        """See Stores."""
        return {}

    def url(self, job: str) -> str:
        """See Stores."""
        return str(self._objects / job)

    def download_line(self, job: str) -> str:
        """See Stores."""
        return f"sparkles fetch {job} DEST_DIR"

    def another(self, home: Path) -> AtHome:
        """See Stores."""
        return AtHome(home, self._forker)

    def copy(self, home: Path) -> AtHome:
        """See Stores."""
        shutil.copytree(self._home, home, ignore=_OF_NODES)
        return AtHome(home, self._forker)

    def copy_blobs(self, other: AtHome) -> None:
        """See Stores."""
        shutil.copytree(self._objects / _BLOBS, other._objects / _BLOBS)


class InCloud:
    """State in Google's emulator, objects in the simulator: a bucket of one's own, and so a namespace."""

    timing = _QUICK
    chosen = "gcp (SPARKLES_BACKEND)"
    limit = ""
    many = 100

    def __init__(self, home: Path, emulator: Any, storage: Any, forker: Forker) -> None:
        from gcp.cloud import Cloud, fresh_bucket

        self._home = home
        self._forker = forker
        self.run = forker.run
        self._cloud = Cloud(emulator=emulator, storage=storage, bucket=fresh_bucket(storage))
        self.env = self._cloud.environment

    @property
    def cloud(self) -> Any:
        """The whole of it."""
        return self._cloud

    @contextmanager
    def state(self) -> Iterator[StateStore]:
        """See Stores."""
        from sparkles.backends.gcp.backend import namespace_of
        from sparkles.backends.gcp.datastore import Datastore
        from sparkles.backends.gcp.state import DatastoreState

        namespace = namespace_of(self._cloud.bucket)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATASTORE_EMULATOR_HOST", self._cloud.emulator.host)
            store = Datastore(project=self._cloud.project, database="(default)", namespace=namespace, patience=10.0)
        with closing(DatastoreState(store)) as state:
            yield state

    def file(self, name: str) -> bytes:
        """See Stores."""
        content: bytes = self._bucket.live(name).content.path.read_bytes()
        return content

    def files(self, folder: str) -> Mapping[str, bytes]:
        """See Stores."""
        start = f"{folder}/"
        return {name.removeprefix(start): self.file(name) for name in self.objects() if name.startswith(start)}

    @property
    def _bucket(self) -> Any:
        return self._cloud.storage.holdings.bucket(self._cloud.bucket)

    def objects(self) -> Mapping[str, object]:
        """See Stores."""
        return {name: stored.generation for name, stored in tuple(self._bucket.objects.items())}

    def held(self) -> Mapping[str, object]:
        """See Stores."""
        with self.state() as state:
            versions = {str(record.key): record.version for record in _records(state)}
        return {**versions, **self.objects()}

    def url(self, job: str) -> str:
        """See Stores."""
        return f"gs://{self._cloud.bucket}/{job}"

    def download_line(self, job: str) -> str:
        """See Stores."""
        return f"gsutil rsync -r {self.url(job)} DEST_DIR"

    def another(self, home: Path) -> InCloud:
        """See Stores."""
        return InCloud(home, self._cloud.emulator, self._cloud.storage, self._forker)

    def copy(self, home: Path) -> InCloud:
        """See Stores."""
        shutil.copytree(self._home, home, ignore=_OF_NODES)
        other = self.another(home)
        self._cloud.storage.copy_bucket(self._cloud.bucket, other._cloud.bucket)
        with self.state() as state, other.state() as copied:
            _copy(state, copied)
        return other

    def copy_blobs(self, other: InCloud) -> None:
        """See Stores."""
        self._cloud.storage.copy_bucket(self._cloud.bucket, other._cloud.bucket, below=_BLOBS)


def _records(state: StateStore) -> Iterator[Record]:
    """Yield all records but those of nodes."""
    for job in (jobs := state.jobs()):
        yield job
        yield from state.tasks(job.name)
    yield from state.read([Key.cluster(cluster) for cluster in {job.cluster for job in jobs}]).values()


def _copy(state: StateStore, other: StateStore) -> None:
    records = iter(_records(state))
    while some := list(islice(records, other.commit_limit)):
        put(other, *some)
