"""Fetching: what was committed comes, to where it belongs, once."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import a_backend
from contracts.nouns import a_task
from contracts.objects import a_result, always

from sparkles import fetching
from sparkles.errors import BackendError, RequestError
from sparkles.fetching import Choice, Destination, Folder, Outcome
from sparkles.model import Task, TaskState, Writes
from sparkles.ports.backend import Backend
from sparkles.ports.objects import Fetched, Moved


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home")
    with closing(backend.state):
        yield backend


@pytest.fixture
def publish(backend: Backend, tmp_path: Path) -> Any:
    def publish(claim: str, *, index: int = 1, log: bytes = b"", files: dict[str, bytes] | None = None) -> Task:
        result = a_result(backend.objects, tmp_path / claim, claim, index=index, log=log, files=files or {})
        generation = backend.objects.publish(result, holds=always)
        return a_task(index, state=TaskState.SUCCEEDED, claim=claim, result_generation=generation)

    return publish


@pytest.fixture
def fetch(backend: Backend, tmp_path: Path) -> Any:
    """Fetch some tasks' results, or without any all that are there, to `out`."""

    def fetch(tasks: Iterable[Task] | None, **parts: Any) -> Outcome:
        found = fetching.folders("j", tasks, backend)
        return fetching.fetch(found, Destination(tmp_path / "out"), backend, **parts)

    return fetch


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_results_come_to_folders_with_the_tasks_index(publish, fetch, tmp_path) -> None:
    tasks = [publish("a", index=1, log=b"one\n", files={"x": b"1"}), a_task(2), publish("b", index=7)]

    outcome = fetch(tasks)

    assert names(tmp_path / "out") == ["1/result.json", "1/stdout.txt", "1/x", "7/result.json", "7/stdout.txt"]
    assert (outcome.results, outcome.without, outcome.files.files) == (2, 1, 5)
    assert outcome.files.size == sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_a_result_that_is_not_in_its_place_yet_is_moved_there_and_comes(publish, fetch, backend, tmp_path) -> None:
    fetch([publish("a", files={"x": b"1"})])

    assert (tmp_path / "out/1/x").exists()
    assert backend.objects.results("j") == [1]


def test_what_a_deleted_job_left_comes_too(publish, fetch, backend, tmp_path) -> None:
    backend.objects.promote("j", 3, publish("a", index=3).result_generation)

    assert fetch(None).results == 1
    assert (tmp_path / "out/3/result.json").exists()


def test_a_second_fetch_goes_on_where_the_first_was_cut_off(publish, fetch, tmp_path) -> None:
    tasks = [publish(str(index), index=index, files={"x": b"1"}) for index in (1, 2, 3)]
    seen: list[Moved] = []

    def cut_off(moved: Moved) -> None:
        seen.append(moved)
        if sum(one.files for one in seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tasks, moved=cut_off)
    again = fetch(tasks)

    assert (again.files.files, again.files.there) == (5, 4)
    assert fetch(tasks).files == Fetched(there=9)


@contextmanager
def in_the_middle(fetch: Callable[..., Outcome]) -> Iterator[None]:
    """Have another process copy a part of a file and stay there; kill it at the end."""
    ready, half = os.pipe()

    def wait(moved: Moved) -> None:
        if moved.size:
            os.write(half, b"x")
            signal.pause()

    if (pid := os.fork()) == 0:
        try:
            fetch(moved=wait)
        finally:
            os._exit(0)
    os.read(ready, 1)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(half)


def test_what_a_fetch_left_that_was_killed_goes_with_the_next_one(publish, fetch, tmp_path) -> None:
    task = publish("a", files={"x": b"1"})
    (tmp_path / "out/1").mkdir(parents=True)
    (tmp_path / "out/1/.sparkles-mine").write_text("of the user")
    with in_the_middle(lambda **how: fetch([task], **how)):
        pass
    left = names(tmp_path / "out")

    fetch([task])

    assert len(left) == 3
    assert names(tmp_path / "out") == ["1/.sparkles-mine", "1/result.json", "1/stdout.txt", "1/x"]


def test_results_that_are_deleted_meanwhile_are_told_from_those_that_never_were(
    publish, fetch, backend, tmp_path
) -> None:
    tasks = [publish("a", index=1, log=b"1"), publish("b", index=2), a_task(3), publish("c", index=4)]
    backend.state.change([tasks[3].key], lambda _: Writes(put=[tasks[3]]))

    def delete(_: Moved) -> None:
        for index in (2, 4):
            backend.objects.discard("j", index, tasks[index - 1].claim)

    outcome = fetch(tasks, moved=delete)

    assert (outcome.results, outcome.gone, outcome.without) == (1, 1, 2)  # the fourth is on record, if nowhere else


def test_what_another_fetch_is_just_writing_stays(publish, fetch, tmp_path) -> None:
    task = publish("a", files={"x": b"1"})

    with in_the_middle(lambda **how: fetch([task], **how)):
        fetch([task])
        there = names(tmp_path / "out")

    assert len(there) == 4
    assert there[0].startswith("1/.sparkles-")


