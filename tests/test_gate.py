"""The gate of a plan: what is held back for the first rows, when it goes on, and that nothing else changes by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from contracts.nouns import digest_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plan import a_document, shown, wanted

from sparkles import plan
from sparkles.indices import from_runs, to_runs
from sparkles.model import OPEN, Canary, TaskColumns, TaskState
from sparkles.plan import NOTHING, Desired, Observed, Plan, Rerun, Verb

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED


@dataclass
class Job:
    """A job as a store would hold it. Each task is the row that it was made of, and its state."""

    tasks: dict[int, tuple[str, TaskState]] = field(default_factory=dict)
    #: Index → which making of the task it is: it ran anew if that has changed.
    made: dict[int, int] = field(default_factory=dict)
    rows: str = ""
    canary: Canary | None = None
    document: object = None
    last_index: int = 0
    makings: int = 0

    def observed(self, *, begun: frozenset[int] = frozenset()) -> Observed:
        if self.document is None:
            return NOTHING
        indices = sorted(self.tasks)
        columns = TaskColumns(
            indices, b"".join(digest_of(self.tasks[i][0]) for i in indices), [self.tasks[i][1] for i in indices]
        )
        return Observed(
            tasks=columns, document=self.document, generation=1, last_index=self.last_index, cluster="c",
            canary=self.canary, begun=begun, rows=lambda some: {index: {"x": self.tasks[index][0]} for index in some},
        )  # fmt: skip

    def plan(self, rows: str, first: int | None, *, rerun: Rerun = Rerun.NONE, **options: object) -> Plan:
        retry = options.pop("retry", ())
        return plan.make("j", desired(rows, first), self.observed(**options), rerun=rerun, retry=retry)

    def apply(self, rows: str, first: int | None, *, rerun: Rerun = Rerun.NONE, **options: object) -> Plan:
        made = self.plan(rows, first, rerun=rerun, **options)
        self.carry_out(made, rows)
        self.complete(made, rows)
        return made

    def carry_out(self, made: Plan, rows: str, *, most: int = 99) -> set[int]:
        """Write tasks, at most so many; return those that run anew."""
        row_of = dict(zip(made.assigned, rows, strict=True))
        for index in made.indices(Verb.REMOVE):
            del self.tasks[index]
        for index in made.indices(Verb.STOP):
            self.tasks[index] = self.tasks[index][0], K
        written = set(list(made.indices(Verb.CHANGE, Verb.RERUN, Verb.ADD))[:most])
        for index in written:
            self.makings += 1
            self.tasks[index], self.made[index] = (row_of[index], P), self.makings
        self.last_index = made.last_index
        return written

    def complete(self, made: Plan, rows: str) -> None:
        self.rows = rows
        self.document = {**a_document(parameters={"rows": [{"x": row} for row in rows]}), "status": {}}
        self.document["status"] = {"indices": to_runs(made.assigned)}
        held = Canary(first=to_runs(made.first), held=made.held, rerun=made.rerun_held.value, done=to_runs(made.done))
        self.canary = held if made.held else None

    def end(self, state: TaskState, *indices: int) -> None:
        for index in indices or [index for index, (_, now) in self.tasks.items() if now in OPEN]:
            self.tasks[index] = self.tasks[index][0], state

    @property
    def first(self) -> list[int]:
        return list(from_runs(self.canary.first)) if self.canary else []


def desired(rows: Sequence[str], first: int | None) -> Desired:
    document = a_document(parameters={"rows": [{"x": row} for row in rows]})
    return replace(wanted(rows, document=document), canary=first, labels=lambda: b"")


def a_job(rows: str, state: TaskState = S) -> Job:
    job = Job()
    job.apply(rows, None)
    job.end(state)
    return job


# What is held back


def test_of_a_new_job_only_the_first_rows_run() -> None:
    job = Job()

    made = job.apply("abcde", 2)

    assert shown(made) == [("add", [1, 2], False), ("hold", [3, 4, 5], False)]
    assert (made.runs, made.held, list(made.first), made.last_index) == (2, 3, [1, 2], 2)
    assert job.plan("abcde", 2).is_empty


@pytest.mark.parametrize("first", [None, 5, 9])
def test_nothing_is_held_back_without_a_canary_or_without_others(first) -> None:
    made = Job().apply("abcde", first)

    assert (made.runs, made.held, made.first) == (5, 0, ())


def test_the_others_go_on_when_all_of_the_first_have_succeeded_under_the_indices_that_were_shown() -> None:
    job = Job()
    before = job.apply("abcde", 2)
    job.end(S)

    after = job.apply("abcde", 2)

    assert shown(after) == [("keep", [1, 2], False), ("add", [3, 4, 5], False)]
    assert list(after.assigned) == list(before.assigned)
    assert job.canary is None


@pytest.mark.parametrize("state", [P, C, F, K])
def test_they_do_not_while_one_of_the_first_has_not(state) -> None:
    job = Job()
    job.apply("abcde", 2)
    job.end(S, 1)
    job.end(state, 2)

    assert job.plan("abcde", 2).is_empty
    assert job.plan("abcde", 2).held == 3


@pytest.mark.parametrize(
    ("state", "verb", "asks"),
    [(P, "stop", False), (C, "stop", True), (S, "hold", False), (F, "hold", False), (K, "hold", False)],
)
def test_a_task_that_has_changed_waits_and_does_not_go_on_with_what_it_was(state, verb, asks) -> None:
    job = a_job("abc")
    job.end(state, 3)

    made = job.plan("xyz", 1)

    assert [(name, loses) for name, indices, loses in shown(made) if 3 in indices] == [(verb, asks)]
    assert made.count(Verb.CHANGE) == 1


def test_what_is_not_to_run_anew_is_left_alone() -> None:
    job = a_job("abcde")
    job.end(C, 4)
    job.end(F, 5)

    made = job.plan("xbcde", 1)

    assert shown(made) == [("keep", [2, 3, 4, 5], False), ("change", [1], False)]


def test_pending_tasks_follow_their_job_to_other_machines_although_the_first_have_not_ended() -> None:
    job = Job()
    job.apply("abc", None)

    made = plan.make("j", replace(desired("abc", 1), cluster="other"), job.observed())

    assert made.held == 0
    assert made.count(Verb.CHANGE) == 3


def test_new_rows_behind_a_canary_that_has_passed_run_at_once() -> None:
    job = a_job("abc")

    made = job.plan("abcde", 2)

    assert (made.runs, made.held) == (2, 0)


def test_without_the_canary_all_go_on() -> None:
    job = Job()
    job.apply("abcde", 2)
    job.end(F)

    made = job.plan("abcde", None)

    assert shown(made) == [("keep", [1, 2], False), ("add", [3, 4, 5], False)]


# What is remembered


def test_a_retry_of_the_first_lets_the_others_go_on_when_it_succeeds() -> None:
    job = Job()
    job.apply("abcde", 2)
    job.end(F)

    again = job.apply("abcde", 2, retry={1, 2})
    job.end(S)
    rest = job.apply("abcde", 2)

    assert (again.runs, again.held) == (2, 3)
    assert (rest.runs, rest.held) == (3, 0)


@pytest.mark.parametrize("rerun", [Rerun.ALL, Rerun.FAILED])
def test_what_was_to_run_again_does_when_it_goes_on_and_the_first_do_not_twice(rerun) -> None:
    job = a_job("abcde", F)

    first = job.apply("abcde", 2, rerun=rerun)
    waiting = job.plan("abcde", 2)
    job.end(S, 1, 2)
    rest = job.apply("abcde", 2)

    assert [list(made.indices(Verb.RERUN)) for made in (first, rest)] == [[1, 2], [3, 4, 5]]
    assert waiting.is_empty
    assert job.plan("abcde", 2).is_empty


def test_a_whole_job_that_runs_again_is_numbered_as_was_shown_when_it_goes_on() -> None:
    job = a_job("edcba")
    job.apply("fghij", None)  # indices 1 to 5 again, by their places
    job.last_index = 40

    first = job.apply("abcdefg", 2, rerun=Rerun.ALL)
    job.end(S, 1, 2)
    rest = job.apply("abcdefg", 2)

    assert list(first.assigned) == list(rest.assigned) == [1, 2, 3, 4, 5, 6, 7]


def test_who_lets_them_go_on_and_is_cut_off_has_done_what_is_done() -> None:
    job = a_job("abcdef")
    job.apply("abcdef", 2, rerun=Rerun.ALL)
    job.end(S, 1, 2)
    begun = job.carry_out(job.plan("abcdef", 2), "abcdef", most=2)
    job.end(C, *begun)

    resumed = job.plan("abcdef", 2, begun=frozenset(begun))

    assert begun == {3, 4}
    assert list(resumed.indices(Verb.RERUN)) == [5, 6]
    assert not resumed.asks


# What always holds

ROWS = st.text("abcd", min_size=1, max_size=6)
EVENTS = st.one_of(
    st.tuples(st.just("apply"), ROWS, st.sampled_from([None, 1, 2, 3]), st.sampled_from(Rerun)),
    st.tuples(st.just("settle")),
    st.tuples(st.just("end"), st.integers(1, 9), st.sampled_from([S, S, S, F])),
    st.tuples(st.just("kill"), st.integers(1, 9)),
)


@settings(deadline=None, max_examples=400)
@given(st.lists(EVENTS, min_size=1, max_size=14))
def test_whatever_happens_nothing_runs_before_the_first_have_succeeded_and_in_the_end_all_is_what_was_asked_for(
    events,
) -> None:
    job, first = Job(), None
    job.apply("abcd", first := 2)
    asked_all_at = 0
    for event in events:
        match event:
            case ("apply", rows, canary, rerun):
                before = dict(job.made)
                made = job.apply(rows, first := canary, rerun=rerun)
                _assert_gate_holds(job, made, before)
                asked_all_at = job.makings - made.runs if rerun is Rerun.ALL else asked_all_at
                assert job.plan(rows, canary).is_empty
            case ("settle",) if job.canary and {job.tasks[index][1] for index in job.first} == {S}:
                made = job.apply(job.rows, first)
                assert not made.held
            case ("end", index, state) if index in job.tasks and job.tasks[index][1] in OPEN:
                job.end(state, index)
            case ("kill", index) if index in job.tasks and job.tasks[index][1] in OPEN:
                job.end(K, index)

    if job.canary:
        job.end(S, *job.first)
        job.apply(job.rows, first)
    assert job.canary is None
    assert [job.tasks[index][0] for index in from_runs(job.document["status"]["indices"])] == list(job.rows)
    assert all(job.made[index] > asked_all_at for index in job.tasks), "all have run since that was asked for"


def _assert_gate_holds(job: Job, made: Plan, before: dict[int, int]) -> None:
    ran = {index for index in job.tasks if job.made[index] != before.get(index)}
    if made.held:
        assert ran <= set(made.first), "only the first run"
        assert {job.tasks[index][1] for index in made.first} != {S}
        held = [index for index in made.indices(Verb.HOLD, Verb.STOP) if index in job.tasks]
        assert all(job.tasks[index][1] not in OPEN for index in held), "none goes on with what it was"
    else:
        assert job.canary is None
