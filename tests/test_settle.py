"""Settle: jobs that need others wait, begin when these have succeeded, and run again only what that changes."""

from __future__ import annotations

import inspect
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import FakeBuckets, a_backend, a_manifest, applied, rows
from contracts.nouns import put
from contracts.objects import a_document, always

from sparkles import lifecycle, needs, polling, recover, takeover
from sparkles import manifest as manifests
from sparkles.apply import execute
from sparkles.compile import Definition
from sparkles.dry import read_only
from sparkles.errors import BackendError, RequestError, SparklesError
from sparkles.manifest import Manifest
from sparkles.marking import Submitter
from sparkles.model import Applying, Job, JobState, Key, Task, TaskState, Writes
from sparkles.plan import Rerun, Verb
from sparkles.ports.backend import Backend
from sparkles.ports.objects import Output, Result
from sparkles.prepare import find_job, prepare, prepare_stored
from sparkles.settle import agree, settle, settle_waiting
from sparkles.spec import spec_of

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED
ME = Submitter(owner="me", environment={"FROM": "shell"})
ROWS = {"parameters": {"csv": "{results.first}/1/rows.csv"}}


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home")
    with closing(backend.state):
        yield backend


@pytest.fixture
def first(tmp_path: Path, backend: Backend) -> Callable[..., Job]:
    """Apply the job that others need, and let its tasks end with these files; without any it stays open."""

    def first(files: Mapping[str, str] | None = None, *, state: TaskState = S, letters: str = "a", **spec: Any) -> Job:
        applied(a_manifest(tmp_path, ["run", "{x}"], name="first", parameters=rows(letters), **spec), backend)
        if files is not None:
            for index in range(1, len(letters) + 1):
                end(backend, "first", index, files, state=state)
            settle("first", backend)
        return job(backend, "first")

    return first


@pytest.fixture
def later(tmp_path: Path) -> Callable[..., Manifest]:
    """Return the manifest of a job that needs the first one."""
    return lambda *command, **spec: a_manifest(
        tmp_path, list(command or ("use", "{y}")), name="later", **{"needs": ["first"], **spec}
    )


def end(
    backend: Backend, name: str, index: int, files: Mapping[str, str], *, state: TaskState = S, program: bool = False
) -> None:
    """Let a task end as a worker would, leaving files."""
    key = Key.task(name, index)
    task = backend.state.read([key])[key]
    assert isinstance(task, Task)
    claim = f"{name}{index}.{task.version}"
    log = backend.objects.open_log(name, index, claim)
    log.write_text(f"log of {claim}")
    outputs = []
    for number, (file, text) in enumerate(files.items()):
        path = log.parent / f"{claim}.{number}"
        path.write_text(text)
        outputs.append(Output(name=file, path=path, size=len(text)))
    listed = [{"name": o.name, "size": o.size, **({"executable": True} if program else {})} for o in outputs]
    document = {**a_document(claim, index=index), "files": listed}
    result = Result(job=name, index=index, claim=claim, log=log, outputs=outputs, document=document)
    backend.objects.promote(name, index, backend.objects.publish(result, holds=always))
    put(backend.state, replace(task, state=state, claim=claim, result_generation=claim))


def job(backend: Backend, name: str = "later") -> Job:
    found = find_job(backend, name)
    assert found is not None
    return found


def tasks(backend: Backend) -> dict[int, tuple[str, TaskState]]:
    return {task.index: (task.row, task.state) for task in backend.state.tasks("later")}


def stored(backend: Backend, name: str = "later") -> dict[str, Any]:
    text = backend.objects.read_manifest(name, job(backend, name).generation)
    assert text is not None
    return manifests.load(text)


def uploads(backend: Backend) -> dict[str, str]:
    """Return where each upload of the later job lands, and what it holds."""
    inputs = Definition(spec_of(stored(backend)), columns=[], seq=False).define({}, 1).inputs
    return {file.dest: backend.objects.read_blob(file.content).decode() for file in inputs}


# Waiting


