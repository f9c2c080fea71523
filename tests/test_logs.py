"""Logs: all of them, their last lines, and what is found in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import a_backend
from contracts.nouns import a_claimed_task, a_task

from sparkles import lines, logs, results
from sparkles.model import Past, Reason, Task, TaskState
from sparkles.ports.backend import Backend
from sparkles.ports.objects import LOG_PIECE


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home")
    with closing(backend.state):
        yield backend


@pytest.fixture
def write(backend: Backend) -> Any:
    """Write the log of an attempt that runs; return its task."""

    def write(content: bytes, *, claim: str = "a", index: int = 1) -> Task:
        backend.objects.open_log("j", index, claim).write_bytes(content)
        return a_claimed_task(index, claim=claim)

    return write


LONG = b"".join(b"%d %s\n" % (number, b"x" * 50_000) for number in range(60))


@pytest.mark.parametrize(
    ("content", "count", "expected"),
    [
        (b"", 5, b""),
        (b"one\ntwo\nthree\n", 2, b"two\nthree\n"),
        (b"one\ntwo\nthree", 2, b"two\nthree"),
        (b"one\ntwo\n", 5, b"one\ntwo\n"),
        (b"one\ntwo\n", 0, b""),
        (b"\n\n\n", 2, b"\n\n"),
        (LONG, 2, LONG[LONG.index(b"58 ") :]),
        (LONG, 50, LONG[LONG.index(b"10 ") :]),
        (LONG, 60, LONG),
        (LONG, 100, LONG),
        (LONG[:-1], 2, LONG[LONG.index(b"58 ") : -1]),
        (b"x" * (3 * LOG_PIECE), 1, b"x" * (3 * LOG_PIECE)),
        (b"a\n" + b"x" * (3 * LOG_PIECE), 1, b"x" * (3 * LOG_PIECE)),
    ],
    ids=["nothing", "some", "without an end", "more than there are", "none", "blank", "long lines", "many long lines",
         "all", "more than all", "long without an end", "one huge line", "a huge last line"],
)  # fmt: skip
def test_the_last_lines_of_a_log_are_found_from_its_end(backend, write, content, count, expected) -> None:
    task = write(content)

    assert b"".join(logs.ending(task, backend, count=count)) == expected
    assert logs.start_of_end(task, backend, count=count) == len(content) - len(expected)


def test_a_glimpse_is_of_the_last_lines_and_no_more_than_one_piece(backend, write) -> None:
    few, huge = write(b"one\ntwo\nthree\n"), write(b"x" * 1_000_000, index=2)

    assert b"".join(logs.glimpse(few, backend, count=2)) == b"two\nthree\n"
    assert len(b"".join(logs.glimpse(huge, backend, count=2))) == 1 << 16


def test_what_is_found_is_told_with_its_task_and_number(backend, write) -> None:
    tasks = [write(b"loss 1\n\xff\nloss 2\n", index=1), write(b"nothing\n", index=2), write(b"loss 3", index=3)]

    def view(task: Task) -> Iterator[bytes]:
        return logs.found(task, backend, search=lines.pattern("loss"))

    found = {task.index: b"".join(pieces) for task, pieces in logs.of_each(iter(tasks), view, backend)}

    assert found == {1: b"j.1:1:loss 1\nj.1:3:loss 2\n", 2: b"", 3: b"j.3:1:loss 3\n"}


def past(claim: str) -> Past:
    return Past(claim=claim, node="n", reason=Reason.EXIT, ended=1.0)


def test_each_attempt_has_its_log(backend, write) -> None:
    for claim in ("first", "second", "third"):
        write(claim.encode(), claim=claim)
    running = replace(a_claimed_task(claim="third"), attempts=2, history=(past("first"), past("second")))
    waiting = replace(running, state=TaskState.PENDING, claim=None)

    seen = {number: results.read_log(task, backend) for number, task in logs.attempts(running).items()}

    assert seen == {1: b"first", 2: b"second", 3: b"third"}
    assert list(logs.attempts(waiting)) == [1, 2]
    assert results.read_log(waiting, backend) == b"second"


def test_attempts_that_are_forgotten_still_count() -> None:
    history = tuple(past(str(number)) for number in range(3, 13))
    failed = a_task(state=TaskState.FAILED, claim="13", attempts=13, history=history)
    preempted = a_task(attempts=0, history=history[:2])

    assert {number: task.claim for number, task in logs.attempts(failed).items()} == {n: str(n) for n in range(3, 14)}
    assert list(logs.attempts(preempted)) == [1, 2]
    assert logs.attempts(a_task()) == {}
