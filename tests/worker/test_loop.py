"""The worker's loop, in process, on a real store: commands are Python functions, the clock can be moved on."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from contracts.fakes import (
    FakeBuckets,
    FakePlace,
    ScriptedRunning,
    ScriptedRuntime,
    a_backend,
    a_manifest,
    applied,
    rows,
)
from contracts.nouns import a_node, put

from sparkles import lifecycle, presence, recover, results, spec
from sparkles.backends.local.state import SqliteState
from sparkles.errors import BackendError, UnreachableError
from sparkles.model import (
    JobState,
    Key,
    Node,
    NodeState,
    Reason,
    Records,
    Stop,
    Task,
    TaskState,
    Writes,
)
from sparkles.plan import Rerun
from sparkles.ports.backend import Backend
from sparkles.prepare import find_job
from sparkles.presence import FencedError
from sparkles.timing import Timing
from sparkles.worker.loop import Worker

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED


@pytest.fixture
def runtime() -> ScriptedRuntime:
    return ScriptedRuntime()


@pytest.fixture
def buckets() -> FakeBuckets:
    return FakeBuckets()


@pytest.fixture
def backend(tmp_path: Path, runtime: ScriptedRuntime, buckets: FakeBuckets) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home", host=runtime, buckets=buckets)
    with closing(backend.state):
        yield backend


@pytest.fixture
def place(tmp_path: Path) -> Iterator[FakePlace]:
    place = FakePlace("n", tmp_path / "work")
    yield place
    place.leave()


@pytest.fixture
def submit(tmp_path: Path, backend: Backend) -> Callable[..., Any]:
    def submit(*command: str, rerun: Rerun = Rerun.NONE, **spec: Any) -> None:
        applied(a_manifest(tmp_path, command, **spec), backend, rerun=rerun)

    return submit


@pytest.fixture
def worker(backend: Backend, place: FakePlace) -> Worker:
    """A worker of one slot whose node has been started; the job must be there before it runs."""
    return a_worker(backend, place)


def a_worker(backend: Backend, place: FakePlace, **timing: float) -> Worker:
    # Nothing is claimed ahead unless a test says so.
    return Worker(backend, place, Timing(**{"ahead": 0.0, "grace": 0.0, "retry": 0.001, **timing}))


def start_node(backend: Backend, *, slots: int = 1, name: str = "n") -> None:
    cluster = find_job(backend, "j").cluster
    put(backend.state, a_node(name, cluster=cluster, state=NodeState.STARTING, slots=slots))


def run(worker: Worker, backend: Backend, *, slots: int = 1) -> None:
    start_node(backend, slots=slots)
    worker.run()


def task(backend: Backend, index: int = 1) -> Task:
    found = backend.state.read([Key.task("j", index)])[Key.task("j", index)]
    assert isinstance(found, Task)
    return found


def node(backend: Backend) -> Node:
    found = backend.state.read([Key.node("n")])[Key.node("n")]
    assert isinstance(found, Node)
    return found


def log(backend: Backend, index: int = 1) -> str:
    return results.read_log(task(backend, index), backend).decode()


@pytest.fixture
def meanwhile(tmp_path: Path) -> Callable[..., None]:
    """Change a record through a connection of its own, as another process does; for use in scripts."""

    def meanwhile(key: Key, change: Callable[[Any], Any]) -> None:
        def move(records: Records) -> Writes:
            return Writes(put=[change(records[key])])

        with closing(SqliteState(tmp_path / "home" / "state.db")) as state:
            state.change([key], move)

    return meanwhile


# A task's way through


def test_a_task_runs_and_its_result_is_committed(submit, backend, worker, runtime, tmp_path) -> None:
    def fit(running: ScriptedRunning) -> None:
        running.say("fitting\n")
        running.write("model/fit.rds", "fitted")

    runtime.scripts["fit"] = fit
    submit("fit", "{x}", parameters=rows(["ä b"]), env={"SEED": "{index}"})

    run(worker, backend)

    (running,) = runtime.started
    assert list(running.launch.argv) == ["fit", "ä b"]
    assert running.launch.env["FROM"] == "shell"
    assert {name: running.launch.env[name] for name in ("SPARKLES_JOB", "SPARKLES_ATTEMPT", "SEED")} == {
        "SPARKLES_JOB": "j", "SPARKLES_ATTEMPT": "1", "SEED": "1",
    }  # fmt: skip
    assert "SPARKLES_TASK_INDEX" not in running.launch.env
    assert task(backend).state is S
    document = results.committed(task(backend), backend)
    assert document is not None
    assert document["command"] == ["fit", "ä b"]
    assert document["parameters"] == {"x": "ä b"}
    assert (document["exit"], document["reason"], document["attempt"]) == (0, "exit", 1)
    assert document["files"] == [{"name": "model/fit.rds", "size": 6}]
    assert (tmp_path / "home" / "objects" / "j" / "1" / "model" / "fit.rds").read_text() == "fitted"
    assert log(backend) == "fitting\n"


def test_a_worker_ends_the_job_and_goes_when_there_is_nothing_to_do(submit, backend, worker, place) -> None:
    submit("true", parameters={"seq": 5})

    run(worker, backend, slots=2)

    assert backend.state.counts("j") == {S: 5}
    assert find_job(backend, "j").state is JobState.FINISHED
    assert node(backend).state is NodeState.GONE
    assert list(place.work.iterdir()) == []


def test_the_index_is_in_the_environment_of_a_seq_alone(submit, backend, worker, runtime) -> None:
    submit("true", parameters={"seq": 2})

    run(worker, backend)

    assert [running.launch.env["SPARKLES_TASK_INDEX"] for running in runtime.started] == ["1", "2"]


def test_uploads_are_there_and_only_what_is_new_comes_back(submit, backend, worker, runtime, tmp_path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "in.txt").write_text("input")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    seen: dict[str, Any] = {}

    def look(running: ScriptedRunning) -> None:
        seen["input"] = (running.launch.folder / "data" / "in.txt").read_text()
        seen["mode"] = (running.launch.folder / "run.sh").stat().st_mode & 0o777
        running.write("data/out.txt", "output")

    runtime.scripts["look"] = look
    submit("look", uploads=["data", "run.sh"])

    run(worker, backend)

    assert seen == {"input": "input", "mode": 0o755}
    assert (results.committed(task(backend), backend) or {})["files"] == [{"name": "data/out.txt", "size": 6}]


# Failing, retrying, stopping


def test_a_command_that_fails_fails_its_task_and_keeps_its_result(submit, backend, worker, runtime) -> None:
    def fail(running: ScriptedRunning) -> int:
        running.say("no convergence\n")
        running.write("partial.txt", "half")
        return 3

    runtime.scripts["fail"] = fail
    submit("fail")

    run(worker, backend)

    assert (task(backend).state, task(backend).exit, task(backend).reason) == (F, 3, Reason.EXIT)
    assert log(backend) == "no convergence\n"
    assert (results.committed(task(backend), backend) or {})["files"] == [{"name": "partial.txt", "size": 4}]


def test_a_command_that_fails_is_tried_again_as_often_as_allowed(submit, backend, worker, runtime) -> None:
    submit("false", retries={"limit": 2})

    run(worker, backend)

    assert [running.launch.env["SPARKLES_ATTEMPT"] for running in runtime.started] == ["1", "2", "3"]
    assert (task(backend).state, task(backend).attempts, task(backend).failures) == (F, 3, 2)
    assert (results.committed(task(backend), backend) or {})["attempt"] == 3


def test_what_an_attempt_said_last_is_kept_and_the_log_of_one_that_was_tried_again(
    submit, backend, worker, runtime
) -> None:
    def flaky(running: ScriptedRunning) -> int:
        running.launch.log.write_text(f"try {running.launch.env['SPARKLES_ATTEMPT']}\nno\n")
        return 3

    runtime.scripts["flaky"] = flaky
    submit("flaky", retries={"limit": 1})

    run(worker, backend)

    after = task(backend)
    (past,) = after.history
    assert (after.state, after.said, past.said, past.exit, past.node) == (F, "no", "no", 3, "n")
    assert backend.objects.read_log("j", 1, past.claim, start=0) == b"try 1\nno\n"
    assert b"".join(results.read_whole_log(after, backend)) == b"try 2\nno\n"


def test_a_retry_that_succeeds_is_a_success(submit, backend, worker, runtime, tmp_path) -> None:
    def flaky(running: ScriptedRunning) -> int:
        running.write(f"{running.launch.env['SPARKLES_ATTEMPT']}.txt", "")
        return 0 if running.launch.env["SPARKLES_ATTEMPT"] == "2" else 1

    runtime.scripts["flaky"] = flaky
    submit("flaky", retries={"limit": 5})

    run(worker, backend)

    assert (task(backend).state, task(backend).attempts) == (S, 2)
    assert (results.committed(task(backend), backend) or {})["files"] == [{"name": "2.txt", "size": 0}]
    assert list(backend.objects.unpromoted("j")) == []


def test_a_program_that_is_not_there_fails_the_task_with_the_reason_in_its_log(submit, backend, worker) -> None:
    submit("no-such-program")

    run(worker, backend)

    assert (task(backend).state, task(backend).exit) == (F, 127)
    assert log(backend) == "sparkles: no-such-program: command not found\n"


def test_the_uploads_of_a_program_that_was_not_found_are_no_results(submit, backend, worker, tmp_path) -> None:
    (tmp_path / "in.txt").write_text("input")
    submit("no-such-program", uploads=["in.txt"])

    run(worker, backend)

    assert (results.committed(task(backend), backend) or {})["files"] == []


def test_an_upload_that_is_gone_from_the_store_fails_its_task_alone(submit, backend, worker, tmp_path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    submit("true", uploads=["{x}.txt"], parameters=rows(["a", "b"]))
    blobs = tmp_path / "home" / "objects" / ".sparkles" / "cas"
    next(blob for blob in blobs.iterdir() if blob.read_text() == "a").unlink()

    run(worker, backend)

    assert (task(backend, 1).state, task(backend, 1).reason) == (F, Reason.UPLOAD)
    assert "the task's files could not be brought in" in log(backend, 1)
    assert task(backend, 2).state is S


def test_files_of_buckets_are_there_when_the_command_starts(submit, backend, worker, buckets, runtime) -> None:
    for name in ("m.rds", "ref/a", "ref/b/c"):
        buckets.put(f"gs://bkt/{name}", name)
    found = {}

    def look(running: ScriptedRunning) -> None:
        folder = running.launch.folder
        found.update({str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()})

    runtime.scripts["run"] = look
    submit("run", uploads=["gs://bkt/m.rds:in/model", "gs://bkt/ref"])

    run(worker, backend)

    assert found == {"in/model": "m.rds", "ref/a": "ref/a", "ref/b/c": "ref/b/c"}
    assert task(backend).state is S


def test_an_object_that_was_replaced_since_the_submission_fails_the_task(submit, backend, worker, buckets) -> None:
    for name in "ab":
        buckets.put(f"gs://bkt/{name}", "before")
    submit("true", uploads=["gs://bkt/{x}:in"], parameters=rows(["a", "b"]))
    buckets.put("gs://bkt/a", "after")

    run(worker, backend)

    assert (task(backend, 1).state, task(backend, 1).reason) == (F, Reason.UPLOAD)
    assert "the task's files could not be brought in: gs://bkt/a#1 is not there any more" in log(backend, 1)
    assert task(backend, 2).state is S


def test_a_command_that_takes_too_long_is_asked_and_then_made_to_end(
    submit, backend, place, runtime, monkeypatch
) -> None:
    monkeypatch.setitem(spec._UNITS, "s", 0.02)

    def stubborn(running: ScriptedRunning) -> int:
        while len(running.signals) < 2:
            running.stopped.wait()
        return 137

    runtime.scripts["stubborn"] = stubborn
    submit("stubborn", timeout="1s")

    run(a_worker(backend, place, grace=0.01), backend)

    assert runtime.started[0].signals[:2] == [15, 9]
    # Long before the next beat.
    assert task(backend).ended - task(backend).started < Timing().beat
    assert (task(backend).state, task(backend).reason, task(backend).exit) == (F, Reason.TIMEOUT, 137)
    assert log(backend) == "sparkles: stopped after 0.02 s (timeout)\n"


def test_a_kill_reaches_a_running_task_and_those_that_wait(submit, backend, worker, runtime, place, meanwhile) -> None:
    def wait_for_kill(running: ScriptedRunning) -> int:
        meanwhile(Key.task("j", 2), lambda task: lifecycle.kill(task, now=1.0))
        meanwhile(Key.task("j", 1), lambda task: lifecycle.kill(task, now=1.0))
        meanwhile(Key.cluster("local-1-w"), lifecycle.bump)
        place.call()
        running.stopped.wait()
        running.say("stopped\n")
        return 143

    runtime.scripts["sleep"] = wait_for_kill
    submit("sleep", parameters={"seq": 2}, retries={"limit": 5})

    run(worker, backend)

    assert [task(backend, index).state for index in (1, 2)] == [K, K]
    assert task(backend, 1).reason is Reason.KILLED
    assert log(backend, 1) == "stopped\n"
    assert len(runtime.started) == 1


def test_a_replaced_task_is_stopped_and_runs_anew(submit, backend, worker, runtime, place, tmp_path) -> None:
    def old(running: ScriptedRunning) -> int:
        with closing(SqliteState(tmp_path / "home" / "state.db")) as state:
            applied(a_manifest(tmp_path, ["new"]), replace(backend, state=state))
        place.call()
        running.stopped.wait()
        running.write("old.txt", "")
        return 0

    runtime.scripts |= {"old": old, "new": lambda running: running.write("new.txt", "")}
    submit("old")

    run(worker, backend)

    assert (task(backend).state, task(backend).generation, task(backend).losses) == (S, 2, 0)
    assert (results.committed(task(backend), backend) or {})["files"] == [{"name": "new.txt", "size": 0}]


def test_a_running_task_that_is_to_run_anew_does_so_even_if_it_ends_first(
    submit, backend, worker, runtime, tmp_path
) -> None:
    """Its digest stays the same, so only `stop` tells its end from that of the run that was asked for."""

    def fit(running: ScriptedRunning) -> int:
        if len(runtime.started) == 1:
            with closing(SqliteState(tmp_path / "home" / "state.db")) as state:
                applied(a_manifest(tmp_path, ["fit"]), replace(backend, state=state), rerun=Rerun.ALL)
            return 1
        return 0

    runtime.scripts["fit"] = fit
    submit("fit")

    run(worker, backend)

    assert len(runtime.started) == 2
    assert task(backend).state is S


def test_a_task_that_is_deleted_while_it_runs_leaves_nothing(submit, backend, worker, runtime, place, tmp_path) -> None:
    def doomed(running: ScriptedRunning) -> int:
        with closing(SqliteState(tmp_path / "home" / "state.db")) as state:
            there = replace(backend, state=state)
            recover.delete(find_job(there, "j"), there, results=True)
        place.call()
        running.stopped.wait()
        return 0

    runtime.scripts["doomed"] = doomed
    submit("doomed")

    run(worker, backend)

    assert list(backend.state.jobs()) == []
    assert list(backend.objects.results("j")) == []
    assert list(backend.objects.unpromoted("j")) == []


# Fences


def test_a_worker_that_was_given_up_commits_nothing(submit, backend, worker, runtime, meanwhile) -> None:
    def given_up(_: ScriptedRunning) -> int:
        meanwhile(Key.node("n"), presence.lose)
        return 0

    runtime.scripts["work"] = given_up
    submit("work")

    with pytest.raises(FencedError):
        run(worker, backend)

    assert (task(backend).state, task(backend).node, task(backend).attempts) == (C, "n", 0)
    assert node(backend).state is NodeState.LOST
    assert list(backend.objects.results("j")) == []
    backend.compute.dead.add("n")
    recover.sweep({node(backend).cluster}, backend)
    assert task(backend).state is P
    assert list(backend.objects.unpromoted("j")) == []


def test_a_worker_whose_task_was_given_to_another_leaves_the_others_result_alone(
    submit, backend, worker, runtime, meanwhile
) -> None:
    def slow(running: ScriptedRunning) -> int:
        running.write("mine.txt", "")
        meanwhile(Key.task("j", 1), lambda task: lifecycle.give_back(task, now=1.0))
        meanwhile(Key.task("j", 1), lambda task: lifecycle.claim(task, node="other", token="other"))
        return 0

    runtime.scripts["slow"] = slow
    submit("slow")

    run(worker, backend)

    assert (task(backend).state, task(backend).claim) == (C, "other")
    assert list(backend.objects.results("j")) == []
    assert list(backend.objects.unpromoted("j")) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda node: replace(node, beat=node.beat + 1), "another writes its beats", id="beat"),
        pytest.param(lambda node: replace(node, state=NodeState.GONE), "it is gone", id="gone"),
    ],
)
def test_a_worker_whose_record_others_changed_stops(submit, backend, worker, runtime, meanwhile, change, why) -> None:
    def work(_: ScriptedRunning) -> int:
        meanwhile(Key.node("n"), change)
        return 0

    runtime.scripts["work"] = work
    submit("work")

    with pytest.raises(FencedError):
        run(worker, backend)

    assert task(backend).state is C, why


def test_a_worker_that_could_not_commit_for_the_whole_lease_stops(submit, backend, worker, runtime, place) -> None:
    def long(running: ScriptedRunning) -> int:
        place.ahead += 119.0
        return 0

    runtime.scripts["long"] = long
    submit("long")

    with pytest.raises(FencedError):
        run(worker, backend)

    assert (task(backend).state, task(backend).attempts) == (C, 0)
    assert list(backend.objects.results("j")) == []


def test_near_the_end_of_the_lease_commands_are_stopped_and_tasks_given_back(
    submit, backend, worker, runtime, place
) -> None:
    def long(running: ScriptedRunning) -> int:
        if len(runtime.started) > 1:
            return 0
        place.ahead += 95.0
        place.call()
        running.stopped.wait()
        return 143

    runtime.scripts["long"] = long
    submit("long")

    run(worker, backend)

    assert runtime.started[0].signals[0] == 15
    assert (task(backend).state, task(backend).attempts, task(backend).losses) == (S, 1, 0)


def test_a_worker_whose_record_is_not_there_or_not_starting_does_not_begin(submit, backend, worker) -> None:
    submit("true")

    with pytest.raises(FencedError):
        worker.run()
    put(backend.state, a_node(cluster="local-1-w", state=NodeState.ALIVE))
    with pytest.raises(FencedError):
        worker.run()

    assert task(backend).state is P


# Bad tasks, bad luck


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda task: replace(task, row="no JSON"), id="its row cannot be read"),
        pytest.param(lambda task: replace(task, generation=99), id="its manifest is not there"),
        pytest.param(lambda task: replace(task, digest=b"other" * 6 + b"xx"), id="its manifest is not what it was"),
    ],
)
def test_a_task_that_cannot_be_read_fails_in_the_end_and_others_run(submit, backend, worker, spoil) -> None:
    submit("true", parameters={"seq": 3})
    put(backend.state, spoil(task(backend, 2)))

    run(worker, backend)

    assert [task(backend, index).state for index in (1, 2, 3)] == [S, F, S]
    assert (task(backend, 2).reason, task(backend, 2).exit, task(backend, 2).losses) == (Reason.UPLOAD, None, 0)
    assert results.read_log(task(backend, 2), backend).startswith(b"sparkles: this task cannot be executed: ")
    assert node(backend).state is NodeState.GONE


def test_a_slot_that_breaks_takes_only_its_task_along(submit, backend, worker, runtime, capsys) -> None:
    def broken(_: ScriptedRunning) -> int:
        raise ZeroDivisionError

    runtime.scripts["run"] = lambda running: broken(running) if running.launch.env["SPARKLES_TASK_INDEX"] == "1" else 0
    submit("run", parameters={"seq": 2})

    run(worker, backend)

    assert [task(backend, index).state for index in (1, 2)] == [F, S]
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_a_result_that_cannot_be_stored_at_once_is_tried_again_without_running_the_command_again(
    submit, backend, place, runtime, monkeypatch
) -> None:
    tries = []
    publish = backend.objects.publish

    def failing(result: Any, **options: Any) -> str:
        tries.append(result.claim)
        if len(tries) < 3:
            raise OSError(28, "No space left on device")
        return publish(result, **options)

    monkeypatch.setattr(backend.objects, "publish", failing)
    monkeypatch.setattr("sparkles.worker.publisher._FIRST_WAIT", 0.001)
    submit("true")

    run(a_worker(backend, place), backend)

    assert len(tries) == 3
    assert len(runtime.started) == 1
    assert task(backend).state is S


def test_a_result_that_can_never_be_stored_fails_the_task(submit, backend, place, monkeypatch) -> None:
    def failing(_: Any, **__: Any) -> str:
        raise BackendError("the bucket is gone")

    monkeypatch.setattr(backend.objects, "publish", failing)
    submit("true", retries={"limit": 3})

    run(a_worker(backend, place, upload_patience=0.0), backend)

    assert (task(backend).state, task(backend).reason) == (F, Reason.UPLOAD)
    assert task(backend).said == "sparkles: the task's result could not be stored: the bucket is gone"
    assert task(backend).attempts == 1


def test_a_commit_that_the_store_refuses_is_tried_again(submit, backend, worker, runtime, monkeypatch) -> None:
    change = backend.state.change
    refusals = [True, False, True]

    def failing(keys: Any, move: Any) -> Any:
        if runtime.started and refusals and refusals.pop():
            raise BackendError("disk full")
        return change(keys, move)

    monkeypatch.setattr(backend.state, "change", failing)
    submit("true")

    run(worker, backend)

    assert not refusals
    assert (task(backend).state, task(backend).attempts) == (S, 1)


@pytest.mark.parametrize("lost", ["its answer", "its answer, and it comes late"])
@pytest.mark.parametrize("number", range(2, 8))
def test_a_commit_that_was_made_although_nobody_said_so_is_not_made_twice(
    submit, backend, worker, runtime, monkeypatch, number, lost
) -> None:
    """Every commit of the worker in turn, from its second on: the first one adopts the node."""
    runtime.scripts["once"] = lambda running: running.say("done")
    submit("once")
    change, calls, late = backend.state.change, 0, []

    def unsure(keys: Any, move: Any) -> Any:
        nonlocal calls
        calls += Key.node("n") in keys
        for earlier in late:
            change(*earlier)
        late.clear()
        if calls == number and Key.node("n") in keys:
            calls += 1
            if lost == "its answer":
                change(keys, move)
            else:
                late.append((keys, move))
            raise BackendError("the connection was reset")
        return change(keys, move)

    start_node(backend)
    monkeypatch.setattr(backend.state, "change", unsure)
    worker.run()

    assert (task(backend).state, task(backend).attempts) == (S, 1)
    assert len(runtime.started) == 1
    assert find_job(backend, "j").state is JobState.FINISHED
    assert node(backend).state is NodeState.GONE


@pytest.mark.parametrize("name", ["read", "pending", "open_jobs", "held"])
def test_a_worker_lives_through_a_store_that_cannot_be_read(
    tmp_path, submit, backend, place, runtime, monkeypatch, name
) -> None:
    """Each way of asking fails three times, at any moment of a worker's life."""
    refusals = [True, False, True, False, False, True]
    real = getattr(backend.state, name)

    def unreachable(*args: Any, **options: Any) -> Any:
        if node(backend).state is not NodeState.STARTING and name != "read" and refusals and refusals.pop():
            raise UnreachableError("Datastore does not answer")
        return real(*args, **options)

    def read(keys: Any) -> Any:
        if list(keys) == [cluster] and refusals and refusals.pop():
            raise UnreachableError("Datastore does not answer")
        return real(keys)

    submit("slow", parameters=rows("ab"))
    cluster = Key.cluster(find_job(backend, "j").cluster)
    runtime.scripts["slow"] = lambda running: running.stopped.wait(0.3) and None
    start_node(backend)
    worker = a_worker(backend, place, look=0.05, idle_look=0.1)
    worker._adopt()
    monkeypatch.setattr(worker, "_adopt", lambda: None)
    monkeypatch.setattr(backend.state, name, read if name == "read" else unreachable)
    for _ in range(2 if name == "held" else 0):  # what a worker holds is only asked for when something has changed
        backend.state.change([cluster], lambda records: Writes(put=[lifecycle.bump(records[cluster])]))
    worker.run()

    assert [task(backend, index).state for index in (1, 2)] == [S, S]
    assert node(backend).state is NodeState.GONE
    assert find_job(backend, "j").state is JobState.FINISHED