def test_a_job_waits_without_tasks_and_begins_when_what_it_needs_is_done(backend, first, later) -> None:
    first()
    waiting = applied(later(**ROWS, nodes={"max": 3}), backend)
    before = tasks(backend)

    end(backend, "first", 1, {"rows.csv": "y\n1\n2\n"})
    settle("first", backend)

    assert (waiting.state, waiting.generation, before) == (JobState.WAITING, 1, {})
    assert tasks(backend) == {1: ('{"y":"1"}', P), 2: ('{"y":"2"}', P)}
    begun = job(backend)
    assert (begun.state, begun.generation, begun.waiting, begun.max_nodes) == (JobState.ACTIVE, 2, None, 3)
    assert (begun.owner, begun.environment, begun.submitted) == ("me", waiting.environment, waiting.submitted)
    assert stored(backend)["spec"]["parameters"]["count"] == 2


def test_what_it_needs_may_be_done_already(backend, first, later) -> None:
    first({"rows.csv": "y\n1\n"})

    made = applied(later(**ROWS), backend)

    assert (made.state, made.generation, tasks(backend)) == (JobState.ACTIVE, 1, {1: ('{"y":"1"}', P)})


def test_objects_of_a_bucket_that_rows_choose_are_fixed_when_the_rows_are_known(backend, first, later) -> None:
    buckets = FakeBuckets()
    backend = replace(backend, buckets=buckets)
    buckets.put("gs://bkt/2.bam", b"before")
    first()
    manifest = later(**ROWS, uploads=["gs://bkt/{y}.bam:in.bam"])
    applied(manifest, backend)
    generation = buckets.put("gs://bkt/2.bam", b"now")

    end(backend, "first", 1, {"rows.csv": "y\n2\n"})
    settle("first", backend)

    (entry,) = stored(backend)["spec"]["uploads"]
    assert entry["files"] == [{"src": "gs://bkt/2.bam", "generation": generation, "executable": False}]
    assert tasks(backend) == {1: ('{"y":"2"}', P)}


def test_an_object_that_rows_choose_and_that_is_not_there_keeps_a_job_from_beginning(backend, first, later) -> None:
    buckets = FakeBuckets()
    backend = replace(backend, buckets=buckets)
    buckets.put("gs://bkt/1.bam", b"x")
    first()
    applied(later(**ROWS, uploads=["gs://bkt/{y}.bam:in.bam"]), backend)

    end(backend, "first", 1, {"rows.csv": "y\n2\n"})
    settle("first", backend)

    assert "nothing is at gs://bkt/2.bam" in (needs.problem(job(backend), backend) or "")


def test_a_job_that_waits_again_has_no_other_objects_because_of_that(backend, first, later) -> None:
    buckets = FakeBuckets()
    backend = replace(backend, buckets=buckets)
    buckets.put("gs://bkt/1.bam", b"x")
    first({"rows.csv": "y\n1\n"})
    manifest = later(**ROWS, uploads=["gs://bkt/{y}.bam:in.bam"])
    applied(manifest, backend)

    plan = prepare(manifest, backend, changing=["first"]).plan

    assert plan.settings == ["waits for first"]


def test_a_job_without_a_reference_waits_all_the_same(backend, first, later) -> None:
    first()

    applied(later("true"), backend)

    assert tasks(backend) == {}
    end(backend, "first", 1, {})
    settle("first", backend)
    assert tasks(backend) == {1: ("{}", P)}


@pytest.mark.parametrize("state", [F, K])
def test_it_does_not_begin_while_a_task_of_what_it_needs_has_not_succeeded(backend, first, later, state) -> None:
    first()
    applied(later(**ROWS), backend)

    end(backend, "first", 1, {"rows.csv": "y\n1\n"}, state=state)
    settle("first", backend)
    settle("later", backend)

    assert job(backend, "first").state is JobState.FINISHED
    assert job(backend).state is JobState.WAITING


def test_it_begins_when_only_the_second_of_two_is_done(tmp_path, backend, first, later) -> None:
    first({"rows.csv": "y\n1\n"})
    applied(a_manifest(tmp_path, name="second"), backend)
    applied(later(**ROWS, needs=["first", "second"]), backend)
    before = job(backend).state

    end(backend, "second", 1, {})
    settle("second", backend)

    assert (before, job(backend).state) == (JobState.WAITING, JobState.ACTIVE)


