"""Watch: the lines of the manual, on a clock that only moves when the watcher sleeps."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import FakeCompute, a_backend
from contracts.nouns import a_claimed_task, a_cluster, a_job, a_node, a_task, put
from contracts.objects import a_document, always, append

from sparkles import lifecycle, polling, recover, screen, watch
from sparkles.errors import BackendError, RequestError
from sparkles.model import Applying, JobState, Key, NodeState, Sample, TaskState, Waiting
from sparkles.ports.backend import Backend
from sparkles.ports.compute import Staffing
from sparkles.ports.objects import Result
from sparkles.prepare import find_job
from sparkles.sight import Sight, Tailed

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED

GB = 10**9

#: As in the manual.
MEMORY = (
    "Processes running in container: 3, total memory used: 0.343 GB, data memory used: 0.297 GB, "
    "shared used 0.032 GB, resident 0.072 GB"
)


@dataclass
class Clock:
    """Time that stands still until somebody sleeps; then what is due happens."""

    now: float = 1000.0
    #: (when, what happens)
    plan: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        due = [entry for entry in self.plan if entry[0] <= self.now]
        self.plan = [entry for entry in self.plan if entry[0] > self.now]
        for _, event in due:
            event()
        assert self.now < 2000, "the watcher watches for ever"

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        self.plan.append((1000.0 + seconds, event))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (polling, watch):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(screen, "stamped", lambda line: f"[21:29:46] {line}")
    return clock


@pytest.fixture
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def backend(tmp_path: Path, compute: FakeCompute) -> Iterator[Backend]:
    backend = a_backend(tmp_path / "home", compute=compute)
    with closing(backend.state):
        yield backend


@pytest.fixture
def world(backend: Backend) -> World:
    return World(backend)


@dataclass
class World:
    """What happens to a job while it is watched."""

    backend: Backend

    def submit(self, count: int = 1) -> None:
        put(self.backend.state, a_job(), a_cluster(), *(a_task(index) for index in range(1, count + 1)))

    def node(self, state: NodeState = NodeState.STARTING, **fields: Any) -> Callable[[], None]:
        return lambda: put(self.backend.state, a_node(state=state, **fields))

    def claim(self, *indices: int) -> Callable[[], None]:
        def event() -> None:
            put(self.backend.state, *(a_claimed_task(index) for index in indices))
            put(self.backend.state, a_node(worked=True))

        return event

    def write(self, index: int, content: bytes) -> Callable[[], None]:
        return lambda: append(self.backend.objects.open_log("j", index, f"claim-{index}"), content)

    def sample(self, index: int, *sizes: float) -> Callable[[], None]:
        processes, *rest = sizes
        sample = Sample(int(processes), *(int(size * GB) for size in rest))
        return lambda: put(self.backend.state, a_node(worked=True, samples={f"claim-{index}": sample}))

    def end(self, *indices: int, state: TaskState = S, log: bytes = b"") -> Callable[[], None]:
        def event() -> None:
            for index in indices:
                claim = f"claim-{index}"
                path = self.backend.objects.open_log("j", index, claim)
                append(path, log)
                document = a_document(claim, index=index)
                result = Result(job="j", index=index, claim=claim, log=path, outputs=[], document=document)
                generation = self.backend.objects.publish(result, holds=always)
                put(self.backend.state, a_task(index, state=state, claim=claim, result_generation=generation))
                self.backend.objects.promote("j", index, generation)

        return event

    def watched(self) -> list[str]:
        lines: list[str] = []
        watch.Watcher("j", self.backend, screen.Paper(lines.append)).run()
        return lines


# The manual, to the letter


def test_a_quick_task_is_shown_as_the_manual_does(backend, world, clock) -> None:
    """The manual's first example: `sub echo hello world`."""
    world.submit()
    clock.after(0.5, world.node())
    clock.after(3.0, world.end(1, log=b"hello world\n"))

    assert world.watched() == [
        "tasks: pending (1), worker nodes:",
        "tasks: pending (1), worker nodes: staging (1)",
        "[21:29:46] hello world",
        "Job finished. 1 tasks completed successfully, 0 tasks failed",
    ]