def test_what_runs_is_ended_with_the_lease_though_the_store_hangs(submit, backend, place, runtime, monkeypatch) -> None:
    """The loop waits for an answer; nothing may run any more by the time that others take over."""
    change, hangs = backend.state.change, threading.Event()
    ended_while_it_hung: list[bool] = []

    def long(running: ScriptedRunning) -> None:
        ended_while_it_hung.append(running.stopped.wait(10) and not hangs.is_set())
        hangs.set()

    def hanging(keys: Any, move: Any) -> Any:
        if runtime.started and Key.node("n") in keys:
            hangs.wait(30)
        return change(keys, move)

    runtime.scripts["long"] = long
    submit("long")
    monkeypatch.setattr(backend.state, "change", hanging)
    start_node(backend)
    worker = a_worker(backend, place, beat=0.05, lease=0.6, claim_margin=0.3, term_margin=0.2, kill_margin=0.1)

    with pytest.raises(FencedError):
        worker.run()

    assert ended_while_it_hung == [True]


def test_a_task_goes_back_when_its_manifest_or_its_files_are_out_of_reach(
    tmp_path, submit, backend, worker, runtime, monkeypatch
) -> None:
    (tmp_path / "in.txt").write_text("x")
    submit("true", uploads=["in.txt"])
    failures = ["read_manifest", "stage", "stage"]

    def unreachable(name: str) -> Any:
        real = getattr(backend.objects, name)

        def call(*args: Any, **options: Any) -> Any:
            if name in failures:
                failures.remove(name)
                raise UnreachableError("the bucket cannot be reached")
            return real(*args, **options)

        return call

    for name in ("read_manifest", "stage"):
        monkeypatch.setattr(backend.objects, name, unreachable(name))
    run(worker, backend)

    assert failures == []
    assert (task(backend).state, task(backend).attempts, task(backend).losses) == (S, 1, 0)
    assert len(runtime.started) == 1


