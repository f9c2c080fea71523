"""Crashes: whoever dies at any write leaves something that doing it again, or the next worker, makes whole.

Each scenario is done three ways: undisturbed; by a process that dies at its k-th write, for every k, and then again by
one that lives. Both must leave the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from contracts.death import DeathError, Life, mortal
from contracts.fakes import FakeCompute, FakePlace, ScriptedRuntime, a_backend, a_manifest, applied, rows
from contracts.nouns import a_node, put
from contracts.objects import a_document, always

from sparkles import lifecycle, recover, results, takeover
from sparkles import manifest as manifests
from sparkles.apply import execute
from sparkles.backends.local.state import SqliteState
from sparkles.compile import Definition
from sparkles.errors import SparklesError
from sparkles.marking import Submitter
from sparkles.model import JobState, Key, NodeState, Task, TaskState
from sparkles.paths import Home, Layout
from sparkles.plan import Rerun
from sparkles.ports.backend import Backend
from sparkles.ports.objects import Output, Result
from sparkles.prepare import find_job, prepare, prepare_stored
from sparkles.settle import settle
from sparkles.spec import spec_of
from sparkles.timing import Timing
from sparkles.worker.loop import Worker

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED
ME = Submitter(owner="me", environment={"FROM": "shell"})

Act = Callable[[Backend], None]


@dataclass
class World:
    """A folder with files, and a home."""

    folder: Path
    backend: Backend
    compute: FakeCompute

    def manifest(self, letters: str, *, name: str = "j", **spec: Any) -> Any:
        """Return the manifest of a job with a task for each letter, and two files that all need."""
        for file in ("a.txt", "b.txt"):
            (self.folder / file).write_text(file)
        return a_manifest(
            self.folder, ["run", "{x}"], name=name, parameters=rows(letters), **{"uploads": ["a.txt", "b.txt"], **spec}
        )

    def end(self, *indices: int, name: str = "j", state: TaskState = S, files: dict[str, str] | None = None) -> None:
        """Let tasks end as a worker would, with a result."""
        for index in indices:
            claim = f"{name}{index}"
            log = self.backend.objects.open_log(name, index, claim)
            log.touch()
            outputs = []
            for file, text in (files or {}).items():
                path = self.folder / f"{claim}-{file}"
                path.write_text(text)
                outputs.append(Output(name=file, path=path, size=len(text)))
            document = {
                **a_document(claim, index=index),
                "files": [{"name": output.name, "size": output.size} for output in outputs],
            }
            result = Result(job=name, index=index, claim=claim, log=log, outputs=outputs, document=document)
            self.backend.objects.promote(name, index, self.backend.objects.publish(result, holds=always))
            key = Key.task(name, index)
            task = self.backend.state.read([key])[key]
            put(self.backend.state, replace(task, state=state, claim=claim, result_generation=claim))

    def claim(self, *indices: int, node: str = "n") -> None:
        job = find_job(self.backend, "j")
        put(self.backend.state, a_node(node, cluster=job.cluster, state=NodeState.ALIVE))
        for index in indices:
            key = Key.task("j", index)
            task = self.backend.state.read([key])[key]
            put(self.backend.state, lifecycle.claim(task, node=node, token=f"c{index}"))


@contextmanager
def a_world(root: Path) -> Iterator[World]:
    folder, compute = root / "folder", FakeCompute()
    folder.mkdir(parents=True)
    backend = a_backend(root / "home", compute=compute)
    with closing(backend.state):
        yield World(folder, backend, compute)


@pytest.fixture(autouse=True)
def small_commits_and_no_patience(monkeypatch) -> None:
    monkeypatch.setattr(SqliteState, "commit_limit", 3)
    monkeypatch.setattr(takeover, "APPLY_PATIENCE", -1.0)
    monkeypatch.setattr(takeover, "BEGIN_PATIENCE", -1.0)


# Scenarios: what there is before, and what is done


def apply(world: World, manifest: Any, *, rerun: Rerun = Rerun.NONE) -> Act:
    def act(backend: Backend) -> None:
        prepared = prepare(manifest, backend, rerun=rerun)
        if not prepared.plan.is_empty:
            execute(prepared, backend, ME)
        recover.heal(find_job(backend, "j"), backend)

    return act


def create(world: World) -> Act:
    return apply(world, world.manifest("abcdefg"))


def grow(world: World) -> Act:
    applied(world.manifest("abcd"), world.backend)
    world.end(1, 2)
    return apply(world, world.manifest("xabcdyzw"))


def shrink(world: World) -> Act:
    applied(world.manifest("abcdefgh"), world.backend)
    world.end(1, 2, 3, 4)
    return apply(world, world.manifest("ch"))


def edit(world: World) -> Act:
    applied(world.manifest("abcdefgh"), world.backend)
    world.end(1, 2, 3, 4)
    world.claim(5)
    return apply(world, world.manifest("aBcdEFGh", timeout="2h"))


def edit_all(world: World) -> Act:
    applied(world.manifest("abcde"), world.backend)
    world.end(1, 2, 3, 4, 5)
    return apply(world, world.manifest("abcde", env={"A": "1"}, uploads=["a.txt"]))


def move(world: World) -> Act:
    """The job goes to other nodes."""
    applied(world.manifest("abcde"), world.backend)
    world.claim(1)
    return apply(world, world.manifest("abcde", resources={"slots": 3}))


def rerun(world: World) -> Act:
    applied(world.manifest("abcde"), world.backend)
    world.end(1, 2, 3, 4, 5)
    return apply(world, world.manifest("abcd"), rerun=Rerun.ALL)


def rerun_failed(world: World) -> Act:
    applied(world.manifest("abcde"), world.backend)
    world.end(1, 2)
    world.end(3, 4, 5, state=F)
    return apply(world, world.manifest("abcde"), rerun=Rerun.FAILED)


def retry(world: World) -> Act:
    applied(world.manifest("abcdefg"), world.backend)
    world.end(1, 2)
    world.end(3, 4, 5, 6, 7, state=F)
    settle("j", world.backend)

    def act(backend: Backend) -> None:
        failed = frozenset(task.index for task in backend.state.tasks("j", states=[F]))
        job = find_job(backend, "j")
        if failed or job.applying:
            execute(prepare_stored(job, backend, retry=failed), backend, None)
        recover.heal(find_job(backend, "j"), backend)

    return act


def finish(world: World) -> Act:
    applied(world.manifest("ab"), world.backend)
    world.end(1, 2)
    return lambda backend: settle("j", backend)


def begin(world: World) -> Act:
    """A job that waited for another gets its tasks."""
    applied(world.manifest("a", name="first"), world.backend)
    later = a_manifest(
        world.folder, ["run", "{y}"], needs=["first"], parameters={"csv": "{results.first}/1/rows.csv"},
        uploads=["{results.first}/1/data.txt", "a.txt"],
    )  # fmt: skip
    applied(later, world.backend)
    world.end(1, name="first", files={"rows.csv": "y\n1\n2\n3\n4\n5\n", "data.txt": "data"})
    settle_first = find_job(world.backend, "first")
    put(world.backend.state, lifecycle.finish_job(settle_first, now=1.0))
    return lambda backend: settle("j", backend)


def begin_again(world: World) -> Act:
    """A job that had ended waits again, and is given other rows."""
    begin(world)(world.backend)
    world.end(1, 2, 3, 4, 5)
    settle("j", world.backend)
    first = world.manifest("a", name="first", env={"A": "1"})
    later = a_manifest(
        world.folder, ["run", "{y}"], needs=["first"], parameters={"csv": "{results.first}/1/rows.csv"},
        uploads=["{results.first}/1/data.txt", "a.txt"],
    )  # fmt: skip
    applied(first, world.backend)
    execute(prepare(later, world.backend, changing=["first"]), world.backend, ME, may_lose=True)
    world.end(1, name="first", files={"rows.csv": "y\n0\n1\n3\n4\n5\n6\n", "data.txt": "data"})
    put(world.backend.state, lifecycle.finish_job(find_job(world.backend, "first"), now=2.0))
    return lambda backend: settle("j", backend)


def finish_and_begin(world: World) -> Act:
    """The end of one job is the beginning of another, whoever is told of either."""
    begin(world)
    put(world.backend.state, replace(find_job(world.backend, "first"), state=JobState.ACTIVE, ended=None))

    def act(backend: Backend) -> None:
        settle("first", backend)
        settle("j", backend)

    return act


def kill(world: World) -> Act:
    applied(world.manifest("abcdefg"), world.backend)
    world.end(1)
    world.claim(2)
    return lambda backend: recover.stop(find_job(backend, "j"), backend) and None


def lose_a_node(world: World) -> Act:
    applied(world.manifest("abcdefg"), world.backend)
    world.end(1)
    world.claim(2, 3, 4)
    world.compute.dead = {"n"}
    world.compute.running = {"n": frozenset({"c2"})}
    return lambda backend: recover.heal(find_job(backend, "j"), backend)


def scale(world: World) -> Act:
    applied(world.manifest("abcdefg"), world.backend)
    return lambda backend: recover.rescale(find_job(backend, "j"), 5, backend)


def delete(world: World) -> Act:
    applied(world.manifest("abcdefg"), world.backend)
    world.end(1, 2)
    world.claim(3)

    def act(backend: Backend) -> None:
        if job := find_job(backend, "j"):
            recover.delete(job, backend, results=True)

    return act


SCENARIOS = [
    create, grow, shrink, edit, edit_all, move, rerun, rerun_failed, retry, finish, begin, begin_again,
    finish_and_begin, kill, lose_a_node, scale, delete,
]  # fmt: skip


def what_is_left(world: World) -> dict[str, Any]:
    """Return all that people and workers can see of a world, but for times and the numbers of generations."""
    backend = world.backend
    found: dict[str, Any] = {}
    for job in backend.state.jobs():
        document = manifests.load(backend.objects.read_manifest(job.name, job.generation) or "")
        indices = document.pop("status").get("indices")
        found[job.name] = (
            replace(job, version=0, generation=0, submitted=0.0, ended=None), job.ended is None, document, indices,
        )  # fmt: skip
        for task in backend.state.tasks(job.name):
            assert definition_of(task, backend).digest(rows_of(task), task.index) == task.digest
            history = tuple(replace(past, ended=0.0) for past in task.history)
            untimed = replace(task, history=history, queued=None, started=None, ended=None)
            found[task.id] = replace(untimed, version=0, generation=0)
    layout = Layout(Home(world.folder.parent / "home").objects)
    found["results"] = sorted(backend.objects.results("j"))
    found["records"] = layout.records("j").exists()
    found["nodes"] = [(node.name, node.state) for node in backend.state.nodes()]
    return found


def definition_of(task: Task, backend: Backend) -> Definition:
    """Return what a worker would make of a task: its own generation's manifest must still be there."""
    spec = spec_of(manifests.load(backend.objects.read_manifest(task.job, task.generation) or ""))
    return Definition(spec, columns=rows_of(task).keys(), seq=False)