def test_jobs_that_need_each_other_in_a_row_begin_one_after_the_other(tmp_path, backend, first, later) -> None:
    first()
    applied(later("true"), backend)
    applied(a_manifest(tmp_path, name="last", needs=["later"]), backend)

    end(backend, "first", 1, {})
    settle("first", backend)
    between = job(backend, "last").state
    end(backend, "later", 1, {})
    settle("later", backend)

    assert (between, job(backend, "last").state) == (JobState.WAITING, JobState.ACTIVE)


def test_a_client_begins_what_nobody_else_has(backend, first, later) -> None:
    first({"rows.csv": "y\n1\n"})
    execute(prepare(later(**ROWS), backend, changing=["first"]), backend, ME)
    before = job(backend).state

    settle_waiting(backend)

    assert (before, job(backend).state) == (JobState.WAITING, JobState.ACTIVE)


def test_a_job_that_was_killed_while_it_waited_does_not_begin(backend, first, later) -> None:
    first()
    applied(later(**ROWS), backend)
    put(backend.state, lifecycle.kill_job(job(backend)))

    end(backend, "first", 1, {"rows.csv": "y\n1\n"})
    settle("first", backend)
    settle("later", backend)

    assert (job(backend).state, tasks(backend)) == (JobState.KILLED, {})
    assert job(backend).ended is not None


def test_a_wait_that_is_killed_while_it_ends_is_not_revived(backend, first, later, monkeypatch) -> None:
    first({"rows.csv": "y\n1\n"})
    execute(prepare(later(**ROWS), backend, changing=["first"]), backend, ME)
    monkeypatch.setattr(
        "sparkles.begin.execute",
        lambda *args, **options: put(backend.state, lifecycle.kill_job(job(backend))) or execute(*args, **options),
    )

    settle("later", backend)

    assert (job(backend).state, tasks(backend)) == (JobState.KILLED, {})


# What changes when it begins again


def again(backend: Backend, first: Any, manifest: Manifest, files: Mapping[str, str], **spec: Any) -> None:
    """Apply both jobs anew, as one apply does, and let the first end with other files."""
    applied_again = first(env={"N": files.get("n", "1")}, **spec)
    execute(prepare(manifest, backend, changing=[applied_again.name]), backend, ME)
    end(backend, "first", 1, files)
    settle("first", backend)


def test_only_tasks_whose_files_or_rows_are_others_run_again(backend, first, later) -> None:
    manifest = later(
        "use", "{y}", **ROWS, uploads=[{"src": "{results.first}/1/{y}.txt", "dest": "in.txt"}],
    )  # fmt: skip
    first({"rows.csv": "y\na\nb\nc\n", "a.txt": "1", "b.txt": "2", "c.txt": "3"})
    applied(manifest, backend)
    for index in (1, 2, 3):
        end(backend, "later", index, {})
    settle("later", backend)

    again(backend, first, manifest, {"rows.csv": "y\na\nb\nd\n", "a.txt": "1", "b.txt": "changed", "d.txt": "4"})

    assert tasks(backend) == {1: ('{"y":"a"}', S), 2: ('{"y":"b"}', P), 3: ('{"y":"d"}', P)}


def test_if_nothing_changes_nothing_runs_and_the_job_ends_at_once(backend, first, later) -> None:
    manifest = later(**ROWS)
    first({"rows.csv": "y\n1\n"})
    applied(manifest, backend)
    end(backend, "later", 1, {})
    settle("later", backend)

    again(backend, first, manifest, {"rows.csv": "y\n1\n"})

    assert tasks(backend) == {1: ('{"y":"1"}', S)}
    assert job(backend).state is JobState.FINISHED


def test_rerun_all_is_remembered_until_the_wait_is_over(backend, first, later) -> None:
    first({"rows.csv": "y\n1\n2\n"})
    applied(later(**ROWS), backend)
    for index in (1, 2):
        end(backend, "later", index, {})

    execute(prepare(later(**ROWS), backend, rerun=Rerun.ALL, changing=["first"]), backend, ME)
    settle("later", backend)

    assert {state for _, state in tasks(backend).values()} == {P}


def test_a_job_that_waits_for_the_same_is_up_to_date(backend, first, later) -> None:
    first()
    applied(later(**ROWS), backend)

    same = prepare(later(**ROWS), read_only(backend)).plan
    other = prepare(later("other", "{y}", **ROWS), read_only(backend)).plan

    assert same.is_empty
    assert same.waits == ["first"]
    assert list(other.settings) == ["command[0] use → other"]