def test_a_worker_that_was_given_up_while_a_commit_was_unsure_stops(
    submit, backend, worker, runtime, meanwhile, monkeypatch
) -> None:
    change = backend.state.change
    refused: list[bool] = []

    def unsure(keys: Any, move: Any) -> Any:
        if runtime.started and not refused:
            refused.append(True)
            meanwhile(Key.node("n"), presence.lose)
            raise BackendError("the connection was reset")
        return change(keys, move)

    monkeypatch.setattr(backend.state, "change", unsure)
    submit("true")

    with pytest.raises(FencedError):
        run(worker, backend)

    assert task(backend).state is C


def test_a_worker_writes_no_more_often_than_it_may(submit, backend, place, runtime, monkeypatch) -> None:
    change, written = backend.state.change, []

    def counted(keys: Any, move: Any) -> Any:
        written.extend([place.clock()] * (Key.node("n") in keys))
        return change(keys, move)

    submit("true", parameters=rows("abcdefgh"))
    monkeypatch.setattr(backend.state, "change", counted)
    start_node(backend)
    a_worker(backend, place, commit_gap=0.1).run()

    # The first claim, and each of eight ends in a commit of its own; four of these nine may come at once.
    assert len(written) >= 9
    assert written[-1] - written[0] >= 0.1 * (9 - 4)