def rows_of(task: Task) -> dict[str, str]:
    found: dict[str, str] = json.loads(task.row)
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_was_cut_off_anywhere_is_completed_by_doing_it_again(scenario, tmp_path) -> None:
    with a_world(tmp_path / "undisturbed") as world:
        scenario(world)(world.backend)
        wanted = what_is_left(world)

    for at in count(1):
        with a_world(tmp_path / str(at)) as world:
            act = scenario(world)
            lives = [Life(ends_at=at), Life()]
            died = False
            try:
                act(mortal(world.backend, lives[0]))
            except DeathError:
                died = True
            act(mortal(world.backend, lives[1]))

            assert what_is_left(world) == wanted, f"after a death at write {at}"
            stored = sum((life.stored for life in lives), Counter[str]())
            assert not stored or max(stored.values()) == 1, "content was stored twice"
        if not died:
            break
    assert at > 1, "there was nothing to write"


# Workers


def work(world: World, backend: Backend, name: str, life: Life) -> bool:
    """Let a worker serve the jobs until it leaves, or dies; say whether it died."""
    job = find_job(world.backend, "j")
    put(world.backend.state, a_node(name, cluster=job.cluster, state=NodeState.STARTING, slots=1))
    place = FakePlace(name, world.folder.parent / f"work-{name}")
    life.on_death = place.call
    try:
        Worker(mortal(backend, life), place, Timing(ahead=0.0, grace=0.0, beat=0.05)).run()
    except DeathError:
        return True
    finally:
        place.leave()
    return False


