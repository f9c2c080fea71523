"""What the tests share: an empty home, and a user who runs commands in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import engine
import pytest
from forking import GOOGLES, Forker
from sharing import is_first, pytest_xdist_make_scheduler
from stores import AtHome, InCloud, Stores

from sparkles.backends.docker.leftovers import remove_recorded
from sparkles.backends.local.runtime import kill_recorded
from sparkles.model import Node

__all__ = ["pytest_xdist_make_scheduler"]  # pytest finds it here

pytest_plugins = ["gcp.fixtures"]

ROOT = Path(__file__).resolve().parents[1]


# A shell has what it runs in the background ignore Ctrl-C, and so all that this starts. Undone here, and not in each
# child before it becomes a command: for that a process is forked as it is, which gRPC's threads may make wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class User:
    """Someone in an empty folder with an empty home, who runs `sparkles`."""

    folder: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    stores: Stores = None  # type: ignore[assignment]  # at home, if nothing is said

    def __post_init__(self) -> None:
        self.stores = self.stores or AtHome(self.sparkles_home)
        if self.stores.timing:
            self.set_timing()

    def another(self, home: Path, *, folder: Path | None = None) -> User:
        """Return someone with an empty home, whose jobs are kept in the same kind of place."""
        return User(folder=folder or self.folder, home=home, stores=self.stores.another(home / "sparkles"))

    def copy(self, home: Path, *, folder: Path) -> User:
        """Return someone with the same jobs, and no node. The home is made."""
        return User(folder=folder, home=home, stores=self.stores.copy(home / "sparkles"))

    def __call__(
        self,
        *words: str,
        input: str | bytes = b"",  # noqa: A002 - subprocess.run's own word
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; text in and out."""
        done = self.stores.run(
            self.argv(*words),
            cwd=self.folder,
            env=self.environment(),
            input=input.encode() if isinstance(input, str) else input,
            timeout=timeout,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            self.argv(*words), cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def ok(self, *words: str, **options: Any) -> str:
        """Run a command that must succeed; return what it printed."""
        done = self(*words, **options)
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "sparkles", *words]

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TERM") if name in os.environ}
        return {
            **kept,
            "HOME": str(self.home),
            "SPARKLES_HOME": str(self.sparkles_home),
            "PYTHONPATH": str(ROOT),
            **self.stores.env,
            **self.env,
        }

    @property
    def sparkles_home(self) -> Path:
        return self.home / "sparkles"

    def set_timing(self, **seconds: float) -> None:
        """Run the protocol quicker than it is (see sparkles.timing)."""
        self.env["SPARKLES_TIMING"] = json.dumps({**self.stores.timing, **seconds})

    def write(self, name: str, content: str | bytes, *, executable: bool = False) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if executable:
            path.chmod(0o755)
        return path

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """Run a command that lists; return its rows."""
        rows: list[dict[str, Any]] = json.loads(self.ok(*words, "-o", "json"))
        return rows

    def job(self, name: str) -> Mapping[str, Any]:
        (row,) = self.rows("status", name)
        return row

    def wait_for(self, name: str, **numbers: object) -> Mapping[str, Any]:
        """Wait until `status` shows these values for a job."""

        def row() -> Mapping[str, Any] | None:
            job = self.job(name)
            return job if numbers.items() <= job.items() else None

        found: Mapping[str, Any] = eventually(row)
        return found

    def wait_for_nodes_to_leave(self) -> None:
        """Wait until nothing writes to the home any more."""
        home = self.sparkles_home
        nodes = home / "nodes"
        eventually(lambda: not self.nodes() and not (nodes.exists() and any(nodes.iterdir())))
        eventually(lambda: not any(home.glob("*.db-shm")))  # a node lets go of its files when its process ends

    def result(self, job: str, index: int, name: str = "stdout.txt") -> bytes:
        return self.stores.file(f"{job}/{index}/{name}")

    def everything(self) -> object:
        """Return all that is kept for the user, as a value that is another one if anything is written."""
        return listing(self.home), self.stores.held()

    def log(self, task: str) -> str:
        """Return the stdout.txt of `JOB.N`, which has ended."""
        job, _, index = task.rpartition(".")
        return self.result(job, int(index)).decode()

    def nodes(self) -> list[Node]:
        """Return the nodes that are not gone."""
        with self.stores.state() as state:
            return list(state.nodes())

    def stop_nodes(self) -> None:
        """End all nodes, and what runs on them."""
        for node in self.nodes():
            if node.pid:
                with suppress(ProcessLookupError):
                    os.kill(node.pid, signal.SIGKILL)
            folder = self.sparkles_home / "nodes" / node.name
            kill_recorded(list((folder / "running").glob("*")))
            remove_recorded(list((folder / "containers").glob("*")), node=node.name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what goes through the command line at home and in the stand-in cloud, unless it is marked `at_home`."""
    for name, scope in (("stores", "function"), ("shared_stores", "module")):
        if name in metafunc.fixturenames:
            marked = metafunc.definition.get_closest_marker
            on_both = marked("on_both") or metafunc.definition.path.parent.name == "cli"
            places = ["local", "gcp"] if on_both and not marked("at_home") else ["local"]
            places = ["gcp"] if marked("in_cloud") else places
            metafunc.parametrize(name, places, indirect=True, scope=scope)


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """Runs commands that have all of sparkles and Google's libraries loaded when they begin."""
    with closing(Forker(*GOOGLES)) as forker:
        yield forker


@pytest.fixture(scope="session")
def forker_at_home() -> Iterator[Forker]:
    """Runs commands that have all of sparkles loaded when they begin."""
    with closing(Forker()) as forker:
        yield forker


@contextmanager
def _stores(request: pytest.FixtureRequest, home: Path) -> Iterator[Stores]:
    """Give the stores that the test is to run on; end the nodes that are left."""
    if request.param == "gcp":
        emulator, storage, forker = map(request.getfixturevalue, ("datastore_emulator", "storage_simulator", "forker"))
        stores: Stores = InCloud(home / "sparkles", emulator, storage, forker)
    else:
        stores = AtHome(home / "sparkles", request.getfixturevalue("forker_at_home"))
    yield stores
    User(folder=home, home=home, stores=stores).stop_nodes()
    if request.param == "gcp":
        assert storage.violations == [], "requests or answers that do not fit Google's discovery document"


@pytest.fixture
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """Where the jobs of `user` are kept."""
    with _stores(request, tmp_path / "home") as stores:
        yield stores


@pytest.fixture
def user(tmp_path: Path, stores: Stores) -> User:
    """A user in an empty folder, with an empty home."""
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    return User(folder=folder, home=home, stores=stores)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of `warm`."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def shared_stores(request: pytest.FixtureRequest, shared_home: Path) -> Iterator[Stores]:
    """Where the jobs of `warm` are kept."""
    with _stores(request, shared_home) as stores:
        yield stores


@pytest.fixture
def warm(shared_home: Path, shared_stores: Stores, tmp_path: Path) -> User:
    """A user in an empty folder, whose home is shared by the tests of a module: its node is up. Name the jobs."""
    return User(folder=tmp_path, home=shared_home, stores=shared_stores)


def listing(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return all that is below a folder: names and modes; of files also times and contents.

    Not the times of folders: beside a database that is only read, SQLite makes files and removes them.
    """
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = (status.st_mtime_ns, path.read_bytes()) if path.is_file() else ()
        found[str(path.relative_to(folder))] = (status.st_mode, *content)
    return found


def lives(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() != "" and not shown.stdout.startswith("Z")


def until(path: Path) -> str:
    """Return a shell line that waits for a file."""
    return f"until [ -e '{path}' ]; do sleep 0.02; done"


def eventually(true: Any, *, within: float = 30.0) -> Any:
    """Return the first true value of `true()`; fail if there is none in time."""
    deadline = time.monotonic() + within
    while not (value := true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not become true within {within} s")
        time.sleep(0.02)
    return value


# A test that needs what not every machine has (docker, R, …) skips. With SPARKLES_TEST_REQUIRE=all a skip is a failure.


def _required(report: Any) -> Any:
    if os.environ.get("SPARKLES_TEST_REQUIRE") == "all" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but SPARKLES_TEST_REQUIRE=all: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    return _required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    return _required((yield))


#: Fixtures that start commands, nodes or services.
_STARTING = {"chromium", "user", "warm", "datastore_emulator", "emulator_jar", "gcloud", "simulator_process"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run real commands: -m 'not process' runs the others, which are quick."""
    items.sort(key=lambda item: not is_first(item.nodeid))
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if item.path.parent.name == "cli" or not _STARTING.isdisjoint(fixtures):
            item.add_marker("process")


@pytest.fixture(scope="session")
def api() -> Iterator[Any]:
    """A connection to the docker engine."""
    with closing(engine.connection()) as api:
        yield api


@pytest.fixture(scope="session")
def busybox(api: Any) -> str:
    """An image with a shell and the usual small programs."""
    return engine.busybox_image(api)


@pytest.fixture(scope="session")
def r_base(api: Any) -> str:
    """An image with R, under the name that the manual uses."""
    if not engine.has_image(api, engine.R_BASE):
        pytest.skip("needs an image called r-base: bash tests/images/r-base makes one")
    return engine.R_BASE


@pytest.fixture
def make_image(api: Any) -> Iterator[Callable[..., str]]:
    """Makes images (name, files, lines of a Dockerfile), and removes them."""
    made: list[str] = []

    def make(name: str, files: Mapping[str, Any] | None = None, *changes: str) -> str:
        made.append(f"sparkles-test/{name}")
        return engine.import_image(api, made[-1], engine.busybox_files() if files is None else files, changes)

    yield make
    engine.remove_images(api, *made)