def test_an_idle_worker_looks_less_and_less_often_at_its_cluster(submit, backend, place, monkeypatch) -> None:
    submit("true")
    start_node(backend)
    read, looks, asked = backend.state.read, [], []
    pending = backend.state.pending
    cluster = Key.cluster(find_job(backend, "j").cluster)

    def reading(keys: Any) -> Any:
        looks.extend([place.clock()] * (list(keys) == [cluster]))
        return read(keys)

    def asking(name: str, *, limit: int) -> Any:
        asked.append(place.clock())
        return pending(name, limit=limit)

    monkeypatch.setattr(backend.state, "read", reading)
    monkeypatch.setattr(backend.state, "pending", asking)
    worker = a_worker(backend, place, look=0.05, idle_look=0.8)
    backend.state.change([cluster], lambda records: Writes(put=[replace(records[cluster], linger=1.5)]))
    worker.run()

    pauses = [later - earlier for earlier, later in itertools.pairwise(looks)]
    assert max(pauses) > 3 * min(pauses[1:4])
    assert max(pauses) < 0.8
    assert 3 <= len(asked) < len(looks)


@pytest.mark.parametrize("name", ["stdout.txt/x", "result.json/x", "stdout.txt", "result.json"])
def test_a_task_may_write_what_is_called_like_a_file_of_ours(submit, backend, worker, runtime, place, name) -> None:
    runtime.scripts["odd"] = lambda running: running.write(name, "mine")
    submit("odd")

    run(a_worker(backend, place, upload_patience=0.0), backend)

    assert task(backend).state is S
    document = results.committed(task(backend), backend) or {}
    assert [file["size"] for file in document["files"]] == [4]
    assert name.split("/")[0] in document["notes"][0]
    assert node(backend).state is NodeState.GONE


