"""Staging: a task's files come from where they are kept, and nobody waits for one that is not wanted any more."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from contracts.fakes import FakeBuckets, a_backend

from sparkles.compile import Input
from sparkles.errors import BackendError
from sparkles.worker.staging import fill
from sparkles.worker.turn import Turn


class SlowBuckets(FakeBuckets):
    """Buckets whose objects come in when they are released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.begun = threading.Semaphore(0)

    def stage(self, content: str, destination: Path, *, executable: bool) -> None:
        self.begun.release()
        assert self.released.wait(20)
        super().stage(content, destination, executable=executable)


@pytest.fixture
def buckets():
    buckets = SlowBuckets()
    yield buckets
    buckets.released.set()


@pytest.fixture
def stopped():
    return threading.Event()


@pytest.fixture
def staging(tmp_path, buckets, stopped):
    """Fill a folder with objects, named by their contents, in a thread of its own; returns that and what it raised."""
    backend = a_backend(tmp_path / "home", buckets=buckets)
    (tmp_path / "work").mkdir()

    def start(*contents: str):
        raised = []
        inputs = [Input(dest=content[-1], content=content, executable=False) for content in contents]

        def run():
            turn = Turn()
            with turn:
                try:
                    fill(tmp_path / "work", inputs, backend, turn=turn, stopped=stopped)
                except Exception as error:  # noqa: BLE001 - for the test to look at
                    raised.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, raised

    return start


def test_objects_of_buckets_come_in_side_by_side(staging, buckets, tmp_path):
    contents = [f"gs://bkt/{name}#{buckets.put(f'gs://bkt/{name}', name)}" for name in "abc"]

    thread, raised = staging(*contents)
    side_by_side = [buckets.begun.acquire(timeout=20) for _ in contents]
    buckets.released.set()
    thread.join(20)

    assert (side_by_side, raised) == ([True] * 3, [])
    assert sorted(path.read_text() for path in (tmp_path / "work").iterdir()) == ["a", "b", "c"]


def test_a_stopped_attempt_does_not_wait_for_its_files(staging, buckets, stopped, tmp_path):
    content = f"gs://bkt/a#{buckets.put('gs://bkt/a', 'a')}"

    thread, raised = staging(content)
    assert buckets.begun.acquire(timeout=20)
    stopped.set()
    thread.join(20)

    assert (thread.is_alive(), raised) == (False, [])
    assert list((tmp_path / "work").iterdir()) == []


def test_one_object_that_cannot_be_had_is_enough(staging, buckets):
    buckets.released.set()

    thread, raised = staging("gs://bkt/a#1", "gs://bkt/b#2")
    thread.join(20)

    assert [type(error) for error in raised] == [BackendError]


def test_a_node_without_a_way_to_buckets_says_so(tmp_path, stopped):
    inputs = [Input(dest="a", content="gs://bkt/a#1", executable=False)]

    with pytest.raises(BackendError, match="no way to files of buckets"):
        fill(tmp_path, inputs, a_backend(tmp_path / "home"), turn=Turn(), stopped=stopped)