def test_quick_tasks_are_not_printed_one_by_one(backend, world, clock) -> None:
    """The manual's second example: `--seq 3`."""
    world.submit(3)
    clock.after(0.5, world.node())
    clock.after(3.0, world.end(1, 2, 3, log=b"I am task\n"))

    assert world.watched() == [
        "tasks: pending (3), worker nodes:",
        "tasks: pending (3), worker nodes: staging (1)",
        "Job finished. 3 tasks completed successfully, 0 tasks failed",
    ]


def test_a_long_task_is_tailed(backend, world, clock) -> None:
    """The manual's third example: the last step of `--foreach`, and the line about memory of the second."""
    world.submit()
    world.node(NodeState.ALIVE, worked=True)()
    clock.after(1.0, world.claim(1))
    clock.after(2.0, world.write(1, b"[2.0, 4.0"))
    clock.after(6.0, world.write(1, b", 6.0, 8.0]\n"))
    clock.after(8.0, world.sample(1, 3, 0.343, 0.297, 0.032, 0.072))
    clock.after(10.0, world.end(1))

    assert world.watched() == [
        "tasks: pending (1), worker nodes: running (1)",
        "tasks: claimed (1), worker nodes: running (1)",
        "[21:29:46] [starting tail of log j.1]",
        "[21:29:46] [2.0, 4.0, 6.0, 8.0]",
        f"[21:29:46] {MEMORY}",
        "Job finished. 1 tasks completed successfully, 0 tasks failed",
    ]


def test_a_claim_that_is_over_at_once_is_not_worth_a_line(backend, world, clock) -> None:
    world.submit(2)
    world.node(NodeState.ALIVE)()
    clock.after(1.0, world.claim(1))
    clock.after(1.1, world.end(1))
    clock.after(1.1, world.claim(2))
    clock.after(1.2, world.end(2))

    assert world.watched() == [
        "tasks: pending (2), worker nodes: staging (1)",
        "Job finished. 2 tasks completed successfully, 0 tasks failed",
    ]


def test_a_job_that_never_stands_still_is_not_silent_for_long(backend, world, clock) -> None:
    world.submit(130)
    world.node(NodeState.ALIVE, worked=True)()
    for n in range(1, 131):
        clock.after(0.1 * n, world.claim(n))
        clock.after(0.1 * n + 0.1, world.end(n))

    first, *others, last = world.watched()
    assert first == "tasks: pending (130), worker nodes: running (1)"
    assert [re.sub(r"\d\d+", "NN", line) for line in others] == [
        "tasks: pending (NN), claimed (1), succeeded (NN), worker nodes: running (1)"
    ] * 2
    assert last == "Job finished. 130 tasks completed successfully, 0 tasks failed"


def test_tasks_that_failed_or_were_killed_are_counted(backend, world, clock) -> None:
    world.submit(4)
    clock.after(1.0, world.end(1, 2))
    clock.after(1.0, world.end(3, state=F))
    clock.after(1.0, world.end(4, state=K))

    assert world.watched()[-1] == "Job finished. 2 tasks completed successfully, 1 tasks failed, 1 tasks killed"


@pytest.mark.parametrize(
    ("counts", "states", "line"),
    [
        pytest.param({P: 1}, [], "tasks: pending (1), worker nodes:", id="no node"),
        pytest.param({P: 3}, ["starting"], "tasks: pending (3), worker nodes: staging (1)", id="starting"),
        pytest.param({P: 3}, ["alive"], "tasks: pending (3), worker nodes: staging (1)", id="up, but idle"),
        pytest.param(
            {C: 2, P: 1, F: 1, S: 4}, ["worked", "worked", "starting", "leaving", "lost"],
            "tasks: pending (1), claimed (2), succeeded (4), failed (1), "
            "worker nodes: staging (1), running (3), lost (1)",
            id="some of each",
        ),
    ],
)  # fmt: skip
def test_a_line_says_where_tasks_and_nodes_stand(counts, states, line) -> None:
    nodes = [
        a_node(str(number), state=NodeState.ALIVE if state == "worked" else NodeState(state), worked=state == "worked")
        for number, state in enumerate(states)
    ]

    assert watch.status_line(counts, nodes) == line