# Claims


def test_no_more_is_claimed_than_there_are_slots_until_it_is_known_how_long_tasks_take(
    submit, backend, place, runtime
) -> None:
    held: list[int] = []

    def count(_: ScriptedRunning) -> None:
        with closing(SqliteState(place.work.parent / "home" / "state.db")) as state:
            held.append(len(state.held("n")))

    runtime.scripts["count"] = count
    submit("count", parameters={"seq": 30})

    run(a_worker(backend, place, ahead=5.0), backend)

    assert held[0] == 1
    assert max(held) > 1
    assert backend.state.counts("j") == {S: 30}


def test_a_worker_that_is_told_to_go_gives_back_what_it_runs_and_holds_free_of_charge(
    submit, backend, place, runtime
) -> None:
    worker = a_worker(backend, place, ahead=5.0)

    def third(running: ScriptedRunning) -> int:
        if len(runtime.started) < 3:
            return 0
        worker.terminate()
        running.stopped.wait()
        return 143

    runtime.scripts["work"] = third
    submit("work", parameters={"seq": 30})

    run(worker, backend)

    assert backend.state.counts("j") == {S: 2, P: 28}
    tasks = list(backend.state.tasks("j", states=[P]))
    assert {(task.attempts, task.losses, task.node, task.claim) for task in tasks} == {(0, 0, None, None)}
    assert node(backend).state is NodeState.GONE
    assert list(place.work.iterdir()) == []
    assert list(backend.objects.unpromoted("j")) == []


