"""Fixtures of the stand-in cloud: one for all tests of a run, a bucket of its own for each test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import engine
import pytest

if TYPE_CHECKING:
    from .cloud import Cloud
    from .emulator import Emulator
    from .gce.boxes import BoxBooter
    from .gce.processes import ProcessBooter
    from .gce.simulator import ComputeSimulator
    from .registry import Registry
    from .service import Simulated
    from .setup.apis import SetupApis
    from .storage import StorageSimulator

# What is heavy is loaded by the tests that use it.


@pytest.fixture(scope="session")
def datastore_emulator() -> Iterator[Emulator]:
    """Google's Firestore emulator in Datastore mode."""
    from .emulator import Emulator, MissingError

    try:
        emulator = Emulator()
    except MissingError as error:
        pytest.skip(str(error))
    with closing(emulator):
        yield emulator


@pytest.fixture(scope="session")
def storage_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageSimulator]:
    """Our Cloud Storage simulator."""
    pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")
    from .storage import StorageSimulator

    with closing(StorageSimulator(tmp_path_factory.mktemp("storage"))) as storage:
        yield storage


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry of images, empty at first."""
    from .registry import MissingError, Registry

    try:
        registry = Registry(tmp_path_factory.mktemp("registry"))
    except MissingError as error:
        pytest.skip(str(error))
    with closing(registry):
        yield registry
        engine.forget_registry(registry.address)


@pytest.fixture(scope="module")
def boxes() -> Iterator[BoxBooter]:
    """Makes VMs of containers. For a module at a time: there can be only one on a machine."""
    pytest.importorskip("docker", reason="needs docker: pip install '.[test]'")
    from .gce.boxes import BoxBooter
    from .gce.ground import MissingError

    try:
        booter = BoxBooter()
    except MissingError as error:
        pytest.skip(str(error))
    with closing(booter):
        yield booter


@contextmanager
def _alone(simulator: Simulated, *, empty: Callable[[], None]) -> Iterator[None]:
    """Have a simulator to oneself, emptied before and after; what did not fit Google's document fails the test."""
    empty()
    yield
    wrong = list(simulator.violations)
    empty()
    assert wrong == [], "requests or answers that do not fit Google's discovery document"


@pytest.fixture
def storage(storage_simulator: StorageSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[StorageSimulator]:
    """The simulator, of which nobody else knows; requests that do not fit Google's document fail the test."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_simulator.url)
    with _alone(storage_simulator, empty=storage_simulator.forget):
        yield storage_simulator


@pytest.fixture
def setup_apis(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetupApis]:
    """Google's set-up APIs, in whose project there is nothing; what does not fit their documents fails the test."""
    pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")
    from .cloud import PROJECT
    from .setup.apis import SetupApis

    with closing(SetupApis(PROJECT)) as apis:
        monkeypatch.setenv("GOOGLEAPIS_EMULATOR_HOST", apis.url)
        yield apis
        assert apis.violations == [], "requests or answers that do not fit Google's discovery documents"


@pytest.fixture
def bucket(storage: StorageSimulator) -> str:
    """The name of an empty bucket."""
    from .cloud import fresh_bucket

    return fresh_bucket(storage)


@pytest.fixture(scope="session")
def process_booter(tmp_path_factory: pytest.TempPathFactory) -> ProcessBooter:
    """What makes the VMs of the Compute Engine simulator: processes."""
    from .gce.processes import ProcessBooter

    return ProcessBooter(tmp_path_factory.mktemp("vms") / "vms")


@pytest.fixture(scope="session")
def compute_simulator(process_booter: ProcessBooter) -> Iterator[ComputeSimulator]:
    """Our Compute Engine simulator, whose VMs are processes."""
    pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux: VMs are trees of processes, which nothing leaves")
    from .cloud import PROJECT
    from .gce.simulator import ComputeSimulator

    with closing(ComputeSimulator(process_booter, project=PROJECT)) as compute:
        yield compute


@pytest.fixture
def compute(compute_simulator: ComputeSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[ComputeSimulator]:
    """The simulator, empty; requests and answers that do not fit Google's document fail the test."""
    monkeypatch.setenv("COMPUTE_EMULATOR_HOST", compute_simulator.url)
    with _alone(compute_simulator, empty=compute_simulator.reset):
        yield compute_simulator


@pytest.fixture
def cloud(
    datastore_emulator: Emulator,
    storage: StorageSimulator,
    compute: ComputeSimulator,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cloud]:
    """The stand-in cloud: an empty Datastore, an empty bucket, and the environment to use them."""
    from .cloud import Cloud

    cloud = Cloud(emulator=datastore_emulator, storage=storage, compute=compute, bucket=bucket)
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    yield cloud
    datastore_emulator.reset()
