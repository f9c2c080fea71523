"""Results: only what was committed is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import a_backend
from contracts.nouns import a_claimed_task, a_job, a_task, put
from contracts.objects import a_document, a_result, always

from sparkles import results
from sparkles.errors import RequestError
from sparkles.model import Canary, JobState, Task, TaskState
from sparkles.ports.backend import Backend

S = TaskState.SUCCEEDED


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home")
    with closing(backend.state):
        yield backend


@pytest.fixture
def publish(backend: Backend, tmp_path: Path) -> Any:
    def publish(claim: str, *, index: int = 1, log: bytes = b"", **files: bytes) -> str:
        result = a_result(backend.objects, tmp_path / claim, claim, index=index, log=log, files=files)
        return backend.objects.publish(result, holds=always)

    return publish


def ended(index: int = 1, claim: str = "a") -> Task:
    return a_task(index, state=S, claim=claim, result_generation=claim)


def test_a_committed_result_is_moved_into_place_by_whoever_reads_it(backend, publish) -> None:
    publish("a")

    assert results.committed(ended(), backend) == a_document("a")
    assert backend.objects.read_result("j", 1) == ("a", a_document("a"))


def test_a_result_that_is_not_the_tasks_is_not_trusted(backend, publish) -> None:
    backend.objects.promote("j", 1, publish("zombie"))

    assert results.committed(ended(claim="a"), backend) is None
    assert results.committed(a_task(), backend) is None


def test_the_log_of_a_running_attempt_comes_before_that_of_an_earlier_result(backend, publish) -> None:
    backend.objects.promote("j", 1, publish("a", log=b"old\n"))
    backend.objects.open_log("j", 1, "b").write_bytes(b"new\n")

    running = results.read_log(a_claimed_task(claim="b", result_generation="a"), backend)
    waiting = results.read_log(a_task(result_generation="a"), backend)

    assert (running, waiting) == (b"new\n", b"old\n")
    assert results.read_log(a_task(), backend) == b""
    assert results.read_log(ended(), backend, start=2) == b"d\n"


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        pytest.param([], "job j has no task 9; it has no tasks", id="none"),
        pytest.param([1, 2, 5], "job j has no task 9; its tasks are 1 to 5", id="others"),
    ],
)
def test_a_task_that_is_not_there_is_an_error_that_says_which_are(backend, indices, message) -> None:
    put(backend.state, a_job(), *map(a_task, indices))

    with pytest.raises(RequestError, match=message):
        results.find_task(a_job(), 9, backend)


def test_of_a_task_that_a_guard_kept_from_running_the_error_says_so(backend) -> None:
    put(backend.state, a_task(1))
    job = a_job(canary=Canary(first="1", held=8))

    with pytest.raises(RequestError, match="its tasks are 1 to 1; canary: 1 task first; 8 more when it has succeeded"):
        results.find_task(job, 9, backend)
    with pytest.raises(RequestError, match="its tasks are 1 to 1; canary: the first task did not succeed, so 8 others"):
        results.find_task(replace(job, state=JobState.FINISHED, ended=1.0), 9, backend)


def test_a_task_is_found(backend) -> None:
    put(backend.state, a_job(), a_task(5))

    assert results.find_task(a_job(), 5, backend) == a_task(5, version=1)


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"one\ntwo\n\n", "two"),
        (b"cut off", "cut off"),
        (b"x" * 100_000 + "\nlast, schön\n".encode(), "last, schön"),
        (b"x" * 100_000, "x" * 200),
    ],
    ids=["empty", "blank", "blank at the end", "without an end", "long log", "long line"],
)
def test_the_last_line_of_a_log_is_the_last_that_is_not_blank(backend, publish, log, line) -> None:
    publish("a", log=log)

    assert results.last_line(ended(), backend) == line