def test_only_the_files_come_that_a_pattern_names(publish, fetch, tmp_path) -> None:
    task = publish("a", files={"a.csv": b"1", "deep/b.csv": b"2", "plots/x.svg": b"3", "y.txt": b"4"})

    fetch([task], choice=Choice(include=("*.csv", "plots/")))

    assert names(tmp_path / "out") == ["1/a.csv", "1/deep/b.csv", "1/plots/x.svg"]


def test_with_flat_the_tasks_own_files_lie_in_one_folder(publish, fetch, backend, tmp_path) -> None:
    tasks = [publish(str(index), index=index, files={f"deep/{index}.csv": b"1"}) for index in (1, 2)]
    choice = Choice(flat=True)

    fetching.check_names(fetching.folders("j", tasks, backend), choice, backend)
    fetch(tasks, choice=choice)

    assert names(tmp_path / "out") == ["1.csv", "2.csv"]


def test_with_flat_two_files_of_one_name_are_refused_before_anything_is_copied(publish, backend) -> None:
    tasks = [publish(str(index), index=index, files={f"{index}/out.csv": b"1"}) for index in (1, 2)]
    inside = publish("c", index=3, files={"a/x": b"1", "b/x": b"2"})

    with pytest.raises(
        RequestError, match=r"'1/out.csv' of j.1 and '2/out.csv' of j.2 would both be 'out.csv'.*--prefix"
    ):
        fetching.check_names(fetching.folders("j", tasks, backend), Choice(flat=True), backend)
    with pytest.raises(RequestError, match=r"'a/x' of j.3 and 'b/x' of j.3 would both be '3-x'; .*--include") as told:
        fetching.check_names(fetching.folders("j", [inside], backend), Choice(flat=True, prefix=True), backend)

    assert "--prefix" not in str(told.value)


@pytest.mark.parametrize(
    ("choice", "name", "called"),
    [
        (Choice(), "stdout.txt", "3/stdout.txt"),
        (Choice(several=True), "a/b", "fit/3/a/b"),
        (Choice(include=("*.txt",)), "stdout.txt", "3/stdout.txt"),
        (Choice(include=("*.txt",)), "a.csv", None),
        (Choice(flat=True), "a/b", "b"),
        (Choice(flat=True), "stdout.txt", None),
        (Choice(flat=True, include=("*.txt",)), "result.json", None),
        (Choice(flat=True, include=("*.txt",)), "stdout.txt", None),
        (Choice(flat=True, prefix=True, include=("stdout.txt",)), "stdout.txt", "3-stdout.txt"),
        (Choice(flat=True, prefix=True, several=True), "a/b", "fit.3-b"),
    ],
)
def test_a_file_is_called_as_it_was_chosen(choice, name, called) -> None:
    assert choice.name(Folder(job="fit", index=3), name) == called


def test_nothing_is_written_through_a_link_that_leads_out_of_the_folder(publish, fetch, tmp_path) -> None:
    task = publish("a", files={"x": b"1", "deep/y": b"2"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/1").mkdir(parents=True)
    (tmp_path / "out/1/deep").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BackendError, match=r"out/1/deep: a link that leads out of"):
        fetch([task])

    assert names(tmp_path / "elsewhere") == []


def test_the_folder_itself_may_be_a_link(publish, fetch, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")

    fetch([publish("a", files={"x": b"1"})])

    assert names(tmp_path / "elsewhere") == ["1/result.json", "1/stdout.txt", "1/x"]


def test_a_full_disk_is_told_with_what_helps(publish, fetch, tmp_path) -> None:
    def full(moved: Moved) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "out/1/x")

    with pytest.raises(
        BackendError, match=r"out/1/x: No space left on device; make room: .*the same command goes on from there"
    ):
        fetch([publish("a", files={"x": b"1"})], moved=full)


def test_a_folder_where_a_file_is_to_be_is_an_error_with_words(publish, fetch, tmp_path) -> None:
    (tmp_path / "out/1/x").mkdir(parents=True)

    with pytest.raises(BackendError, match="Is a directory"):
        fetch([publish("a", files={"x": b"1"})])


def test_a_result_that_is_replaced_while_it_is_copied_is_copied_again(publish, fetch, backend, tmp_path) -> None:
    backend.objects.promote("j", 1, publish("a", files={"x": b"old"}).result_generation)
    replaced = []

    def replace(moved: Moved) -> None:
        if not replaced:
            replaced.append(True)
            backend.objects.promote("j", 1, publish("b", files={"x": b"new"}).result_generation)

    fetch(None, moved=replace)

    assert (tmp_path / "out/1/x").read_bytes() == b"new"


def test_a_result_that_changes_all_the_time_is_an_error(publish, fetch, backend) -> None:
    backend.objects.promote("j", 1, publish("0").result_generation)
    number = iter(range(1, 1000))

    def replace(moved: Moved) -> None:
        backend.objects.promote("j", 1, publish(str(next(number))).result_generation)

    with pytest.raises(RequestError, match=r"the result of j\.1 changes while it is copied"):
        fetch(None, moved=replace)