# A slot, or the settler, that finds its process dead ends there, as a thread of a killed process does.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_may_die_at_any_write_and_the_next_one_completes_its_jobs(tmp_path) -> None:
    for at in count(1):
        with a_world(tmp_path / str(at)) as world:
            runtime = ScriptedRuntime(run=lambda running: running.write("out.txt", running.launch.argv[1]))
            backend = replace(world.backend, host=runtime)
            applied(world.manifest("ab"), backend)
            later = a_manifest(
                world.folder, ["run", "{name}"], name="later", needs=["j"], uploads=["{results.j}/*/out.txt"],
                parameters={"rows": [{"name": "z"}]},
            )  # fmt: skip
            applied(later, backend)

            life = Life(ends_at=at)
            died = work(world, backend, "n", life)
            if died:
                world.compute.dead = {"n"}
                recover.heal(find_job(backend, "j"), backend)
                work(world, backend, "m", Life())

            found = {task.id: task for name in ("j", "later") for task in backend.state.tasks(name)}
            assert {name: task.state for name, task in found.items()} == {"j.1": S, "j.2": S, "later.1": S}, at
            assert all(task.attempts <= 2 for task in found.values())
            for task in found.values():
                assert results.committed(task, backend)["files"] == [{"name": "out.txt", "size": 1}]
            assert {job.name: job.state for job in backend.state.jobs()} == dict.fromkeys(
                ["j", "later"], JobState.FINISHED
            )
            assert not backend.state.nodes()
        if not died:
            break
    assert at > 10


