"""Applies of many tasks: several threads write at once, each behind a fence, and others may come between."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import a_backend, a_manifest, applied

from sparkles import recover
from sparkles.apply import execute
from sparkles.backends.gcp.datastore import Datastore
from sparkles.backends.gcp.state import DatastoreState
from sparkles.errors import BackendError, RequestError
from sparkles.manifest import Manifest
from sparkles.marking import Submitter
from sparkles.model import Fence, JobState, Key, Writes
from sparkles.ports.backend import Backend
from sparkles.prepare import find_job, prepare

ME = Submitter(owner="me", environment={})

#: More than one commit takes.
_MANY = 1_100


@pytest.fixture
def open_backend(cloud: Any, tmp_path: Path) -> Iterator[Callable[[], Backend]]:
    """Opens the same stores once more, as another client does."""
    opened: list[DatastoreState] = []
    namespace = f"n{os.urandom(4).hex()}"
    home = a_backend(tmp_path / "home")
    home.state.close()

    def open_backend() -> Backend:
        store = Datastore(project="test", database="(default)", namespace=namespace, patience=20.0)
        opened.append(DatastoreState(store))
        return replace(home, state=opened[-1])

    yield open_backend
    for state in opened:
        state.close()


@pytest.fixture
def backend(open_backend: Callable[[], Backend]) -> Backend:
    return open_backend()


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Manifest]:
    return lambda word="true", count=_MANY: a_manifest(tmp_path, [word], parameters={"seq": count})


def fences(backend: Backend) -> int:
    return len(backend.state.read([Key.fence("j", shard) for shard in range(1, backend.state.streams + 1)]))


def interrupted(backend: Backend, monkeypatch: pytest.MonkeyPatch, *, at: int, act: Callable[[], None]) -> None:
    """Do something before the `at`-th write of this client."""
    change, writes = backend.state.change, 0

    def counted(keys: Any, move: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes == at:
            act()
        return change(keys, move)

    monkeypatch.setattr(backend.state, "change", counted)


def test_all_tasks_are_there_once_and_no_fence_is_left(backend, manifest):
    job = applied(manifest(), backend)

    assert list(backend.state.columns("j").indices) == list(range(1, _MANY + 1))
    assert (job.state, job.applying) == (JobState.ACTIVE, None)
    assert fences(backend) == 0


def test_fences_stand_while_tasks_are_written(backend, open_backend, manifest, monkeypatch):
    seen: list[int] = []
    interrupted(backend, monkeypatch, at=4, act=lambda: seen.append(fences(open_backend())))

    applied(manifest(), backend)

    assert seen == [backend.state.streams]


def test_rows_that_are_long_together_are_written_in_several_commits(backend, tmp_path):
    rows = [{"x": f"{number}{'y' * 100_000}"} for number in range(120)]

    applied(a_manifest(tmp_path, ["echo", "{x}"], parameters={"rows": rows}), backend)

    assert [row[6:9] for row in backend.state.rows("j")] == [row["x"][:3] for row in rows]


@pytest.mark.parametrize("value", ["y" * 1_000_000, "ä" * 500_000, "\x01" * 200_000], ids=["plain", "wide", "escaped"])
def test_a_row_that_is_too_long_for_a_record_is_refused_before_anything_is_written(backend, tmp_path, value):
    manifest = a_manifest(tmp_path, ["echo", "{x}"], parameters={"rows": [{"x": "short"}, {"x": value}]})

    with pytest.raises(RequestError, match=r"row 2 takes .* put the values into a file"):
        prepare(manifest, backend)


@pytest.mark.parametrize("count", [_MANY, 7], ids=["of many tasks", "of a few"])
@pytest.mark.parametrize("at", [2, 3, 5, 6])
def test_who_takes_a_job_over_is_not_disturbed_by_the_other(backend, open_backend, manifest, monkeypatch, at, count):
    other = open_backend()

    def take_over() -> None:
        execute(prepare(manifest("other", count), other), other, ME, force=True)

    interrupted(backend, monkeypatch, at=at, act=take_over)
    with pytest.raises(BackendError, match="another apply took this job over"):
        applied(manifest(), backend)

    columns = other.state.columns("j")
    digests = {columns.digests[start : start + 32] for start in range(0, len(columns.digests), 32)}
    assert list(columns.indices) == list(range(1, count + 1))
    assert len(digests) == count
    assert prepare(manifest("other", count), other).plan.is_empty
    assert fences(other) == 0


@pytest.mark.parametrize("at", [2, 4, 6])
def test_a_kill_in_the_middle_leaves_no_task_that_could_run(backend, open_backend, manifest, monkeypatch, at):
    other = open_backend()
    interrupted(backend, monkeypatch, at=at, act=lambda: recover.stop(find_job(other, "j"), other) and None)

    with pytest.raises(BackendError, match="it was killed"):
        applied(manifest(), backend)

    assert not other.state.is_open("j")
    assert find_job(other, "j").state is JobState.KILLED
    assert fences(other) == 0


@pytest.mark.parametrize("act", ["kill", "delete", "apply"])
def test_nobody_who_takes_a_job_over_starves_while_its_fences_are_written(
    backend, open_backend, manifest, monkeypatch, act
):
    """Each stream writes its fence all the time; whoever takes them all away must not need all of them to rest."""
    other, over = open_backend(), threading.Event()
    applied(manifest(count=3), backend)
    prepared = prepare(manifest("other"), backend)

    def write(shard: int) -> None:
        def move(records: Any) -> Writes:
            fence = records.get(Key.fence("j", shard))
            if not isinstance(fence, Fence) or fence.token != token:
                raise BackendError("lost")
            return Writes(put=[fence])

        with suppress(BackendError):
            while not over.is_set():
                backend.state.change([Key.fence("j", shard)], move)

    def take_over() -> None:
        nonlocal token
        token = find_job(other, "j").applying.token
        for shard in range(1, 17):
            threading.Thread(target=write, args=[shard], daemon=True).start()
        time.sleep(0.3)
        job = find_job(other, "j")
        match act:
            case "kill":
                recover.stop(job, other)
            case "delete":
                recover.delete(job, other, results=False)
            case "apply":
                execute(prepare(manifest("third", 5), other), other, ME, force=True)

    token = ""
    interrupted(backend, monkeypatch, at=4, act=take_over)  # one marks the job, one raises the fences, one writes
    try:
        with pytest.raises(BackendError, match="another apply took this job over, or it was killed or deleted"):
            execute(prepared, backend, ME)
    finally:
        over.set()

    assert fences(other) == 0
    assert not other.state.is_open("j") or act == "apply"


def test_an_apply_that_was_cut_off_is_completed_by_doing_it_again(backend, open_backend, manifest, monkeypatch):
    class DeathError(BaseException):
        pass

    def die() -> None:
        raise DeathError

    with monkeypatch.context() as patch:
        interrupted(backend, patch, at=5, act=die)
        patch.setattr("sparkles.marking.give_way", lambda *_: None)  # nobody is there to do it
        with pytest.raises(DeathError):
            applied(manifest(), backend)
    before = fences(backend)

    with closing(open_backend().state) as state:
        applied(manifest(), replace(backend, state=state))

    assert before == backend.state.streams
    assert list(backend.state.columns("j").indices) == list(range(1, _MANY + 1))
    assert fences(backend) == 0