# Nodes that are yet to report


def test_nodes_without_a_record_are_counted_as_the_manual_does(backend, world, clock, compute) -> None:
    world.submit()
    compute.staffing = lambda *_: Staffing(submitted=1, staging=2)
    clock.after(1.0, world.node(NodeState.ALIVE, worked=True))
    clock.after(3.0, world.end(1))

    assert world.watched()[:2] == [
        "tasks: pending (1), worker nodes: submitted (1), staging (2)",
        "tasks: pending (1), worker nodes: submitted (1), staging (2), running (1)",
    ]


def test_why_nodes_do_not_come_is_said_once_even_if_its_numbers_change(backend, world, clock, compute) -> None:
    world.submit()
    numbers = iter(range(2, 1000))
    compute.staffing = lambda *_: Staffing(submitted=1, troubles=[f"no machine is free (nodes: {next(numbers)})"])
    clock.after(5.0, lambda: setattr(compute, "staffing", lambda *_: Staffing(troubles=["the quota is used up"])))
    clock.after(20.0, world.end(1))

    said = [line for line in world.watched() if not line.startswith("tasks: ")]
    assert said[:2] == ["worker nodes: no machine is free (nodes: 2)", "worker nodes: the quota is used up"]
    assert len(said) == 3


def test_whoever_may_not_see_machines_still_watches(backend, world, clock, compute) -> None:
    def refuse(*_: Any) -> Staffing:
        raise BackendError("no right")

    world.submit()
    compute.staffing = refuse
    clock.after(1.0, world.end(1))

    assert world.watched()[1] == "worker nodes: whether nodes come cannot be found out: no right"


# Tails


def test_the_log_of_the_only_task_is_printed_whole_if_it_was_not_tailed(backend, world, clock) -> None:
    world.submit()
    world.end(1, state=F, log="one\ntwö\n\nthree, cut off".encode())()

    assert world.watched() == [
        "[21:29:46] one",
        "[21:29:46] twö",
        "[21:29:46] ",
        "[21:29:46] three, cut off",
        "Job finished. 0 tasks completed successfully, 1 tasks failed",
    ]


def test_a_task_that_wrote_nothing_is_no_problem(backend, world, clock) -> None:
    world.submit()
    world.end(1)()

    assert world.watched() == ["Job finished. 1 tasks completed successfully, 0 tasks failed"]


def test_characters_and_lines_that_come_in_pieces_are_printed_whole(backend, world, clock) -> None:
    world.submit()
    world.claim(1)()
    text = "größer\nals 🙂 gedacht\n".encode()
    for number in range(len(text)):
        clock.after(1.0 + 0.6 * number, world.write(1, text[number : number + 1]))
    clock.after(30.0, world.end(1))

    lines = world.watched()

    assert lines[2:4] == ["[21:29:46] größer", "[21:29:46] als 🙂 gedacht"]


def test_bytes_that_are_no_text_do_not_stop_the_tail(backend, world, clock) -> None:
    world.submit()
    world.end(1, log=b"\xff\xfe\n\x00\n")()

    assert world.watched()[:2] == ["[21:29:46] \ufffd\ufffd", "[21:29:46] \x00"]


def test_what_a_task_writes_last_is_not_lost(backend, world, clock) -> None:
    world.submit()
    world.claim(1)()
    clock.after(1.0, world.write(1, b"first\n"))
    clock.after(5.0, world.end(1, log=b"last words, without an end"))

    assert world.watched()[-3:-1] == ["[21:29:46] first", "[21:29:46] last words, without an end"]


def test_when_the_tailed_task_has_ended_another_is_tailed(backend, world, clock) -> None:
    world.submit(3)
    world.claim(1, 2)()
    for index in (1, 2):
        clock.after(0.5, world.write(index, b"from %d\n" % index))
    clock.after(5.0, world.end(1))
    clock.after(6.0, world.claim(2, 3))
    clock.after(9.0, world.end(2, 3))

    lines = [line for line in world.watched() if line.startswith("[")]

    assert lines == [
        "[21:29:46] [starting tail of log j.1]",
        "[21:29:46] from 1",
        "[21:29:46] [starting tail of log j.2]",
        "[21:29:46] from 2",
    ]