def test_work_that_comes_while_a_node_is_about_to_leave_keeps_it(submit, backend, worker, monkeypatch) -> None:
    submit("true")
    pending = backend.state.pending
    leaving: list[NodeState] = []

    def late(cluster: str, *, limit: int) -> Any:
        state = node(backend).state
        if state is NodeState.LEAVING and not leaving:
            leaving.append(state)
            submit("true", parameters={"seq": 2})
        return pending(cluster, limit=limit)

    monkeypatch.setattr(backend.state, "pending", late)

    run(worker, backend)

    assert leaving
    assert backend.state.counts("j") == {S: 2}
    assert node(backend).state is NodeState.GONE


def test_a_node_that_lingers_takes_the_work_that_it_is_called_for(submit, backend, place, runtime, tmp_path) -> None:
    submit("true", nodes={"linger": "1h"})
    worker = a_worker(backend, place)

    def again(running: ScriptedRunning) -> None:
        with closing(SqliteState(tmp_path / "home" / "state.db")) as state:
            applied(a_manifest(tmp_path, ["last"], name="k"), replace(backend, state=state))
        place.call()

    runtime.scripts |= {"true": again, "last": lambda _: worker.terminate()}

    run(worker, backend)

    assert [running.launch.argv[0] for running in runtime.started] == ["true", "last"]


