"""Together: what one command changes of several jobs is changed in all of them or in none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from contracts.fakes import a_backend, a_manifest, applied
from contracts.nouns import put

from sparkles import lineup, marking
from sparkles.apply import execute
from sparkles.errors import BackendError, RequestError
from sparkles.manifest import Manifest
from sparkles.marking import Submitter
from sparkles.model import Job, JobState, TaskState
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared, find_job, prepare
from sparkles.settle import settle
from sparkles.together import together

ME = Submitter(owner="me", environment={"FROM": "shell"})

#: The parts of a whole, each of which needs the one before.
PARTS = ["w-a", "w-b", "w-c"]


class CutOffError(Exception):
    """The machine went dark."""


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home")
    with closing(backend.state):
        yield backend


@pytest.fixture
def prepared(tmp_path: Path, backend: Backend) -> Callable[[str], list[Prepared]]:
    """Return the parts of a whole that runs this program, prepared."""

    def prepared(program: str) -> list[Prepared]:
        found: list[Prepared] = []
        for name, needs in zip(PARTS, ([], PARTS[:1], PARTS[1:2]), strict=True):
            changing = [one.name for one in found if one.plan.touches_tasks or one.plan.waits]
            found.append(prepare(a_part(tmp_path, name, program, needs=needs), backend, changing=changing))
        return found

    return prepared


def a_part(base: Path, name: str, program: str, *, needs: list[str], whole: str = "w") -> Manifest:
    made = a_manifest(base, [program], name=name, needs=needs)
    part = {"kind": "Workflow", "name": whole, "part": name.removeprefix(f"{whole}-")}
    made.document["metadata"]["partOf"] = part
    return made


def carry_out(some: list[Prepared], backend: Backend) -> None:
    changed = [one for one in some if not one.plan.is_empty]
    with together(changed, backend, ME, force=False) as turns:
        for one in changed:
            execute(one, backend, ME, begun=turns.turn(one))


def cut_off(some: list[Prepared], backend: Backend, monkeypatch: pytest.MonkeyPatch, *, at: int) -> bool:
    """Carry out until the `at`-th write of the state, and die there; say whether it came to that."""
    writes, change = 0, backend.state.change

    def counted(*args: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes >= at:
            raise CutOffError
        return change(*args)

    with monkeypatch.context() as patch:
        patch.setattr(backend.state, "change", counted)
        try:
            carry_out(some, backend)
        except CutOffError:
            return True
    return False


def end(backend: Backend, name: str, state: TaskState = TaskState.SUCCEEDED) -> None:
    for task in backend.state.tasks(name):
        put(backend.state, replace(task, state=state))
    settle(name, backend)


def job(backend: Backend, name: str) -> Job:
    found = find_job(backend, name)
    assert found is not None
    return found


def states(backend: Backend) -> dict[str, tuple[JobState, int]]:
    return {one.name: (one.state, one.generation) for one in backend.state.jobs()}


def test_the_parts_of_a_new_whole_are_all_there_and_the_later_ones_wait(backend, prepared) -> None:
    carry_out(prepared("run"), backend)

    assert states(backend) == {
        "w-a": (JobState.ACTIVE, 1), "w-b": (JobState.WAITING, 1), "w-c": (JobState.WAITING, 1),
    }  # fmt: skip
    assert [one.applying for one in backend.state.jobs()] == [None] * 3


@pytest.mark.parametrize("first", ["the job", "the whole"])
def test_of_a_job_and_a_whole_of_one_name_that_are_new_at_once_one_is_made(backend, prepared, tmp_path, first) -> None:
    plain = [prepare(a_manifest(tmp_path, ["true"], name="w"), backend)]
    whole = prepared("run")
    one, other = (plain, whole) if first == "the job" else (whole, plain)

    carry_out(one, backend)
    with pytest.raises(RequestError, match=r"there is a job w already|w is a whole of 3 jobs"):
        carry_out(other, backend)

    assert sorted(states(backend)) == sorted(each.name for each in one)


def test_a_part_that_waits_does_not_begin_as_it_was_before_its_turn_has_come(backend, prepared) -> None:
    carry_out(prepared("old"), backend)
    end(backend, "w-a", TaskState.FAILED)

    some = prepared("new")
    with together(some, backend, ME, force=False) as turns:
        execute(some[0], backend, ME, begun=turns.turn(some[0]))
        end(backend, "w-a")
        between = list(backend.state.tasks("w-b"))
        for one in some[1:]:
            execute(one, backend, ME, begun=turns.turn(one))
    settle("w-b", backend)

    assert between == []
    assert [task.generation for task in backend.state.tasks("w-b")] == [3]
    assert job(backend, "w-b").state is JobState.ACTIVE


def test_nothing_is_changed_if_a_part_has_begun_since_that_was_planned(backend, prepared) -> None:
    carry_out(prepared("old"), backend)
    some = prepared("new")
    end(backend, "w-a")
    before = states(backend)

    with pytest.raises(BackendError, match="job w-b: changed by someone else since this was planned; run it again"):
        carry_out(some, backend)

    assert before["w-b"] == (JobState.ACTIVE, 2)
    assert states(backend) == before
    assert [one.applying for one in backend.state.jobs()] == [None] * 3


@pytest.mark.parametrize(("port", "call"), [("objects", "write_manifest"), ("state", "tasks")])
def test_what_had_no_turn_stays_as_it_was_if_the_turn_before_fails(backend, prepared, monkeypatch, port, call) -> None:
    carry_out(prepared("old"), backend)
    before = backend.state.jobs()
    some = prepared("new")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(getattr(backend, port), call, fail)
    with pytest.raises(OSError, match="no space left"):
        carry_out(some, backend)

    assert [replace(one, version=0) for one in backend.state.jobs()] == [replace(one, version=0) for one in before]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("at", range(1, 9))
def test_a_client_that_was_killed_anywhere_is_made_up_for_by_the_same_again(
    backend, prepared, monkeypatch, at, known
) -> None:
    if known:
        carry_out(prepared("old"), backend)
    died = cut_off(prepared("new"), backend, monkeypatch, at=at)

    carry_out(prepared("new"), backend)
    for name in PARTS:
        end(backend, name)

    assert died is (at < 8)
    assert {one.state for one in backend.state.jobs()} == {JobState.FINISHED}
    assert all(one.plan.is_empty for one in prepared("new"))


def test_parts_that_a_client_did_not_come_to_are_last_in_the_line(tmp_path, backend, prepared) -> None:
    carry_out(prepared("run")[:2], backend)
    marking.put_mark(prepare(a_part(tmp_path, "w-0", "run", needs=[]), backend), backend, ME)

    found = lineup.in_order(sorted(backend.state.jobs(), key=lambda one: one.name), backend)

    assert [one.name for one in found] == ["w-a", "w-b", "w-0"]


def test_a_part_whose_name_another_whole_took_meanwhile_is_refused(tmp_path, backend) -> None:
    old = prepare(a_part(tmp_path, "w-a-x", "run", needs=[], whole="w-a"), backend)
    applied(a_part(tmp_path, "w-a-x", "run", needs=[]), backend)
    seen = prepare(a_part(tmp_path, "w-a-x", "run", needs=[], whole="w-a"), backend)

    for late in (old, seen):
        with pytest.raises(BackendError, match="changed by someone else since this was planned"):
            execute(late, backend, ME)

    assert job(backend, "w-a-x").whole == "w"


def test_those_who_wait_for_their_turn_say_that_it_goes_on_however_long_another_takes(
    backend, prepared, monkeypatch
) -> None:
    monkeypatch.setattr("sparkles.mark.RENEWAL", 0.01)
    first, *others = prepared("run")

    def progress() -> list[float]:
        marks = [job(backend, one.name).applying for one in others]
        return [mark.progress for mark in marks if mark]

    with together([first, *others], backend, ME, force=False) as turns:
        turns.turn(first)
        before = progress()

        assert eventually(lambda: all(now > then for now, then in zip(progress(), before, strict=True)))
        assert len(before) == 2