def test_a_tailed_task_that_is_given_back_is_tailed_no_more(backend, world, clock) -> None:
    world.submit()
    world.claim(1)()
    clock.after(0.5, world.write(1, b"from the first\n"))
    clock.after(5.0, lambda: put(backend.state, lifecycle.give_back(a_claimed_task(), now=0.0)))
    clock.after(8.0, lambda: put(backend.state, a_claimed_task(claim="second")))
    clock.after(8.5, lambda: append(backend.objects.open_log("j", 1, "second"), b"from the second\n"))
    clock.after(15.0, lambda: put(backend.state, a_task(state=S, claim="second", result_generation="second")))

    lines = [line.removeprefix("[21:29:46] ") for line in world.watched() if line.startswith("[")]

    assert lines == [
        "[starting tail of log j.1]", "from the first", "[starting tail of log j.1]", "from the second"
    ]  # fmt: skip


def test_a_sample_that_stays_the_same_is_one_line(backend, world, clock) -> None:
    world.submit()
    world.claim(1)()
    clock.after(0.5, world.write(1, b"x\n"))
    for second in range(2, 9):
        clock.after(second, world.sample(1, 1 + (second > 5), 1, 1, 1, 1))
    clock.after(12.0, world.end(1))

    lines = [line for line in world.watched() if "Processes running" in line]

    assert [line.split(", ")[0].split(": ")[1] for line in lines] == ["1", "2"]


# A screen that shows how the job stands


@dataclass
class Glass:
    """A live screen: it takes lines, and looks whenever it may."""

    is_live: bool = True
    lines: list[str] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def say_log(self, line: str) -> None:
        self.lines.append(f"log: {line}")

    def show(self, look: Callable[[], Sight]) -> None:
        self.sights.append(look())


def test_on_a_live_screen_what_passes_is_seen_and_what_stays_is_printed(backend, world, clock) -> None:
    world.submit(2)
    world.node()()
    clock.after(1.0, world.claim(1))
    clock.after(2.0, world.write(1, b"one\n 5%\r50%"))
    clock.after(6.0, world.sample(1, 3, 0.343, 0.297, 0.032, 0.072))
    clock.after(8.0, world.end(1))
    clock.after(9.0, world.end(2, state=F, log=b"why\n"))
    glass = Glass()

    watch.Watcher("j", backend, glass).run()

    assert glass.lines == [
        "log: [starting tail of log j.1]",
        "log: one",
        "log:  5%\r50%",
        "Job finished. 1 tasks completed successfully, 1 tasks failed",
    ]
    assert glass.sights[0] == Sight(job="j", counts={P: 2}, nodes={"staging": 1}, coming={"staging": 0.0})
    assert [sight.tailed for sight in glass.sights if sight.tailed][-1] == Tailed(
        id="j.1", sample=Sample(3, 343_000_000, 297_000_000, 32_000_000, 72_000_000), unfinished=" 5%\r50%"
    )
    assert [failure.last_line for failure in glass.sights[-1].failures] == ["why"]
    assert glass.sights[-1].elapsed == pytest.approx(9, abs=1)


def test_a_screen_that_is_not_live_any_more_is_told_how_the_job_stands(backend, world, clock) -> None:
    world.submit(2)
    world.node()()
    glass = Glass()
    clock.after(3.0, lambda: setattr(glass, "is_live", False))
    clock.after(5.0, world.end(1, 2))

    watch.Watcher("j", backend, glass).run()

    assert glass.lines[0] == "tasks: pending (2), worker nodes: staging (1)"


def test_a_screen_sees_what_a_job_waits_for(backend, clock) -> None:
    waiting = Waiting(needs=("first",))
    put(backend.state, a_job("first"), a_task(job="first"), a_job(state=JobState.WAITING, waiting=waiting))
    clock.after(3.0, lambda: recover.stop(find_job(backend, "j"), backend))
    glass = Glass()

    watch.Watcher("j", backend, glass).run()

    assert glass.sights[0].needs == ("first",)
    assert glass.lines == ["Job j was killed while it waited."]


# Healing