def test_tasks_of_another_cluster_are_left_alone(submit, backend, worker) -> None:
    submit("true", parameters={"seq": 2})
    put(backend.state, replace(task(backend, 2), cluster="elsewhere"))

    run(worker, backend)

    assert [task(backend, index).state for index in (1, 2)] == [S, P]


def test_a_stop_of_a_task_that_is_not_begun_ends_it_without_running_it(
    submit, backend, worker, meanwhile, runtime
) -> None:
    submit("true")
    claim = worker._handover.take

    def killed_first(written: Any, tokens: Any) -> bool:
        meanwhile(Key.task("j", 1), lambda task: replace(task, stop=Stop.KILLED))
        claimed = claim(written, tokens)
        for execution in list(worker._slots.held.values()):
            worker._slots.stop(execution, Reason.KILLED)
        return claimed

    worker._handover.take = killed_first

    run(worker, backend)

    assert task(backend).state is K


# What was claimed ahead


def test_nothing_is_begun_of_a_job_that_is_being_killed_however_long_that_takes(
    submit, backend, worker, runtime, place, meanwhile
) -> None:
    def wait_for_the_mark(running: ScriptedRunning) -> int:
        meanwhile(Key.job("j"), lambda job: lifecycle.kill_job(job, by="eva"))
        meanwhile(Key.cluster("local-1-w"), lifecycle.bump)
        place.call()
        running.stopped.wait()
        return 143

    runtime.scripts["run"] = wait_for_the_mark
    submit("run", parameters={"seq": 5})

    run(worker, backend)

    assert [task(backend, index).state for index in range(1, 6)] == [K, K, K, K, K]
    assert {task(backend, index).killed_by for index in range(2, 6)} == {"eva"}, "a kill that was cut off is completed"
    assert len(runtime.started) == 1