def test_a_job_that_had_begun_says_that_it_waits_again(backend, first, later) -> None:
    first({"rows.csv": "y\n1\n"})
    applied(later(**ROWS), backend)
    first(env={"A": "1"})

    plan = prepare(later(**ROWS), read_only(backend)).plan

    assert "waits for first" in plan.settings
    assert not plan.touches_tasks


def test_the_plan_of_a_job_whose_needs_are_met_names_its_tasks(backend, first, later) -> None:
    first()
    applied(later(**ROWS), backend)
    end(backend, "first", 1, {"rows.csv": "y\n1\n"})
    put(backend.state, lifecycle.finish_job(job(backend, "first"), now=1.0))

    plan = prepare(later(**ROWS), read_only(backend)).plan

    assert plan.count(Verb.ADD) == 1
    assert "begins" in plan.settings


def test_a_pinned_manifest_is_applied_without_the_job_it_needed(tmp_path, backend, first, later) -> None:
    first({"rows.csv": "y\n1\n2\n", "data": "d"})
    applied(later(**ROWS, uploads=["{results.first}/1/data"]), backend)
    text = manifests.dump(stored(backend))
    backend.objects.remove_results("first")
    backend.state.change([Key.job("first")], lambda records: Writes(remove=list(records)))

    (manifest,) = manifests.read(text, source="-", base=tmp_path)

    assert prepare(manifest, backend).plan.is_empty


# Which files


FILES = {"out.txt": "1", "plots/a.svg": "a", "plots/b.svg": "b"}


@pytest.mark.parametrize(
    ("entry", "landed"),
    [
        pytest.param("{results.first}/1/out.txt", {"first/1/out.txt": "1"}, id="a file"),
        pytest.param("{results.first}/1/out.txt:in.txt", {"in.txt": "1"}, id="a file under a name"),
        pytest.param("{results.first}/2/out.txt:in/", {"in/out.txt": "1"}, id="a file into a folder"),
        pytest.param(
            "{results.first}/1/plots", {"first/1/plots/a.svg": "a", "first/1/plots/b.svg": "b"}, id="a folder"
        ),
        pytest.param("{results.first}/1/plots:p", {"p/a.svg": "a", "p/b.svg": "b"}, id="a folder under a name"),
        pytest.param("{results.first}/*/out.txt", {"first/1/out.txt": "1", "first/2/out.txt": "1"}, id="a pattern"),
        pytest.param("{results.first}/*/out.txt:in", {"in/1/out.txt": "1", "in/2/out.txt": "1"}, id="a pattern, named"),
        pytest.param(
            "{results.first}",
            {f"first/{index}/{name}": text for index in (1, 2) for name, text in FILES.items()},
            id="all, but what sparkles itself wrote",
        ),
    ],
)
def test_a_reference_brings_files_of_results(backend, first, later, entry, landed) -> None:
    first(FILES, letters="ab")

    applied(later("true", uploads=[entry]), backend)

    assert uploads(backend) == landed


def test_the_log_comes_only_by_its_name(backend, first, later) -> None:
    first(FILES, letters="ab")

    applied(later("true", uploads=["{results.first}/2/stdout.txt:log"]), backend)

    assert uploads(backend) == {"log": "log of first2.1"}


def test_a_program_that_a_task_left_can_be_run(tmp_path, backend, first, later) -> None:
    first()
    end(backend, "first", 1, {"tool": "#!/bin/sh"}, program=True)
    settle("first", backend)

    applied(later("./tool", uploads=["{results.first}/1/tool:tool"]), backend)

    assert stored(backend)["spec"]["uploads"][0]["files"][0]["executable"] is True


def test_nothing_is_stored_twice_and_a_dry_run_stores_nothing(backend, first, later) -> None:
    first({"rows.csv": "y\n1\n", "data": "d"})
    manifest = later(**ROWS, uploads=["{results.first}/1/data"])

    planned = prepare(manifest, read_only(backend))
    missing = backend.objects.missing(sorted(planned.pinned.digests))
    made = prepare(manifest, backend)
    execute(made, backend, ME)

    assert len(missing) == 2
    assert made.upload == {"files": 1, "missing": 0, "upload_bytes": 0}
    assert backend.objects.missing(sorted(planned.pinned.digests)) == set()


