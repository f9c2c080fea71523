"""Tails: what tasks write comes as it is written, through all attempts, of many at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import a_backend
from contracts.nouns import a_claimed_task, a_job, a_task, put
from contracts.objects import append

from sparkles import tails
from sparkles.model import Canary, JobState, Task, TaskState, Waiting
from sparkles.ports.backend import Backend


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home")
    with closing(backend.state):
        put(backend.state, a_job())
        yield backend


@pytest.fixture
def act(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give what happens between the looks, one thing after each."""

    def act(*things: Any) -> None:
        rest = iter(things)
        monkeypatch.setattr(tails, "pause", lambda _: next(rest)())

    return act


def write(backend: Backend, task: Task, content: bytes) -> None:
    append(backend.objects.open_log(task.job, task.index, task.claim or ""), content)


def end(backend: Backend, task: Task, state: TaskState = TaskState.SUCCEEDED) -> None:
    put(backend.state, replace(task, state=state))


def test_a_task_is_followed_through_its_attempts(backend, act) -> None:
    first, second = a_claimed_task(claim="a"), a_claimed_task(claim="b")
    put(backend.state, first)
    write(backend, first, b"one\ntw")

    def again() -> None:
        put(backend.state, second)
        write(backend, second, b"anew\n")

    act(
        lambda: write(backend, first, b"o\n"), lambda: put(backend.state, a_task()), again, lambda: end(backend, second)
    )

    assert b"".join(tails.follow(first, backend, last=None)) == b"one\ntwo\nanew\n"


def test_lines_of_all_that_run_come_with_their_task_and_whole(backend, act) -> None:
    one, two = (a_claimed_task(index, claim=f"c{index}") for index in (1, 2))
    put(backend.state, one, two)
    write(backend, one, b"old\nlast\nbegun")
    write(backend, two, b"\xff\n")

    def go_on() -> None:
        write(backend, one, b" and ended\n")
        write(backend, two, b"no end")
        end(backend, two)

    act(go_on, lambda: end(backend, one, TaskState.FAILED))

    assert b"".join(tails.follow_all([a_job()], backend, most=5, last=2)) == (
        b"j.1: last\nj.2: \xff\nj.1: begun and ended\nj.2: no end\n"
    )


def test_no_more_than_so_many_are_followed_at_a_time(backend, act) -> None:
    tasks = [a_claimed_task(index, claim=f"c{index}") for index in (1, 2, 3)]
    put(backend.state, *tasks)
    for task in tasks:
        write(backend, task, b"%d\n" % task.index)

    act(lambda: end(backend, tasks[0]), lambda: end(backend, tasks[1]), lambda: end(backend, tasks[2]))

    lines = list(tails.follow_all([a_job()], backend, most=2, last=10))

    assert lines == [b"j.1: 1\n", b"j.2: 2\n", b"j.3: 3\n"]


def test_a_job_that_waits_for_one_that_failed_is_followed_no_longer(backend, act) -> None:
    waits = a_job("next", state=JobState.WAITING, waiting=Waiting(needs=("j",)))
    task = a_claimed_task(1)
    put(backend.state, task, waits)
    write(backend, task, b"bad\n")

    finished = a_job(state=JobState.FINISHED, ended=2000.0)
    act(lambda: put(backend.state, finished, replace(task, state=TaskState.FAILED)))

    assert list(tails.follow_all([a_job(), waits], backend, most=2, last=10)) == [b"j.1: bad\n"]
    assert not tails.goes_on_by_itself(waits, backend)


def test_a_job_that_holds_tasks_back_goes_on(backend) -> None:
    held = Canary(first="1", held=9)
    put(backend.state, a_job(canary=held), a_task(1, state=TaskState.SUCCEEDED))

    assert tails.goes_on_by_itself(a_job(), backend)

    put(backend.state, a_job(canary=replace(held, problem="its image is gone", is_stuck=True)))

    assert not tails.goes_on_by_itself(a_job(), backend)


def test_a_job_that_is_deleted_is_followed_no_longer(backend) -> None:
    assert list(tails.follow_all([replace(a_job(), name="gone")], backend, most=2, last=10)) == []