def test_a_worker_stops_its_job_when_too_many_tasks_have_failed_although_it_holds_more_of_it(
    submit, backend, place, runtime
) -> None:
    def fail(running: ScriptedRunning) -> int:
        if len(runtime.started) > 4:  # those that began before the job was stopped
            running.stopped.wait()
        return 3

    runtime.scripts["run"] = fail
    submit("run", parameters={"seq": 30}, failFast={"maxFailures": "1"})

    run(a_worker(backend, place, ahead=5.0), backend, slots=2)

    counts = backend.state.counts("j")
    assert 2 <= counts[F] <= 6
    assert counts[F] + counts[K] == 30
    assert find_job(backend, "j").killed_by.startswith("failFast: ")


def test_a_worker_goes_on_with_what_was_held_back(submit, backend, worker, runtime) -> None:
    runtime.scripts["run"] = lambda _: 0
    submit("run", "{index}", parameters={"seq": 5}, canary=2)

    run(worker, backend)

    assert backend.state.counts("j") == {S: 5}
    assert find_job(backend, "j").state is JobState.FINISHED


def test_what_is_claimed_ahead_and_killed_goes_back_at_once(
    submit, backend, place, runtime, meanwhile, tmp_path
) -> None:
    """One slot runs a long task; those behind it must not stay claimed until that has ended."""

    def are(state: TaskState) -> bool:
        # A connection of its own: this runs in the slot's thread.
        with closing(SqliteState(tmp_path / "home" / "state.db")) as store:
            return all(store.read([key])[key].state is state for key in (Key.task("j", 3), Key.task("j", 4)))

    def script(running: ScriptedRunning) -> None:
        if running.launch.env["SPARKLES_TASK_INDEX"] != "2":
            return
        eventually(lambda: are(TaskState.CLAIMED))  # this thread may be quicker than the node's next claim
        for index in (3, 4):
            meanwhile(Key.task("j", index), lambda task: replace(task, stop=Stop.KILLED))
        meanwhile(Key.cluster("local-1-w"), lifecycle.bump)
        place.call()
        eventually(lambda: are(TaskState.KILLED))

    runtime.scripts["run"] = script
    submit("run", parameters={"seq": 4})

    run(a_worker(backend, place, ahead=1000.0), backend)

    assert [task(backend, index).state for index in (1, 2, 3, 4)] == [S, S, K, K]
    assert len(runtime.started) == 2


def test_a_task_that_is_killed_while_its_files_come_is_not_started(
    submit, backend, worker, runtime, monkeypatch, tmp_path
) -> None:
    (tmp_path / "in.txt").touch()
    submit("true", uploads=["in.txt"])
    stage = backend.objects.stage

    def stage_slowly(*words: Any, **options: Any) -> None:
        (execution,) = worker._slots.held.values()
        execution.stop(Reason.KILLED)
        stage(*words, **options)

    monkeypatch.setattr(backend.objects, "stage", stage_slowly)
    start_node(backend)
    monkeypatch.setattr(worker, "_is_done", lambda: worker._ledger.node.beat > 3 and not worker._slots.held)

    worker.run()

    assert runtime.started == []


def test_a_task_given_back_to_other_machines_gets_some(submit, backend, worker, runtime, meanwhile) -> None:
    """After a change of resources this node may not claim it again, and the others may have left."""

    def moved(running: ScriptedRunning) -> None:
        meanwhile(Key.cluster("local-1-w"), lambda cluster: replace(cluster, name="local-9-w", slots=9))
        meanwhile(Key.job("j"), lambda job: replace(job, cluster="local-9-w"))
        meanwhile(
            Key.task("j", 1), lambda task: replace(task, cluster="local-9-w", digest=b"x" * 32, stop=Stop.REPLACED)
        )

    runtime.scripts["run"] = moved
    submit("run")

    run(worker, backend)

    assert task(backend).state is P
    assert backend.compute.raised == [1, 1]


def test_samples_outlast_the_commits_of_other_tasks(submit, backend, place, runtime) -> None:
    worker = a_worker(backend, place, beat=1e-9)
    seen = []

    def script(running: ScriptedRunning) -> None:
        eventually(lambda: worker._slots._samples)
        worker._timing = worker._ledger._timing = Timing(ahead=0.0, beat=1000.0)
        seen.append(dict(worker._slots._samples))

    runtime.scripts["run"] = script
    submit("run")

    run(worker, backend)

    ((sample,),) = (each.values() for each in seen)
    assert sample.total == 2
    assert 0.0 <= sample.seconds < 60.0


def test_nothing_is_claimed_ahead_of_a_job_that_was_not_measured(submit, backend, place, runtime, tmp_path) -> None:
    """Quick tasks of one job must not make those of another wait, claimed, behind a long one."""
    claimed = []

    def script(running: ScriptedRunning) -> None:
        if running.launch.env["SPARKLES_JOB"] == "other" and not claimed:
            with closing(SqliteState(tmp_path / "home" / "state.db")) as state:
                claimed.extend(task.index for task in state.held("n") if task.job == "other")

    runtime.scripts["run"] = script
    submit("run", parameters={"seq": 5})
    applied(a_manifest(tmp_path, ["run"], name="other", parameters={"seq": 5}), backend)

    run(a_worker(backend, place, ahead=1000.0), backend)

    assert claimed == [1]
    assert backend.state.counts("other") == {S: 5}
