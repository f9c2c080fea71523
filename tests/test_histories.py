"""Histories: whatever people, workers and accidents do to jobs, in any order, what apply promises holds.

The planner, apply, settle, recover and both stores are the real ones. The model knows only what the rows mean, which
results were committed, and which indices were given out.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import FakeCompute, ScriptedRunning, a_backend, a_manifest, rows
from contracts.paper import FunctionRuntime, PaperNode
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sparkles import manifest as manifests
from sparkles import recover, results
from sparkles.apply import execute
from sparkles.errors import BackendError, RequestError
from sparkles.indices import from_runs
from sparkles.manifest import Manifest
from sparkles.marking import Submitter
from sparkles.model import OPEN, Job, JobState, Stop, Task, TaskState
from sparkles.plan import Rerun
from sparkles.prepare import Prepared, find_job, prepare, prepare_stored
from sparkles.settle import settle, settle_waiting
from sparkles.worker.attempt import Ended

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED
ME = Submitter(owner="me", environment={})
LETTERS = "abcde"

Tasks = dict[int, Task]


class CutOffError(Exception):
    """The machine went dark."""


@dataclass(frozen=True)
class Wish:
    """What the manifest of the first job says."""

    #: The letter of each row, or how many there are of a `seq`.
    rows: tuple[str, ...] | int = ("a", "b", "c")
    command: int = 0
    env: int = 0
    slots: int = 1
    nodes: int = 1
    retries: int = 0
    timeout: str = "1h"
    label: str = "x"

    @property
    def seq(self) -> bool:
        return isinstance(self.rows, int)

    def names(self) -> list[str]:
        return [str(n + 1) for n in range(self.rows)] if isinstance(self.rows, int) else list(self.rows)

    def manifest(self, base: Path) -> Manifest:
        name = "{index}" if self.seq else "{x}"
        made = a_manifest(
            base, ["run", f"v{self.command}", name], name="a", env={"E": str(self.env)}, timeout=self.timeout,
            parameters={"seq": self.rows} if self.seq else rows(self.names()), uploads=[f"{name}.txt:in.txt"],
            resources={"slots": self.slots}, nodes={"max": self.nodes}, retries={"limit": self.retries},
        )  # fmt: skip
        made.document["metadata"]["labels"] = {"l": self.label}
        return made


EDITS = st.one_of(
    st.builds(lambda at, x: ("edit", at, x), st.integers(0, 5), st.sampled_from(LETTERS)),
    st.builds(lambda at, x: ("insert", at, x), st.integers(0, 6), st.sampled_from(LETTERS)),
    st.builds(lambda at: ("remove", at, ""), st.integers(0, 5)),
    st.builds(lambda at: ("duplicate", at, ""), st.integers(0, 5)),
    st.sampled_from([("sort", 0, ""), ("reverse", 0, "")]),
    st.builds(lambda n: ("seq", n, ""), st.integers(1, 5)),
    st.builds(
        lambda field, value: (field, value, ""),
        st.sampled_from(["command", "env", "slots", "nodes", "retries"]), st.integers(1, 2),
    ),
    st.sampled_from([("timeout", "2h", ""), ("timeout", "1h", ""), ("label", "x", ""), ("label", "y", "")]),
)  # fmt: skip


def edited(wish: Wish, edit: tuple[str, Any, str]) -> Wish:
    """Return the wish after one edit; an edit of rows that a `seq` does not have makes it a table again."""
    what, at, x = edit
    if what == "seq":
        return replace(wish, rows=at)
    if what in wish.__dataclass_fields__:
        return replace(wish, **{what: at})
    letters = list(LETTERS[:3]) if wish.seq else wish.names()
    at = min(at, len(letters) - 1)
    match what:
        case "edit":
            letters[at] = x
        case "insert" if len(letters) < 7:
            letters.insert(at, x)
        case "remove" if len(letters) > 1:
            del letters[at]
        case "duplicate" if len(letters) < 7:
            letters.insert(at, letters[at])
        case "sort":
            letters.sort()
        case "reverse":
            letters.reverse()
    return replace(wish, rows=tuple(letters))


@dataclass
class Request:
    """A manifest of job a that was planned, and what each of its rows meant then."""

    prepared: Prepared
    wish: Wish
    rerun: Rerun
    meant: list[str]


class Histories(RuleBasedStateMachine):
    """Two jobs, the second of which needs the first, and all that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.compute = FakeCompute()
        self.backend = a_backend(
            self.root / "home", compute=self.compute, host=FunctionRuntime(self.work), default_slots=1
        )
        self.files = dict.fromkeys([*LETTERS, *"1234567"], 0)
        for name in self.files:
            self.write(name)
        self.wish = Wish()
        #: Digest → what a task with it says; and the other way round.
        self.meaning: dict[bytes, str] = {}
        self.digest: dict[str, bytes] = {}
        #: Job and index → what the last committed result says.
        self.committed: dict[tuple[str, int], str] = {}
        #: Indices that tasks of job a ever had.
        self.given: set[int] = set()
        #: The tasks as they were when last looked at; and those that somebody asked to run again.
        self.seen: dict[str, Tasks] = {"a": {}, "b": {}}
        self.asked: set[tuple[str, int]] = set()
        self.nodes: list[PaperNode] = []
        self.running: list[tuple[PaperNode, Task]] = []
        self.ended: list[tuple[PaperNode, Ended, str]] = []
        self.older: Request | None = None
        #: Whether an apply of job a was broken off, and none has been completed since.
        self.torn = False
        #: Tasks that the last apply left as they were, because they had begun or ended since it was planned.
        self.spared: set[int] = set()
        self.exit = 0
        self.said = ""
        self.b_command = 0
        self.b_generation = 0

    def teardown(self) -> None:
        self.backend.state.close()
        shutil.rmtree(self.root, ignore_errors=True)

    # What tasks do, and what that ought to be

    def write(self, name: str) -> None:
        (self.root / f"{name}.txt").write_text(f"f{self.files[name]}")

    def work(self, running: ScriptedRunning) -> int:
        """Say what the task sees."""
        launch = running.launch
        if launch.argv[0] == "gather":
            found = {int(path.parent.name): path.read_text() for path in launch.folder.glob("in/*/out.txt")}
            self.said = self.gathered(launch.argv[1], found)
        else:
            kind = f"seq {launch.env['SPARKLES_TASK_INDEX']}" if "SPARKLES_TASK_INDEX" in launch.env else "row"
            content = (launch.folder / "in.txt").read_text()
            self.said = " ".join([kind, *launch.argv[1:], f"e{launch.env['E']}", content])
        running.write("out.txt", self.said)
        return self.exit

    @staticmethod
    def gathered(command: str, found: dict[int, str]) -> str:
        return f"gather {command}: " + " | ".join(f"{index} {text}" for index, text in sorted(found.items()))

    def meant(self, wish: Wish) -> list[str]:
        return [
            f"{f'seq {name}' if wish.seq else 'row'} v{wish.command} {name} e{wish.env} f{self.files[name]}"
            for name in wish.names()
        ]

    def learn(self, digest: bytes, meaning: str) -> None:
        """A digest stands for one meaning, and a meaning has one digest."""
        assert self.meaning.setdefault(digest, meaning) == meaning
        assert self.digest.setdefault(meaning, digest) == digest

    def tasks(self, name: str = "a") -> Tasks:
        return {task.index: task for task in self.backend.state.tasks(name)}

    def job(self, name: str = "a") -> Job | None:
        return find_job(self.backend, name)

    # Applying

    def plan(self, wish: Wish, rerun: Rerun) -> Request:
        settle_waiting(self.backend)
        self.sweep_all()
        self.check_second()
        return Request(prepare(wish.manifest(self.root), self.backend, rerun=rerun), wish, rerun, self.meant(wish))

    def carry_out(self, request: Request) -> None:
        job = self.job()
        self.spared.clear()
        execute(request.prepared, self.backend, ME, force=bool(job and job.applying), spared=self.spared.add)
        settle("a", self.backend)

    def ask(self, request: Request) -> None:
        """Note which tasks an apply may run again although they have not changed."""
        if request.rerun is Rerun.ALL:
            self.asked |= {("a", index) for index in self.tasks()}

    def apply(self, request: Request) -> None:
        before, fresh = self.tasks(), not request.prepared.plan.is_empty
        self.ask(request)
        self.spared.clear()
        if fresh:
            self.carry_out(request)
        self.wish = request.wish
        self.check_applied(request, before)
        assert prepare(request.wish.manifest(self.root), self.backend).plan.is_empty

    def check_applied(self, request: Request, before: Tasks, *, alone: bool = True) -> None:
        """Compare the tasks with what was asked for; `alone`: nobody else did anything meanwhile."""
        after, wish, anew = self.tasks(), request.wish, request.wish.seq or request.rerun is Rerun.ALL
        job = self.job()
        assert job is not None
        assert job.applying is None
        order = list(from_runs(self.stored("a")["status"]["indices"]))
        ended_meanwhile = after.keys() - set(order)
        assert set(order) <= after.keys(), "each row is a task"
        assert not ended_meanwhile or not alone, "each task is a row"
        # What ran or ended since the plan was made is not lost: nobody was asked about it.
        assert all(after[index].state in (S, C) for index in ended_meanwhile)
        assert ended_meanwhile <= self.spared
        self.torn = bool(self.spared)
        assert not self.spared or not alone
        for index, name, meaning in zip(order, wish.names(), request.meant, strict=True):
            if index in self.spared:
                continue
            assert json.loads(after[index].row) == ({} if wish.seq else {"x": name})
            self.learn(after[index].digest, meaning)
        if anew:
            assert order == list(range(1, len(order) + 1))
        else:
            assert not self.given & (after.keys() - before.keys()), "an index is not used again"
        same = [index for index in after if index in before and before[index].digest == after[index].digest]
        if not anew:
            counts = [Counter(task.digest for task in tasks.values()) for tasks in (before, after)]
            assert len(same) == (counts[0] & counts[1]).total(), "a row that was there is found again"
        for index, task in after.items():
            if index not in same or request.rerun is Rerun.ALL:
                assert task.state is P or not alone or (task.state, task.stop) == (C, Stop.REPLACED)
            elif request.rerun is Rerun.FAILED and before[index].state in (F, K):
                assert task.state is P or not alone
            elif alone:
                assert (task.state, task.stop) == (before[index].state, before[index].stop)

    def stored(self, name: str) -> dict[str, Any]:
        job = self.job(name)
        assert job is not None
        return manifests.load(self.backend.objects.read_manifest(name, job.generation))

    @initialize()
    def first(self) -> None:
        self.apply(self.plan(self.wish, Rerun.NONE))

    @rule(edits=st.lists(EDITS, max_size=3), rerun=st.sampled_from([Rerun.NONE, Rerun.NONE, Rerun.FAILED, Rerun.ALL]))
    def apply_edited(self, edits: list[Any], rerun: Rerun) -> None:
        self.apply(self.plan(self.after(edits), rerun))

    def after(self, edits: list[Any]) -> Wish:
        wish = self.wish
        for edit in edits:
            wish = edited(wish, edit)
        return wish

    @rule(name=st.sampled_from("abc12"))
    def change_a_file(self, name: str) -> None:
        self.files[name] += 1
        self.write(name)

    @rule(edits=st.lists(EDITS, min_size=1, max_size=3), at=st.integers(1, 12), rerun=st.sampled_from(Rerun))
    def apply_and_die(self, edits: list[Any], at: int, rerun: Rerun) -> None:
        def die() -> None:
            raise CutOffError

        self.apply_until(edits, rerun, at, die)

    @rule(edits=st.lists(EDITS, min_size=1, max_size=3), at=st.integers(1, 12), kill=st.booleans())
    def apply_while_others_act(self, edits: list[Any], at: int, kill: bool) -> None:
        def act() -> None:
            if kill:
                recover.stop(self.job(), self.backend)
            else:
                self.finish(True, 2)

        self.apply_until(edits, Rerun.NONE, at, act, once=True)

    def apply_until(
        self, edits: list[Any], rerun: Rerun, at: int, act: Callable[[], None], *, once: bool = False
    ) -> None:
        """Apply; before the `at`-th write something happens."""
        request = self.plan(self.after(edits), rerun)
        if request.prepared.plan.is_empty:
            return
        before = self.tasks()
        self.ask(request)
        self.torn = True
        try:
            with self.interrupted(at, act, once=once):
                self.carry_out(request)
        except CutOffError:
            return
        except BackendError:
            assert once
            return
        self.wish = request.wish
        self.check_applied(request, before, alone=False)

    @contextmanager
    def interrupted(self, at: int, act: Callable[[], None], *, once: bool) -> Iterator[None]:
        writes = 0

        def counted(write: Any) -> Any:
            def wrapped(*args: Any, **options: Any) -> Any:
                nonlocal writes
                writes += 1
                if writes == at or (writes > at and not once):
                    act()
                return write(*args, **options)

            return wrapped

        state, objects = self.backend.state, self.backend.objects
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(state), "commit_limit", 3)
            patch.setattr(state, "change", counted(state.change))
            for name in ("put_blobs", "write_manifest", "remove_results"):
                patch.setattr(objects, name, counted(getattr(objects, name)))
            yield

    @rule(edits=st.lists(EDITS, max_size=2), rerun=st.sampled_from(Rerun))
    def plan_for_later(self, edits: list[Any], rerun: Rerun) -> None:
        self.older = self.plan(self.after(edits), rerun)

    @precondition(lambda self: self.older)
    @rule()
    def carry_out_an_older_plan(self) -> None:
        request, before = self.older, self.tasks()
        assert request is not None
        self.older = None
        if request.prepared.plan.is_empty:
            return
        asked = set(self.asked)
        self.ask(request)
        try:
            self.carry_out(request)
        except BackendError:
            self.asked = asked
            assert self.tasks() == before
            return
        self.wish = request.wish
        self.check_applied(request, before, alone=False)

    @rule(name=st.sampled_from("ab"))
    def apply_what_get_prints(self, name: str) -> None:
        job = self.job(name)
        if job is None or job.applying or job.waiting or not job.generation:
            return
        if name == "b" and job.state is JobState.KILLED:
            return  # perhaps while it waited: its manifest was not pinned yet
        text = self.backend.objects.read_manifest(name, job.generation)
        (manifest,) = manifests.read(text, source="get", base=self.root)
        made = prepare(manifest, self.backend).plan
        killed = job.state is JobState.KILLED and list(made.settings) == ["was killed"]
        assert made.is_empty or made.waits or killed or (name == "a" and self.torn)

    # The second job

    @rule(command=st.integers(0, 1), rerun=st.sampled_from([Rerun.NONE, Rerun.ALL]))
    def apply_the_second(self, command: int, rerun: Rerun) -> None:
        manifest = a_manifest(
            self.root, ["gather", f"v{command}"], name="b", needs=["a"],
            uploads=[{"src": "{results.a}/*/out.txt", "dest": "in"}],
        )  # fmt: skip
        self.settle_all()
        prepared = prepare(manifest, self.backend, rerun=rerun)
        before, job = self.tasks("b"), self.job("b")
        self.b_command = command
        if prepared.plan.is_empty:
            return
        if rerun is Rerun.ALL:
            self.asked |= {("b", index) for index in before}
        execute(prepared, self.backend, ME, force=bool(job and job.applying))
        if prepared.plan.waits:
            assert self.tasks("b") == before
        settle("b", self.backend)
        assert prepare(manifest, self.backend).plan.is_empty

    def check_second(self) -> None:
        """When the second job begins, it is with the results that the first has then."""
        job = self.job("b")
        if job is None or job.applying or job.generation == self.b_generation:
            return
        self.b_generation = job.generation
        if job.waiting:
            return
        found = {index: self.committed["a", index] for index in self.tasks()}
        (task,) = self.tasks("b").values()
        self.learn(task.digest, self.gathered(f"v{self.b_command}", found))

    # Workers

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        for cluster in sorted({job.cluster for job in self.backend.state.jobs()}):
            alive = [node for node in self.nodes if node.cluster == cluster and node.name not in self.compute.dead]
            if not alive:
                name = f"n{len(self.nodes)}"
                alive = [PaperNode(name, cluster, self.backend, self.root / "work")]
                self.nodes += alive
            self.running += [(alive[0], task) for task in alive[0].claim(limit)]

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 9), well=st.booleans())
    def execute_one(self, which: int, well: bool) -> None:
        node, task = self.running.pop(which % len(self.running))
        self.exit = 0 if well else 1
        ended = node.execute(task)
        if task.digest in self.meaning:
            assert self.said == self.meaning[task.digest]
        self.ended.append((node, ended, self.said))

    @precondition(lambda self: self.ended)
    @rule(which=st.integers(0, 9), promote=st.booleans())
    def commit_one(self, which: int, promote: bool) -> None:
        node, ended, said = self.ended.pop(which % len(self.ended))
        task = node.commit(ended, promote=promote)
        if task and ended.attempt and task.result_generation == ended.attempt.claim:
            self.committed[task.job, task.index] = said
            self.seen[task.job][task.index] = task
        settle(ended.task.job, self.backend)
        self.check_second()

    @rule(well=st.sampled_from([True, True, False]), claim=st.sampled_from([0, 1, 9, 9]))
    def finish(self, well: bool, claim: int) -> None:
        """Let workers end what they hold, and more."""
        if claim:
            self.claim(claim)
        while self.running:
            self.execute_one(0, well)
        while self.ended:
            self.commit_one(0, True)

    @precondition(lambda self: self.nodes)
    @rule(sweep=st.booleans(), ran=st.booleans())
    def lose_a_node(self, sweep: bool, ran: bool) -> None:
        node = self.nodes[-1]
        self.compute.dead.add(node.name)
        self.compute.running[node.name] = None if ran else frozenset()
        self.running = [(on, task) for on, task in self.running if on is not node]
        self.ended = [(on, ended, said) for on, ended, said in self.ended if on is not node]
        if sweep:
            self.sweep_all()

    def sweep_all(self) -> None:
        recover.sweep({node.cluster for node in self.nodes}, self.backend)

    # People

    @rule(index=st.one_of(st.none(), st.integers(1, 4)), name=st.sampled_from("aab"))
    def kill(self, index: int | None, name: str) -> None:
        if job := self.job(name):
            recover.stop(job, self.backend, index=index)

    @rule(index=st.one_of(st.none(), st.integers(1, 4)))
    def retry(self, index: int | None) -> None:
        job, tasks = self.job(), self.tasks()
        assert job is not None
        ended = [F, K] if index is None else [S, F, K]
        chosen = {i for i, task in tasks.items() if task.state in ended and index in (None, i)}
        if not chosen or job.waiting or not job.generation:
            return
        try:
            prepared = prepare_stored(job, self.backend, retry=chosen)
        except RequestError:
            assert job.applying
            return
        self.asked |= {("a", i) for i in chosen}
        try:
            execute(prepared, self.backend, ME)
        except BackendError:
            assert job.applying
            return
        assert all(self.tasks()[i].state is P for i in chosen if i in self.tasks())

    @rule()
    def see_it_through(self) -> None:
        """Have all tasks succeed, so that the second job can begin."""
        self.retry(None)
        self.sweep_all()
        self.finish(True, 9)

    @rule(nodes=st.integers(1, 3))
    def scale(self, nodes: int) -> None:
        job = self.job()
        assert job is not None
        recover.rescale(job, nodes, self.backend)

    @rule()
    def settle_all(self) -> None:
        self.sweep_all()
        settle("a", self.backend)
        settle("b", self.backend)
        first, second = self.job("a"), self.job("b")
        assert first is not None
        states = {task.state for task in self.tasks().values()}
        if not first.applying and first.generation and not states & OPEN:
            assert first.state in (JobState.FINISHED, JobState.KILLED)
        if states == {S} and first.state is JobState.FINISHED and not first.applying and second and not second.applying:
            assert second.waiting is None

    # What always holds

    @invariant()
    def nothing_is_lost_and_nothing_is_done_twice(self) -> None:
        self.check_second()
        for name in "ab":
            if job := self.job(name):
                self.check(job, self.tasks(name))
        self.asked.clear()
        if (second := self.job("b")) and second.waiting and second.waiting.rerun == "all":
            self.asked |= {("b", index) for index in self.seen["b"]}

    def check(self, job: Job, now: Tasks) -> None:
        for index in self.seen[job.name].keys() & now.keys():
            self.check_task(self.seen[job.name][index], now[index])
        for name, index in list(self.committed):
            if name == job.name and index not in now:
                del self.committed[name, index]
        for task in now.values():
            self.check_result(task)
        settled = not job.applying and not job.waiting
        if settled:
            assert {task.cluster for task in now.values() if task.state is P} <= {job.cluster}
            assert self.torn or set(self.backend.objects.results(job.name)) <= set(now)
        if job.ended is not None and not job.applying:
            assert not {task.state for task in now.values()} & OPEN
        if job.name == "a":
            self.given |= set(now)
        self.seen[job.name] = now

    def check_task(self, before: Task, now: Task) -> None:
        if before.state is not S:
            return
        if before.digest == now.digest and (now.job, now.index) not in self.asked:
            assert now.state is S, "what has succeeded and not changed is not run again"
        if now.state is P:
            assert now.result_generation == before.result_generation, "the old result stays until there is another"

    def check_result(self, task: Task) -> None:
        """A result that was committed is in its folder; that of a task which succeeded is that of its digest."""
        if task.state is S:
            assert task.result_generation
        if task.result_generation:
            document = results.committed(task, self.backend)
            assert document is not None
            said = self.backend.objects.read_output(task.job, task.index, "out.txt").decode()
            assert said == self.committed[task.job, task.index]
            if task.state is S and task.digest in self.meaning:
                assert said == self.meaning[task.digest]


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    deadline=None, max_examples=100, stateful_step_count=25, print_blob=True, suppress_health_check=list(HealthCheck)
)