def test_watching_ends_the_job_and_moves_its_results_into_place(backend, world, clock) -> None:
    world.submit()
    log = backend.objects.open_log("j", 1, "claim-1")
    log.touch()
    result = Result(job="j", index=1, claim="claim-1", log=log, outputs=[], document=a_document("claim-1"))
    generation = backend.objects.publish(result, holds=always)
    put(backend.state, a_task(state=S, claim="claim-1", result_generation=generation))

    world.watched()

    found = find_job(backend, "j")
    assert found is not None
    assert found.state is JobState.FINISHED
    assert list(backend.objects.results("j")) == [1]


def test_watching_brings_back_the_tasks_of_a_node_that_dies(backend, world, clock, compute) -> None:
    world.submit()
    world.claim(1)()
    compute.running["n"] = frozenset({"claim-1"})
    clock.after(5.0, lambda: compute.dead.add("n"))
    clock.after(20.0, world.end(1))

    world.watched()

    assert compute.fenced == ["n"]
    assert compute.raised[-1] == 1


def test_nodes_that_never_come_up_are_taken_for_a_defect(backend, world, clock, compute) -> None:
    world.submit()
    compute.words = "no module named sparkles\n"

    def start(number: int) -> Callable[[], None]:
        def event() -> None:
            put(backend.state, a_node(str(number), state=NodeState.STARTING))
            compute.dead.add(str(number))

        return event

    for number in range(5):
        clock.after(5.0 * number + 1, start(number))

    with pytest.raises(BackendError, match=r"3 nodes died before they did anything; .*\nno module named sparkles"):
        world.watched()


def test_a_job_that_is_deleted_meanwhile_is_an_error(backend, world, clock) -> None:
    world.submit()
    clock.after(3.0, lambda: recover.delete(find_job(backend, "j"), backend, results=False))

    with pytest.raises(RequestError, match="job j was deleted"):
        world.watched()


def test_a_job_without_open_tasks_is_watched_until_its_apply_has_ended(backend, world, clock) -> None:
    applying = Applying(token="t", digest="d", generation=2, progress=clock.now)
    put(backend.state, a_job(applying=applying), a_task(1, state=S))
    clock.after(5.0, lambda: put(backend.state, a_job(generation=2), a_task(2)))
    clock.after(8.0, world.end(2))

    assert world.watched()[-1] == "Job finished. 2 tasks completed successfully, 0 tasks failed"
    assert clock.now > 1008.0


def test_a_job_whose_apply_was_cut_off_is_not_watched_for_ever(backend, world, clock) -> None:
    applying = Applying(token="t", digest="d", generation=2, progress=clock.now)
    put(backend.state, a_job(applying=applying), a_task(1, state=S))

    with pytest.raises(BackendError, match="its last sub or apply was cut off; run that again"):
        world.watched()


def test_a_wait_gives_up_at_its_deadline(backend, world, clock) -> None:
    world.submit()

    with pytest.raises(TimeoutError):
        list(polling.poll("j", backend, deadline=clock.now + 10))

    assert 1010 <= clock.now < 1012


def test_nothing_is_counted_again_while_nothing_happens(backend, world, clock, monkeypatch) -> None:
    world.submit()
    counts = backend.state.counts
    asked = []
    monkeypatch.setattr(backend.state, "counts", lambda *a, **o: asked.append(clock.now) or counts(*a, **o))
    clock.after(100.0, world.end(1))

    world.watched()

    assert len(asked) < 2.5 * 100 / 0.5


def test_a_stamp_is_the_time_of_day(monkeypatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    line = screen.stamped("hello")

    assert line[0] + line[3] + line[6] + line[9:] == "[::] hello"


def test_what_is_watched_is_written_by_others(backend, world, clock, tmp_path) -> None:
    world.submit()

    def elsewhere() -> None:
        with closing(a_backend(tmp_path / "home").state) as state:
            World(replace(backend, state=state)).end(1)()

    clock.after(3.0, elsewhere)

    assert world.watched()[-1] == "Job finished. 1 tasks completed successfully, 0 tasks failed"
    assert backend.state.read([Key.job("j")])[Key.job("j")].state is JobState.FINISHED
