"""Apply: safe to cut off anywhere, to run again, and against others who apply the same job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import FakeBuckets, FakeCompute, a_backend, a_manifest, applied, rows
from contracts.nouns import a_node, put
from contracts.objects import a_document, always, total

from sparkles import apply, lifecycle, mark, recover
from sparkles import manifest as manifests
from sparkles.apply import execute
from sparkles.dry import read_only
from sparkles.errors import BackendError, RequestError
from sparkles.marking import Submitter
from sparkles.model import Job, JobState, Key, Stop, Task, TaskState
from sparkles.plan import Rerun, Verb
from sparkles.ports.backend import Backend
from sparkles.ports.objects import Moved, Result
from sparkles.prepare import find_job, prepare, prepare_stored
from sparkles.settle import settle

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED
ME = Submitter(owner="me", environment={"FROM": "shell"})


@pytest.fixture
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def backend(tmp_path: Path, compute: FakeCompute) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home", compute=compute, default_slots=2)
    with closing(backend.state):
        yield backend


@pytest.fixture
def a_job_of(tmp_path: Path) -> Callable[..., Any]:
    """Return the manifest of a job with a task for each letter."""
    return lambda letters, **spec: a_manifest(tmp_path, ["run", "{x}"], parameters=rows(letters), **spec)


def job(backend: Backend) -> Job:
    found = find_job(backend, "j")
    assert found is not None
    return found


def tasks(backend: Backend) -> dict[int, tuple[str, TaskState]]:
    return {task.index: (task.row, task.state) for task in backend.state.tasks("j")}


def end(backend: Backend, *indices: int, state: TaskState = S) -> None:
    """Let tasks end as a worker would, with a result."""
    for index in indices:
        log = backend.objects.open_log("j", index, f"c{index}")
        log.touch()
        document = a_document(f"c{index}", index=index)
        result = Result(job="j", index=index, claim=f"c{index}", log=log, outputs=[], document=document)
        backend.objects.promote("j", index, backend.objects.publish(result, holds=always))
        task = backend.state.read([Key.task("j", index)])[Key.task("j", index)]
        put(backend.state, replace(task, state=state, claim=f"c{index}", result_generation=f"c{index}"))


def stored(backend: Backend) -> dict[str, Any]:
    return manifests.load(backend.objects.read_manifest("j", job(backend).generation))


def test_a_new_job_is_there_with_its_tasks_manifest_and_nodes(backend, compute, a_job_of) -> None:
    made = applied(a_job_of("abc", nodes={"max": 5}), backend)

    assert (made.state, made.generation, made.owner, made.last_index) == (JobState.ACTIVE, 1, "me", 3)
    assert made.applying is None
    assert tasks(backend) == {1: ('{"x":"a"}', P), 2: ('{"x":"b"}', P), 3: ('{"x":"c"}', P)}
    assert stored(backend)["status"] == {"generation": 1, "indices": "1-3"}
    assert backend.environments.read(made.environment) == {"FROM": "shell"}
    assert compute.raised == [2]


def test_that_a_job_is_submitted_is_said_even_if_its_nodes_cannot_be_started(tmp_path):
    class NoCompute(FakeCompute):
        def raise_nodes(self, cluster, state, *, wanted):
            raise BackendError("you lack a right; ask for it")

    backend = a_backend(tmp_path / "home", compute=NoCompute())

    with pytest.raises(BackendError) as raised:
        applied(a_manifest(tmp_path), backend)

    assert str(raised.value) == (
        "job j is submitted, but has no nodes yet: you lack a right; ask for it; then run 'sparkles watch j'"
    )
    assert backend.state.counts("j") == {TaskState.PENDING: 1}


def test_blobs_are_stored_before_any_task_is_there(backend, tmp_path, monkeypatch) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    prepared = prepare(a_manifest(tmp_path, uploads=["a.txt", "b.txt"]), backend)
    seen, moves = [], []

    def uploaded(moved: Moved) -> None:
        seen.append(dict(backend.state.counts("j")))
        moves.append(moved)

    execute(prepared, backend, ME, uploaded=uploaded)

    assert prepared.upload == {"files": 3, "missing": 2, "upload_bytes": 2}
    assert not any(seen)
    assert total(moves) == Moved(size=2, files=2)
    assert backend.objects.missing(list(prepared.pinned.digests)) == set()


def test_the_mark_of_an_apply_is_renewed_during_one_long_upload(backend, tmp_path, monkeypatch) -> None:
    (tmp_path / "a.txt").write_text("a")
    prepared = prepare(a_manifest(tmp_path, uploads=["a.txt"]), backend)
    marks: list[float] = []
    monkeypatch.setattr(mark, "RENEWAL", -1.0)
    monkeypatch.setattr(backend.objects, "put_blobs", lambda _: iter([Moved(0, 0)] * 3))

    execute(prepared, backend, ME, uploaded=lambda _: marks.append(job(backend).applying.progress))

    assert marks == sorted(set(marks))
    assert len(marks) == 3


def test_content_that_is_stored_is_not_stored_again(backend, tmp_path, monkeypatch) -> None:
    (tmp_path / "a.txt").write_text("a")
    applied(a_manifest(tmp_path, uploads=["a.txt"]), backend)
    moves: list[Moved] = []

    prepared = prepare(a_manifest(tmp_path, ["other"], uploads=["a.txt"]), backend)
    execute(prepared, backend, ME, uploaded=moves.append)

    assert prepared.upload == {"files": 2, "missing": 0, "upload_bytes": 0}
    assert moves == []


def test_a_file_that_changed_after_it_was_hashed_stops_the_apply(backend, tmp_path, a_job_of) -> None:
    (tmp_path / "a.txt").write_text("a")
    prepared = prepare(a_manifest(tmp_path, uploads=["a.txt"]), backend)
    (tmp_path / "a.txt").write_text("changed")

    with pytest.raises(BackendError, match="changed while it was read"):
        execute(prepared, backend, ME)

    assert list(backend.state.jobs()) == []
    applied(a_manifest(tmp_path, uploads=["a.txt"]), backend)
    assert len(tasks(backend)) == 1


def test_an_upload_that_fails_leaves_the_job_as_it_was(backend, tmp_path, monkeypatch) -> None:
    before = applied(a_manifest(tmp_path, uploads=[]), backend)
    (tmp_path / "a.txt").write_text("a")
    prepared = prepare(a_manifest(tmp_path, uploads=["a.txt"]), backend)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backend.objects, "put_blobs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(prepared, backend, ME)

    assert replace(job(backend), version=before.version) == before


def test_applying_the_same_again_plans_nothing(backend, a_job_of) -> None:
    applied(a_job_of("abc"), backend)

    assert prepare(a_job_of("abc"), backend).plan.is_empty


def test_what_is_pinned_and_stored_can_be_applied_again(backend, tmp_path) -> None:
    (tmp_path / "p.csv").write_text("x\n1\n2\n")
    applied(a_manifest(tmp_path, ["run", "{x}"], parameters={"csv": "p.csv"}), backend)
    text = backend.objects.read_manifest("j", 1)
    (tmp_path / "p.csv").unlink()

    (manifest,) = manifests.read(text, source="-", base=tmp_path)

    assert prepare(manifest, backend).plan.is_empty


def test_each_kind_of_change_is_carried_out(backend, a_job_of) -> None:
    applied(a_job_of("abcdef"), backend)
    end(backend, 1, 2, 3)
    end(backend, 4, state=F)

    # a stays, b is edited, c goes, d fails before and stays, e (pending) is edited, f stays, g is new
    after = applied(a_job_of(["a", "B", "d", "E", "f", "g"]), backend)

    assert tasks(backend) == {
        1: ('{"x":"a"}', S), 2: ('{"x":"B"}', P), 4: ('{"x":"d"}', F), 5: ('{"x":"E"}', P), 6: ('{"x":"f"}', P),
        7: ('{"x":"g"}', P),
    }  # fmt: skip
    assert (after.generation, after.last_index) == (2, 7)
    assert stored(backend)["status"] == {"generation": 2, "indices": "1-2,4-7"}
    assert {task.index: task.generation for task in backend.state.tasks("j")} == {1: 1, 2: 2, 4: 1, 5: 2, 6: 1, 7: 2}


def test_the_result_of_a_row_that_is_gone_is_removed_and_that_of_a_changed_one_stays(backend, a_job_of) -> None:
    applied(a_job_of("abc"), backend)
    end(backend, 1, 2, 3)

    applied(a_job_of(["a", "B"]), backend)

    assert list(backend.objects.results("j")) == [1, 2]


def test_a_job_that_had_ended_is_active_again(backend, a_job_of) -> None:
    applied(a_job_of("a"), backend)
    end(backend, 1)
    put(backend.state, lifecycle.finish_job(job(backend), now=1.0))

    after = applied(a_job_of("ab"), backend)

    assert (after.state, after.ended) == (JobState.ACTIVE, None)


def test_a_running_task_whose_row_changed_is_told_to_stop(backend, compute, a_job_of) -> None:
    cluster = applied(a_job_of("ab"), backend).cluster
    put(backend.state, a_node(cluster=cluster))
    running = backend.state.read([Key.task("j", 2)])[Key.task("j", 2)]
    put(backend.state, replace(running, state=C, node="n", claim="c"))

    applied(a_job_of(["a", "B"]), backend)

    after = backend.state.read([Key.task("j", 2)])[Key.task("j", 2)]
    assert isinstance(after, Task)
    assert (after.state, after.stop, after.row) == (C, Stop.REPLACED, '{"x":"B"}')
    assert backend.state.read([Key.cluster(cluster)])[Key.cluster(cluster)].epoch == 2
    assert compute.woken == ["n"]


def test_rerun_all_runs_everything_and_removes_results_beyond_the_end(backend, a_job_of) -> None:
    applied(a_job_of("abc"), backend)
    end(backend, 1, 2, 3)

    applied(a_job_of("ab"), backend, rerun=Rerun.ALL)

    assert tasks(backend) == {1: ('{"x":"a"}', P), 2: ('{"x":"b"}', P)}
    assert list(backend.objects.results("j")) == [1, 2]


def test_settings_alone_change_the_job_and_no_task(backend, a_job_of) -> None:
    applied(a_job_of("ab"), backend)

    after = applied(a_job_of("ab", nodes={"max": 4}), backend)

    assert (after.generation, after.max_nodes) == (2, 4)
    assert {task.generation for task in backend.state.tasks("j")} == {1}


def test_results_of_a_deleted_job_are_in_the_way_of_a_new_one(backend, a_job_of) -> None:
    applied(a_job_of("a"), backend)
    end(backend, 1)
    backend.state.change([Key.task("j", 1), Key.job("j")], lambda records: apply.Writes(remove=list(records)))

    with pytest.raises(RequestError, match=r"sparkles fetch j DEST_DIR.*sparkles delete --results j"):
        prepare(a_job_of("a"), backend)


# Cut off, and in each other's way


class CutOffError(Exception):
    """The machine went dark."""


def cut_off(backend: Backend, manifest: Any, monkeypatch: pytest.MonkeyPatch, *, at: int) -> bool:
    """Apply until the `at`-th write, and die there; say whether it came to that."""
    writes = 0

    def counted(write: Any) -> Any:
        def wrapped(*args: Any, **options: Any) -> Any:
            nonlocal writes
            writes += 1
            if writes >= at:
                raise CutOffError
            return write(*args, **options)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(type(backend.state), "commit_limit", 3)
        patch.setattr(backend.state, "change", counted(backend.state.change))
        patch.setattr(backend.environments, "write", counted(backend.environments.write))
        for name in ("put_blobs", "write_manifest", "remove_results"):
            patch.setattr(backend.objects, name, counted(getattr(backend.objects, name)))
        try:
            applied(manifest, backend)
        except CutOffError:
            return True
    return False


@pytest.mark.parametrize("at", range(1, 11))
def test_an_apply_that_was_cut_off_anywhere_is_completed_by_the_same_again(backend, a_job_of, monkeypatch, at) -> None:
    applied(a_job_of("abcd"), backend)
    end(backend, 1, 2, 3, 4)
    wanted = a_job_of(["a", "B", "d", "e", "f", "g", "h"])
    died = cut_off(backend, wanted, monkeypatch, at=at)

    after = applied(wanted, backend)

    assert died is (at < 10)
    assert (after.applying, after.generation) == (None, 2 if died else 3)
    assert sorted(row for row, _ in tasks(backend).values()) == [f'{{"x":"{x}"}}' for x in "Badefgh"]
    assert tasks(backend)[1] == ('{"x":"a"}', S)
    assert 3 not in tasks(backend)
    assert set(backend.objects.results("j")) <= set(tasks(backend))
    assert prepare(wanted, backend).plan.is_empty


@pytest.mark.parametrize("at", range(1, 11))
def test_after_an_apply_that_was_cut_off_another_manifest_can_be_applied(backend, a_job_of, monkeypatch, at) -> None:
    applied(a_job_of("ab"), backend)
    cut_off(backend, a_job_of("abcdefgh"), monkeypatch, at=at)
    wanted = a_job_of(["a", "b", "h", "x", "y"])

    execute(prepare(wanted, backend), backend, ME, force=True)

    assert sorted(row for row, _ in tasks(backend).values()) == [f'{{"x":"{x}"}}' for x in "abhxy"]
    assert prepare(wanted, backend).plan.is_empty
    for task in backend.state.tasks("j"):
        text = backend.objects.read_manifest("j", task.generation)
        assert manifests.load(text)["status"]["generation"] == task.generation


def test_another_apply_that_is_under_way_is_respected_unless_forced(backend, a_job_of, monkeypatch) -> None:
    applied(a_job_of("ab"), backend)
    cut_off(backend, a_job_of("abc"), monkeypatch, at=4)
    assert job(backend).applying is not None

    with pytest.raises(BackendError, match=r"another apply of it is under way; .* --force") as error:
        applied(a_job_of("abd"), backend)

    assert error.value.exit_code == 3
    execute(prepare(a_job_of("abd"), backend), backend, ME, force=True)
    assert job(backend).applying is None


def test_an_apply_that_was_taken_over_stops_at_its_next_commit(backend, a_job_of, tmp_path) -> None:
    (tmp_path / "f").write_text("content")
    first = prepare(a_job_of("abc", uploads=["f"]), backend)

    def taken_over(_: int) -> None:
        execute(prepare(a_job_of("xy"), backend), backend, ME, force=True)

    with pytest.raises(BackendError, match="another apply took this job over"):
        execute(first, backend, ME, uploaded=taken_over)

    assert sorted(row for row, _ in tasks(backend).values()) == ['{"x":"x"}', '{"x":"y"}']


def test_a_plan_that_was_made_before_another_apply_is_not_carried_out(backend, a_job_of) -> None:
    applied(a_job_of("ab"), backend)
    old = prepare(a_job_of("abc"), backend)
    applied(a_job_of("abd"), backend)

    with pytest.raises(BackendError, match="changed by someone else since this was planned; run it again"):
        execute(old, backend, ME)

    assert sorted(row for row, _ in tasks(backend).values()) == ['{"x":"a"}', '{"x":"b"}', '{"x":"d"}']


def test_a_plan_of_a_new_job_is_not_carried_out_when_another_made_it_first(backend, a_job_of) -> None:
    old = prepare(a_job_of("abc"), backend)
    applied(a_job_of("xy"), backend)

    with pytest.raises(BackendError, match="changed by someone else"):
        execute(old, backend, ME)


def test_tasks_are_written_in_as_many_commits_as_it_takes(backend, a_job_of, monkeypatch) -> None:
    monkeypatch.setattr(type(backend.state), "commit_limit", 3)

    applied(a_job_of("abcdefgh"), backend)
    applied(a_job_of("ABCDEFGHI"), backend)

    assert [row for row, _ in tasks(backend).values()] == [f'{{"x":"{x}"}}' for x in "ABCDEFGHI"]


@pytest.mark.parametrize(
    ("slots", "default", "name"),
    [(None, 2, "local-2-w"), (3, 2, "local-3-w")],
)
def test_the_cluster_is_named_by_all_that_makes_a_node(tmp_path, slots, default, name) -> None:
    backend = a_backend(tmp_path / "home", default_slots=default)
    resources = {"resources": {"slots": slots}} if slots else {}

    cluster = prepare(a_manifest(tmp_path, nodes={"linger": "5m"}, **resources), backend).cluster

    assert (cluster.name, cluster.slots, cluster.linger) == (name, slots or default, 300.0)


def test_a_plan_says_nothing_is_to_run_when_only_labels_change(backend, tmp_path) -> None:
    applied(a_manifest(tmp_path), backend)
    manifest = a_manifest(tmp_path)
    manifest.document["metadata"]["labels"] = {"a": "1"}

    made = prepare(manifest, backend).plan

    assert made.count(Verb.ADD, Verb.CHANGE, Verb.RERUN, Verb.REMOVE) == 0
    assert list(made.settings) == ["labels.a unset → 1"]


def test_parameters_that_nothing_depends_on_are_recorded_anew_and_nothing_runs(backend, tmp_path) -> None:
    def manifest(*notes: str) -> Any:
        parameters = {"rows": [{"x": x, "note": note} for x, note in zip("abc", notes, strict=True)]}
        return a_manifest(tmp_path, ["run", "{x}"], parameters=parameters)

    applied(manifest("1", "2", "3"), backend)
    end(backend, 1, 2)

    planned = prepare(manifest("1", "new", "3"), backend).plan
    applied(manifest("1", "new", "3"), backend)

    assert [(action.verb, list(action.indices), action.cause) for action in planned.actions] == [
        (Verb.KEEP, [1, 3], ""), (Verb.RECORD, [2], "parameters.note 2 → new"),
    ]  # fmt: skip
    assert not planned.is_empty
    assert not planned.touches_tasks
    assert tasks(backend)[2] == ('{"x":"b","note":"new"}', S)
    assert {task.generation for task in backend.state.tasks("j")} == {1}
    assert prepare(manifest("1", "new", "3"), backend).plan.is_empty


def test_of_rows_that_compute_the_same_each_keeps_its_own_task(backend, tmp_path) -> None:
    def manifest(*names: str) -> Any:
        return a_manifest(tmp_path, ["run"], parameters={"rows": [{"name": name} for name in names]})

    applied(manifest("a", "b", "c"), backend)

    planned = prepare(manifest("new", "c", "b", "a"), backend).plan

    assert list(planned.assigned) == [4, 3, 2, 1]
    assert {action.verb for action in planned.actions} == {Verb.KEEP, Verb.ADD}


def test_tasks_that_ended_since_they_were_to_move_to_other_machines_are_not_run_again(backend, a_job_of) -> None:
    applied(a_job_of("abc"), backend)
    planned = prepare(a_job_of("abc", resources={"slots": 1}), backend)
    end(backend, 1)
    put(backend.state, replace(backend.state.read([Key.task("j", 2)])[Key.task("j", 2)], state=C, node="n", claim="c"))

    execute(planned, backend, ME)

    assert [(task.state, task.stop) for task in backend.state.tasks("j")] == [(S, None), (C, None), (P, None)]
    assert [task.cluster for task in backend.state.tasks("j", states=[P, C])] == ["local-1-w"] * 2


def test_results_of_rows_that_are_gone_go_although_that_apply_was_killed(backend, a_job_of, monkeypatch) -> None:
    applied(a_job_of("abc"), backend)
    end(backend, 1, 2, 3)
    cut_off(backend, a_job_of("ab"), monkeypatch, at=5)
    assert (list(tasks(backend)), backend.objects.results("j")) == ([1, 2], [1, 2, 3])
    recover.stop(job(backend), backend)

    applied(a_job_of("ab"), backend)

    assert backend.objects.results("j") == [1, 2]


def test_a_finished_job_that_is_killed_while_it_is_applied_again_has_not_ended_while_a_task_runs(
    backend, a_job_of, monkeypatch
) -> None:
    applied(a_job_of("a"), backend)
    end(backend, 1)
    settle("j", backend)
    cut_off(backend, a_job_of("ab"), monkeypatch, at=5)
    put(backend.state, replace(backend.state.read([Key.task("j", 2)])[Key.task("j", 2)], state=C, node="n", claim="c"))

    recover.stop(job(backend), backend)

    assert tasks(backend)[2][1] is C
    assert (job(backend).state, job(backend).ended) == (JobState.KILLED, None)


def test_a_retry_of_a_job_whose_need_runs_again_takes_what_it_took_before(backend, tmp_path) -> None:
    applied(a_manifest(tmp_path, ["run", "1"], name="first"), backend)
    end_of(backend, "first")
    applied(a_manifest(tmp_path, needs=["first"]), backend)
    end(backend, 1, state=TaskState.FAILED)
    settle("j", backend)
    applied(a_manifest(tmp_path, ["run", "2"], name="first"), backend)

    execute(prepare_stored(job(backend), backend, retry={1}), backend, ME)
    end_of(backend, "first")

    assert job(backend).waiting is None
    assert tasks(backend)[1][1] is P


def end_of(backend: Backend, name: str) -> None:
    """Let the one task of a job succeed."""
    task = backend.state.read([Key.task(name, 1)])[Key.task(name, 1)]
    put(backend.state, replace(task, state=S))
    settle(name, backend)


@pytest.mark.parametrize(
    ("edited", "assigned"),
    [
        pytest.param(["a1", "c9", "d1"], [1, 3, 4], id="one removed, the next one edited"),
        pytest.param(["d1", "c1", "b9", "a1"], [4, 3, 2, 1], id="sorted and one edited"),
        pytest.param(["d9", "c9", "b9", "a9"], [4, 3, 2, 1], id="reversed and all edited"),
        pytest.param(["n1", "a1", "b9", "c1", "d1"], [5, 1, 2, 3, 4], id="one inserted, another edited"),
        pytest.param(["n2", "a1", "b1", "d1"], [5, 1, 2, 4], id="one removed, a new one on top"),
        pytest.param(["a1", "b1", "n1", "d1"], [1, 2, 3, 4], id="one renamed"),
    ],
)
def test_an_edited_row_is_known_by_what_only_it_has(backend, tmp_path, edited, assigned) -> None:
    def manifest(rows: list[str]) -> Any:
        parameters = {"rows": [{"sample": row[0], "depth": row[1]} for row in rows]}
        return a_manifest(tmp_path, ["run", "{sample}", "{depth}"], parameters=parameters)

    applied(manifest(["a1", "b1", "c1", "d1"]), backend)

    assert list(prepare(manifest(edited), backend).plan.assigned) == assigned


def test_an_upload_that_fails_leaves_what_others_have_made_of_the_job_meanwhile(backend, tmp_path, monkeypatch) -> None:
    applied(a_manifest(tmp_path), backend)
    end(backend, 1)
    (tmp_path / "a.txt").write_text("a")
    prepared = prepare(a_manifest(tmp_path, uploads=["a.txt"]), backend)
    recover.rescale(job(backend), 7, backend)
    settle("j", backend)

    def full(*_: Any) -> None:
        raise BackendError("disk full")

    monkeypatch.setattr(backend.objects, "put_blobs", full)
    with pytest.raises(BackendError, match="disk full"):
        execute(prepared, backend, ME)

    assert (job(backend).state, job(backend).scaled, job(backend).applying) == (JobState.FINISHED, 7, None)


def test_a_scale_during_an_apply_holds(backend, tmp_path) -> None:
    (tmp_path / "a.txt").write_text("a")
    prepared = prepare(a_manifest(tmp_path, uploads=["a.txt"]), backend)

    execute(prepared, backend, ME, uploaded=lambda _: recover.rescale(job(backend), 7, backend))

    assert job(backend).scaled == 7


def test_a_retry_does_not_undo_an_apply_that_was_cut_off(backend, a_job_of, monkeypatch) -> None:
    applied(a_job_of("ab"), backend)
    end(backend, 1, 2, state=F)
    assert cut_off(backend, a_job_of("AB"), monkeypatch, at=5)

    with pytest.raises(RequestError, match="its last apply was cut off, or is under way; apply that manifest again"):
        prepare_stored(job(backend), backend, retry={1})


def test_a_task_that_began_since_it_was_planned_is_neither_stopped_nor_removed_unasked(backend, a_job_of) -> None:
    applied(a_job_of("abc"), backend)
    prepared = prepare(a_job_of(["a", "B"]), backend)
    for index, state in ((2, C), (3, S)):
        task = backend.state.read([Key.task("j", index)])[Key.task("j", index)]
        put(backend.state, replace(task, state=state, node="n" if state is C else None, claim="c"))
    spared: set[int] = set()

    execute(prepared, backend, ME, spared=spared.add)

    assert spared == {2, 3}
    assert {index: state for index, (_, state) in tasks(backend).items()} == {1: P, 2: C, 3: S}
    assert prepare(a_job_of(["a", "B"]), backend).plan.count(Verb.CHANGE, Verb.REMOVE) == 2


def test_a_takeover_that_would_lose_more_than_was_planned_is_refused(backend, a_job_of, monkeypatch) -> None:
    applied(a_job_of("abc"), backend)
    assert cut_off(backend, a_job_of("ab"), monkeypatch, at=3)
    prepared = prepare(a_job_of("ab"), backend)
    end(backend, 3)

    with pytest.raises(BackendError, match="tasks have begun or ended since this was planned; run it again"):
        execute(prepared, backend, ME)

    assert list(backend.objects.results("j")) == [3]


def test_stale_results_go_although_the_next_apply_waits(backend, a_job_of, tmp_path, monkeypatch) -> None:
    applied(a_job_of("abc"), backend)
    end(backend, 1, 2, 3)
    assert cut_off(backend, a_job_of("ac"), monkeypatch, at=5)
    applied(a_manifest(tmp_path, name="first"), backend)

    execute(prepare(a_job_of("ac", needs=["first"]), backend), backend, ME, force=True)

    assert set(backend.objects.results("j")) == set(tasks(backend))


# Objects of buckets


def test_only_tasks_whose_object_is_another_one_now_run_again(backend, a_job_of) -> None:
    buckets = FakeBuckets()
    backend = replace(backend, buckets=buckets)
    for letter in "abc":
        buckets.put(f"gs://bkt/{letter}.bam", "before")
    manifest = a_job_of("abc", uploads=["gs://bkt/{x}.bam:in.bam"])
    applied(manifest, backend)
    end(backend, 1, 2, 3)
    unchanged = prepare(manifest, read_only(backend)).plan
    buckets.put("gs://bkt/b.bam", "after")

    changed = prepare(manifest, read_only(backend))

    assert unchanged.is_empty
    assert [(action.verb, list(action.indices), action.cause) for action in changed.plan.actions] == [
        (Verb.KEEP, [1, 3], ""),
        (Verb.CHANGE, [2], "uploads: gs://bkt/b.bam is another object now"),
    ]
    assert changed.upload == {"files": 1, "missing": 0, "upload_bytes": 0}


def test_a_retry_needs_the_objects_that_the_job_was_submitted_with(backend, a_job_of) -> None:
    buckets = FakeBuckets()
    backend = replace(backend, buckets=buckets)
    buckets.put("gs://bkt/m", "before")
    applied(a_job_of("a", uploads=["gs://bkt/m"]), backend)
    end(backend, 1, state=F)
    buckets.put("gs://bkt/m", "after")

    with pytest.raises(RequestError, match="gs://bkt/m: its generation 1 is not there any more"):
        prepare_stored(job(backend), backend, retry=[1])