# Somebody else comes by before it is done again


def others_kill(world: World) -> None:
    recover.stop(find_job(world.backend, "j"), world.backend)


def others_scale(world: World) -> None:
    recover.rescale(find_job(world.backend, "j"), 3, world.backend)


def others_retry(world: World) -> None:
    job = find_job(world.backend, "j")
    with suppress(SparklesError):  # it says what has to be done first
        failed = frozenset(task.index for task in world.backend.state.tasks("j", states=[F]))
        execute(prepare_stored(job, world.backend, retry=failed), world.backend, None)


def others_apply(world: World) -> None:
    execute(prepare(world.manifest("xaz"), world.backend), world.backend, ME, force=True, may_lose=True)


def others_make_it_wait(world: World) -> None:
    applied(world.manifest("a", name="first"), world.backend)
    waiting = world.manifest("xaz", needs=["first"])
    execute(prepare(waiting, world.backend), world.backend, ME, force=True, may_lose=True)
    world.end(1, name="first")
    settle("first", world.backend)


def others_settle(world: World) -> None:
    recover.heal(find_job(world.backend, "j"), world.backend)


OTHERS = [others_kill, others_scale, others_retry, others_apply, others_make_it_wait, others_settle]


@pytest.mark.parametrize("others", OTHERS)
@pytest.mark.parametrize("scenario", [grow, shrink, edit, rerun, rerun_failed])
def test_whatever_others_do_with_what_was_cut_off_an_apply_makes_it_whole(scenario, others, tmp_path) -> None:
    for at in count(1):
        with a_world(tmp_path / str(at)) as world:
            act = scenario(world)
            died = False
            try:
                act(mortal(world.backend, Life(ends_at=at)))
            except DeathError:
                died = True
            succeeded = {(task.row, task.digest) for task in world.backend.state.tasks("j", states=[S])}
            others(world)
            wanted = world.manifest("bcax")

            execute(prepare(wanted, world.backend), world.backend, ME, force=True, may_lose=True)

            job = find_job(world.backend, "j")
            tasks = list(world.backend.state.tasks("j"))
            assert (job.applying, job.waiting) == (None, None)
            assert sorted(rows_of(task)["x"] for task in tasks) == ["a", "b", "c", "x"]
            assert prepare(wanted, world.backend).plan.is_empty, f"after a death at write {at}"
            assert set(world.backend.objects.results("j")) <= {task.index for task in tasks}
            assert {(task.row, task.digest) for task in tasks if task.state is S} <= succeeded
            for task in tasks:
                assert definition_of(task, world.backend).digest(rows_of(task), task.index) == task.digest
        if not died:
            break