# Wrong requests


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        pytest.param({"needs": ["frist"]}, "spec.needs: there is no job 'frist'; did you mean 'first'", id="no job"),
        pytest.param({"needs": ["later"]}, "need each other in a circle: later → later", id="itself"),
        pytest.param(
            {"needs": [], "uploads": ["{results.first}/1/rows.csv"]},
            r"spec.uploads\[0\]: .* needs the results of job first: add it to spec.needs", id="a need that is not said",
        ),
        pytest.param(
            {"needs": [], "parameters": {"csv": "{results.first}/1/rows.csv"}},
            "spec.parameters.csv: .* needs the results of job first", id="a need of the rows that is not said",
        ),
        pytest.param(
            {"uploads": ["{results.first}/1/row.csv"]},
            r"no result of job first is '\{results.first\}/1/row.csv'; did you mean '\{results.first\}/1/rows.csv'\?",
            id="no such file",
        ),
        pytest.param({"uploads": ["{results.first}/7"]}, "no result of job first is", id="no such task"),
        pytest.param({"parameters": {"csv": "{results.first}"}}, "is 2 files; expected one", id="rows in two files"),
        pytest.param({"parameters": {"csv": "{results.first}/1/data"}}, "spec.parameters.csv|data", id="no table"),
        pytest.param(
            {"uploads": ["{results.first}/{index}/data"], **ROWS}, "no file is chosen by {index}", id="a row's index",
        ),
        pytest.param({"command": ["use", "{z}"], **ROWS}, "no parameter named 'z'; there is: index, y", id="no column"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path, backend, first, spec, says) -> None:
    first({"rows.csv": "y\n1\n", "data": ""})
    command = spec.pop("command", ["true"])

    with pytest.raises(SparklesError, match=says):
        prepare(a_manifest(tmp_path, command, name="later", **{"needs": ["first"], **spec}), backend)


def test_a_file_that_rows_choose_which_are_not_known_yet_cannot_be_uploaded(tmp_path, backend, first, later) -> None:
    first()

    with pytest.raises(RequestError, match=r"depends on y, which is known only after first; upload the folder 'data' "):
        prepare(later(**ROWS, uploads=["data/{y}.txt"]), backend)


def test_jobs_that_wait_for_each_other_are_refused(tmp_path, backend, first, later) -> None:
    first()
    applied(later("true"), backend)

    with pytest.raises(RequestError, match="in a circle: first → later → first"):
        prepare(a_manifest(tmp_path, name="first", needs=["later"]), backend)


def test_what_turns_out_wrong_is_noted_and_tried_again_when_it_can_be_right(backend, first, later) -> None:
    first()
    applied(later("use", "{z}", **ROWS), backend)
    end(backend, "first", 1, {"rows.csv": "y\n1\n"})
    settle("first", backend)
    waiting = job(backend)
    problem = needs.problem(waiting, backend)
    settle("later", backend)
    unchanged = job(backend)

    again = first(env={"A": "1"})
    end(backend, again.name, 1, {"rows.csv": "z\n1\n"})
    settle("first", backend)

    assert problem is not None
    assert "no parameter named 'z'" in problem
    assert unchanged == waiting, "it was tried again although nothing had changed"
    assert (job(backend).state, tasks(backend)) == (JobState.ACTIVE, {1: ('{"z":"1"}', P)})


# What is lost by it


def begun_with(backend: Backend, first: Any, later: Any, *, state: TaskState = S) -> Manifest:
    """Let a job of three rows run, the third task as far as `state`; return its manifest."""
    manifest = later(**ROWS)
    first({"rows.csv": "y\na\nb\nc\n"})
    applied(manifest, backend)
    for index in (1, 2):
        end(backend, "later", index, {})
    if state is S:
        end(backend, "later", 3, {})
    else:
        task = backend.state.read([Key.task("later", 3)])[Key.task("later", 3)]
        put(backend.state, replace(task, state=state, node="n", claim="c"))
    return manifest


def test_nothing_is_lost_that_nobody_agreed_to(backend, first, later) -> None:
    manifest = begun_with(backend, first, later)

    again(backend, first, manifest, {"rows.csv": "y\na\nb\n"})
    problem = needs.problem(job(backend), backend)
    agreed = prepare(manifest, backend)

    assert job(backend).state is JobState.WAITING
    assert set(tasks(backend)) == {1, 2, 3}
    assert problem == (
        "1 task gone (3: no longer in {results.first}/1/rows.csv): its result is removed; to go ahead apply it again "
        "with --yes"
    )
    assert [list(action.indices) for action in agreed.plan.asks] == [[3]]
    execute(agreed, backend, ME)
    assert set(tasks(backend)) == {1, 2}


def test_what_was_agreed_to_beforehand_is_done_without_a_question(backend, first, later) -> None:
    manifest = begun_with(backend, first, later)
    first(env={"N": "2"})
    execute(prepare(manifest, backend, changing=["first"]), backend, ME, may_lose=True)

    end(backend, "first", 1, {"rows.csv": "y\na\nb\n"})
    settle("first", backend)

    assert set(tasks(backend)) == {1, 2}
    assert list(backend.objects.results("later")) == [1, 2]


def test_a_job_begins_when_the_task_that_it_would_have_stopped_has_ended(backend, first, later) -> None:
    manifest = begun_with(backend, first, later, state=C)

    again(backend, first, manifest, {"rows.csv": "y\na\nb\nchanged\n"})
    before = job(backend)
    end(backend, "later", 3, {})
    settle("later", backend)

    assert before.state is JobState.WAITING
    assert "it is stopped and runs anew" in (needs.problem(before, backend) or "")
    assert (job(backend).state, tasks(backend)[3]) == (JobState.ACTIVE, ('{"y":"changed"}', P))


# Trouble


def test_a_job_that_was_killed_while_it_waited_meets_no_need(tmp_path, backend, first, later) -> None:
    first()
    applied(later("true"), backend)
    applied(a_manifest(tmp_path, name="last", needs=["later"]), backend)
    recover.stop(job(backend), backend)

    end(backend, "first", 1, {})
    settle("first", backend)
    settle("last", backend)

    assert job(backend).ended is not None
    assert job(backend, "last").state is JobState.WAITING
    assert "job later, which was killed; run it again with 'sparkles retry later'" in (
        needs.stuck(job(backend, "last"), backend) or ""
    )


def test_old_results_of_a_job_that_was_killed_while_it_waited_again_meet_no_need(
    tmp_path, backend, first, later
) -> None:
    manifest = later(**ROWS)
    first({"rows.csv": "y\n1\n"})
    applied(manifest, backend)
    end(backend, "later", 1, {})
    settle("later", backend)
    first(env={"A": "1"})
    execute(prepare(manifest, backend, changing=["first"]), backend, ME)
    applied(a_manifest(tmp_path, name="last", needs=["later"]), backend)

    recover.stop(job(backend), backend)
    settle("last", backend)

    assert job(backend, "last").state is JobState.WAITING


def test_a_job_that_was_killed_while_it_waited_can_be_tried_again(backend, first, later) -> None:
    first()
    applied(later(**ROWS), backend)
    recover.stop(job(backend), backend)

    waiting = prepare_stored(job(backend), backend)
    execute(waiting, backend, None)
    between = job(backend).state
    end(backend, "first", 1, {"rows.csv": "y\n1\n"})
    settle("first", backend)

    assert (waiting.plan.is_empty, between, job(backend).state) == (False, JobState.WAITING, JobState.ACTIVE)


def test_a_killed_job_of_which_all_has_succeeded_is_revived_by_an_apply(backend, first, later) -> None:
    first({"rows.csv": "y\n1\n"})
    applied(later(**ROWS), backend)
    end(backend, "later", 1, {})
    put(backend.state, replace(job(backend), state=JobState.KILLED, ended=1.0))

    plan = prepare(later(**ROWS), backend).plan

    assert list(plan.settings) == ["was killed"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BackendError("out of reach")])
def test_trouble_with_the_stores_passes(backend, first, later, monkeypatch, error) -> None:
    first()
    applied(later(**ROWS), backend)
    end(backend, "first", 1, {"rows.csv": "y\n1\n"})

    def trouble(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(backend.objects, "keep_output", trouble)
        settle("first", backend)
    before = job(backend).state
    settle_waiting(backend)

    assert (before, job(backend).state) == (JobState.WAITING, JobState.ACTIVE)


def test_one_job_that_cannot_be_read_keeps_no_other_from_beginning(
    tmp_path, backend, first, later, monkeypatch
) -> None:
    first()
    applied(a_manifest(tmp_path, name="bad", needs=["first"]), backend)
    applied(later("true"), backend)
    stored = prepare_stored

    def failing(job: Job, *args: Any, **options: Any) -> Any:
        if job.name == "bad":
            raise ZeroDivisionError("a defect")
        return stored(job, *args, **options)

    monkeypatch.setattr("sparkles.begin.prepare_stored", failing)
    end(backend, "first", 1, {})
    settle("first", backend)

    assert job(backend).state is JobState.ACTIVE
    assert needs.problem(job(backend, "bad"), backend) == "a defect"


def test_a_begin_that_was_cut_off_is_left_alone_for_a_while_and_then_done_again(
    backend, first, later, monkeypatch
) -> None:
    first({"rows.csv": "y\n1\n"})
    execute(prepare(later(**ROWS), backend, changing=["first"]), backend, ME)
    now = time.time()
    digest = prepare_stored(job(backend), backend).digest
    mark = Applying(token="t", digest=digest, generation=2, begins=True, progress=now)
    put(backend.state, replace(job(backend), applying=mark))

    settle("later", backend)
    before = job(backend)
    put(backend.state, replace(before, applying=replace(mark, progress=now - takeover.APPLY_PATIENCE - 1)))
    settle("later", backend)

    assert before.applying == mark
    assert (job(backend).state, tasks(backend)) == (JobState.ACTIVE, {1: ('{"y":"1"}', P)})


# Odd names


@pytest.mark.parametrize("name", ["{y}", "{index}", "{{x}}", "a b", "[1]", "*", "ü", "a:b", "--", "sub/{y}/f"])
def test_a_file_of_any_name_is_brought_under_its_name(backend, first, later, name) -> None:
    first({name: "content", "other": "x"})

    applied(later("true", uploads=["{results.first}/1"]), backend)

    assert uploads(backend) == {f"first/1/{name}": "content", "first/1/other": "x"}


def test_a_pattern_with_a_flaw_is_refused(backend, first, later) -> None:
    first(FILES)

    with pytest.raises(RequestError, match="is not a pattern: bad character range z-a"):
        prepare(later("true", uploads=["{results.first}/1/[z-a]*"]), backend)


def test_who_waits_for_the_last_of_a_chain_begins_those_in_its_middle(tmp_path, backend, first, later) -> None:
    first({})
    execute(prepare(later("true"), backend, changing=["first"]), backend, ME)
    applied(a_manifest(tmp_path, name="last", needs=["later"]), backend)

    with pytest.raises(TimeoutError):
        list(polling.poll("last", backend, deadline=time.monotonic()))

    assert job(backend).state is JobState.ACTIVE


def test_a_begin_that_was_cut_off_is_no_apply_to_be_run_again(backend, first, later) -> None:
    first({})
    execute(prepare(later("true"), backend, changing=["first"]), backend, ME)
    long_ago = time.time() - takeover.APPLY_PATIENCE - 1
    digest = prepare_stored(job(backend), backend).digest
    mark = Applying(token="t", digest=digest, generation=2, begins=True, progress=long_ago)
    put(backend.state, replace(job(backend), applying=mark))

    with pytest.raises(TimeoutError):
        list(polling.poll("later", backend, deadline=time.monotonic()))

    assert job(backend).state is JobState.ACTIVE


def test_an_apply_of_another_that_was_cut_off_is_not_completed_by_those_who_settle(backend, first, later) -> None:
    first({})
    execute(prepare(later("true"), backend, changing=["first"]), backend, ME)
    long_ago = time.time() - takeover.APPLY_PATIENCE - 1
    put(backend.state, replace(job(backend), applying=Applying(token="t", digest="d", generation=2, progress=long_ago)))

    settle("later", backend)
    with pytest.raises(BackendError, match="job later: its last sub or apply was cut off; run that again"):
        list(polling.poll("later", backend, deadline=time.monotonic()))

    assert job(backend).state is JobState.WAITING


def test_who_waits_for_a_job_behind_an_apply_that_was_cut_off_is_told(backend, first, later) -> None:
    first()
    applied(later("true"), backend)
    end(backend, "first", 1, {})
    long_ago = time.time() - takeover.APPLY_PATIENCE - 1
    mark = Applying(token="t", digest="d", generation=2, progress=long_ago)
    put(backend.state, replace(job(backend, "first"), applying=mark))

    with pytest.raises(polling.BlockedError, match=r"job first is half applied: .* run that again"):
        list(polling.poll("later", backend, deadline=time.monotonic()))


def test_trouble_that_was_noted_passes_when_somebody_watches(backend, first, later, monkeypatch) -> None:
    first()
    applied(later(**ROWS), backend)
    end(backend, "first", 1, {"rows.csv": "y\n1\n"})

    def trouble(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(backend.objects, "read_output", trouble)
        settle("first", backend)
    noted = needs.problem(job(backend), backend)
    with pytest.raises(TimeoutError):
        list(polling.poll("later", backend, deadline=time.monotonic()))

    assert "No space left" in (noted or "")
    assert job(backend).state is JobState.ACTIVE


def test_a_job_that_is_gone_and_pinned_is_not_waited_for(tmp_path, backend, first, later) -> None:
    first({"rows.csv": "y\n1\n"})
    applied(a_manifest(tmp_path, name="second"), backend)
    end(backend, "second", 1, {})
    settle("second", backend)
    applied(later(**ROWS, needs=["first", "second"]), backend)
    text = manifests.dump(stored(backend))
    recover.delete(job(backend, "first"), backend, results=True)
    applied(a_manifest(tmp_path, ["again"], name="second"), backend)

    (manifest,) = manifests.read(text, source="-", base=tmp_path)
    applied(manifest, backend)
    waiting = job(backend)
    end(backend, "second", 1, {})
    settle("second", backend)

    assert waiting.waiting is not None
    assert waiting.waiting.needs == ("second",)
    assert job(backend).state in (JobState.ACTIVE, JobState.FINISHED)


def test_an_edited_row_keeps_its_index_although_its_job_waited_in_between(backend, first, later) -> None:
    manifest = later(**ROWS)
    first({"rows.csv": "y\na\nb\nc\n"})
    applied(manifest, backend)
    again(backend, first, manifest, {"rows.csv": "y\nc\na\nb\n"})
    before = stored(backend)["status"]["indices"]

    again(backend, first, manifest, {"rows.csv": "y\nC\na\nb\n", "n": "3"})

    assert before == "3,1-2"
    assert tasks(backend)[3][0] == '{"y":"C"}'
    assert set(tasks(backend)) == {1, 2, 3}


def test_what_was_asked_for_when_a_job_began_to_wait_holds_until_it_begins(backend, first, later) -> None:
    first()
    applied(later(**ROWS), backend, rerun=Rerun.ALL)

    applied(later(**ROWS, nodes={"max": 3}), backend)
    agree(job(backend), backend)

    waiting = job(backend).waiting
    assert waiting is not None
    assert (waiting.rerun, waiting.may_lose) == ("all", True)


def test_a_begin_that_was_cut_off_is_done_anew_when_what_it_needs_has_changed_since(backend, first, later) -> None:
    first({"rows.csv": "y\n1\n"})
    execute(prepare(later(**ROWS), backend, changing=["first"]), backend, ME)
    long_ago = time.time() - takeover.BEGIN_PATIENCE - 1
    mark = Applying(token="t", digest="of other rows", generation=2, begins=True, progress=long_ago)
    put(backend.state, replace(job(backend), applying=mark))

    settle("later", backend)

    assert (job(backend).state, tasks(backend)) == (JobState.ACTIVE, {1: ('{"y":"1"}', P)})


def test_a_long_chain_of_jobs_of_which_nothing_runs_again_is_settled_at_once(tmp_path, backend, first) -> None:
    first({})
    names = ["first", *(f"job{number}" for number in range(60))]
    for need, name in itertools.pairwise(names):
        applied(a_manifest(tmp_path, name=name, needs=[need]), backend)
        end(backend, name, 1, {})
        settle(name, backend)
    first(env={"A": "1"})
    for need, name in itertools.pairwise(names):
        execute(prepare(a_manifest(tmp_path, name=name, needs=[need]), backend, changing=[need]), backend, ME)
    end(backend, "first", 1, {})

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        settle("first", backend)
    finally:
        sys.setrecursionlimit(limit)

    assert {job.state for job in backend.state.jobs()} == {JobState.FINISHED}
