"""Plan: every decision, the matching of rows to tasks, and what holds for any sequence of manifests."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from contracts.nouns import digest_of
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkles import changes, plan
from sparkles import manifest as manifests
from sparkles.compile import Definition
from sparkles.indices import to_runs
from sparkles.model import TaskColumns, TaskState
from sparkles.plan import DECISIONS, NOTHING, Desired, Observed, Plan, Relation, Rerun, Verb
from sparkles.plan.causes import Causes
from sparkles.spec import spec_of

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED


def a_document(**spec: Any) -> dict[str, Any]:
    document = {
        "apiVersion": "sparkles/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"command": ["run", "{x}"], **spec},
    }
    return manifests.with_defaults(document)


@dataclass
class World:
    """A job as a store would hold it; each row is a text that stands for its digest."""

    #: Index → row and state.
    tasks: dict[int, tuple[str, TaskState]] = field(default_factory=dict)
    document: dict[str, Any] | None = None
    last_index: int = 0
    cluster: str = ""
    #: Index → the row whose result is in that folder.
    results: dict[int, str] = field(default_factory=dict)

    def observed(self) -> Observed:
        if self.document is None and not self.tasks:
            return NOTHING
        indices = sorted(self.tasks)
        columns = TaskColumns(
            indices, b"".join(digest_of(self.tasks[i][0]) for i in indices), [self.tasks[i][1] for i in indices]
        )
        return Observed(
            tasks=columns, document=self.document, generation=1, last_index=self.last_index, cluster=self.cluster,
            rows=lambda indices: {index: {"x": self.tasks[index][0]} for index in indices},
        )  # fmt: skip

    def plan(self, rows: Sequence[str], *, rerun: Rerun = Rerun.NONE, **options: Any) -> Plan:
        return plan.make("j", wanted(rows, **options), self.observed(), rerun=rerun)

    def apply(self, rows: Sequence[str], *, rerun: Rerun = Rerun.NONE, cut_off: bool = False, **options: Any) -> Plan:
        """Do what a plan says; `cut_off` before it is complete, when all tasks are written."""
        made = self.plan(rows, rerun=rerun, **options)
        self.last_index = made.last_index
        desired = wanted(rows, **options)
        for index in made.indices(Verb.REMOVE):
            del self.tasks[index]
            self.results.pop(index, None)
        row_of = dict(zip(made.assigned, rows, strict=True))
        for index in made.indices(Verb.CHANGE, Verb.RERUN):
            self.tasks[index] = row_of[index], self.tasks[index][1] if self.tasks[index][1] is C else P
        for index in made.indices(Verb.ADD):
            assert index not in self.tasks
            self.tasks[index] = row_of[index], P
        if not cut_off:
            self.document = {**desired.document, "status": {"indices": to_runs(made.assigned)}}
            self.cluster = desired.cluster
        return made

    def end(self, state: TaskState = S, *indices: int) -> World:
        """Let tasks end, all or those of these indices."""
        for index in indices or self.tasks:
            self.tasks[index] = self.tasks[index][0], state
            if state in (S, F):
                self.results[index] = self.tasks[index][0]
        return self


def wanted(rows: Sequence[str], *, seq: bool = False, cluster: str = "c", document: Any = None) -> Desired:
    digests = b"".join(map(digest_of, rows))
    return Desired(
        digests=digests, seq=seq, document=document or a_document(), cluster=cluster,
        rows=lambda places: ({"x": rows[place]} for place in places),
    )  # fmt: skip


def a_world(rows: Sequence[str], state: TaskState = S, **options: Any) -> World:
    world = World()
    world.apply(rows, **options)
    return world.end(state)


def shown(made: Plan) -> list[tuple[str, list[int], bool]]:
    return [(action.verb.value, list(action.indices), bool(action.loss)) for action in made.actions]


# Decisions


def test_there_is_a_decision_for_everything_that_can_be_observed() -> None:
    assert set(DECISIONS) == set(itertools.product(Relation, TaskState))


@pytest.mark.parametrize(
    ("state", "same", "changed", "gone"),
    [
        pytest.param(P, "keep", "change", "remove", id="pending"),
        pytest.param(C, "keep", "change!", "remove!", id="claimed"),
        pytest.param(S, "keep", "change", "remove!", id="succeeded"),
        pytest.param(F, "keep", "change", "remove", id="failed"),
        pytest.param(K, "keep", "change", "remove", id="killed"),
    ],
)
def test_what_is_done_with_a_task_depends_on_its_state_and_its_row(state, same, changed, gone) -> None:
    world = a_world(["a", "b", "c"], state)

    found = {
        index: action.verb.value + "!" * bool(action.loss)
        for rows in (["a", "edited", "c"], ["a", "b"])
        for action in world.plan(rows).actions
        for index in action.indices
    }

    assert found == {1: same, 2: same, 3: gone}
    assert shown(world.plan(["a", "edited", "c"]))[1:] == [(changed.strip("!"), [2], changed.endswith("!"))]


# Plans


def test_a_new_job_gets_a_task_for_each_row() -> None:
    made = World().plan(["a", "b", "c"])

    assert shown(made) == [("add", [1, 2, 3], False)]
    assert (list(made.assigned), made.last_index, made.generation) == ([1, 2, 3], 3, 0)
    assert not made.is_empty


@pytest.mark.parametrize("state", TaskState)
def test_the_same_again_is_an_empty_plan(state: TaskState) -> None:
    made = a_world(["a", "b", "c"], state).plan(["a", "b", "c"])

    assert made.is_empty
    assert shown(made) == [("keep", [1, 2, 3], False)]


@pytest.mark.parametrize(
    ("rows", "assigned", "actions"),
    [
        pytest.param("abcd", [1, 2, 3, 4], {"add": [4]}, id="a row more"),
        pytest.param("ab", [1, 2], {"remove": [3]}, id="the last row less"),
        pytest.param("bc", [2, 3], {"remove": [1]}, id="the first row less"),
        pytest.param("xabc", [4, 1, 2, 3], {"add": [4]}, id="a row inserted on top"),
        pytest.param("axbc", [1, 4, 2, 3], {"add": [4]}, id="a row inserted in between"),
        pytest.param("axc", [1, 2, 3], {"change": [2]}, id="a row edited"),
        pytest.param("xbc", [1, 2, 3], {"change": [1]}, id="the first row edited"),
        pytest.param("abx", [1, 2, 3], {"change": [3]}, id="the last row edited"),
        pytest.param("xyz", [1, 2, 3], {"change": [1, 2, 3]}, id="all rows edited"),
        pytest.param("naxc", [4, 1, 2, 3], {"change": [2], "add": [4]}, id="one inserted on top, one edited"),
        pytest.param("xc", [1, 3], {"change": [1], "remove": [2]}, id="which of two was edited cannot be known"),
        pytest.param("cba", [3, 2, 1], {}, id="sorted"),
        pytest.param("cdba", [3, 4, 2, 1], {"add": [4]}, id="sorted, with one more"),
    ],
)
def test_rows_are_found_again(rows, assigned, actions) -> None:
    made = a_world("abc").plan(list(rows))

    assert list(made.assigned) == assigned
    verbs = {action.verb for action in made.actions} - {Verb.KEEP}
    assert {verb.value: list(made.indices(verb)) for verb in verbs} == actions


def test_sorting_runs_nothing_and_is_recorded() -> None:
    world = a_world("abc")

    made = world.apply("cab")

    assert shown(made) == [("keep", [3, 1, 2], False)]
    assert list(made.settings) == ["order of the rows"]
    assert world.plan("cab").is_empty


def test_equal_rows_are_matched_where_they_stood_and_then_the_first_to_the_first() -> None:
    world = a_world("abab")
    world.apply("babba")

    assert list(world.plan("babba").assigned) == [2, 1, 5, 4, 3]
    assert shown(a_world("aaa").plan("aa"))[-1] == ("remove", [3], True)
    assert shown(a_world("aa").plan("aaa"))[-1] == ("add", [3], False)


def test_an_index_that_was_given_once_is_not_given_again() -> None:
    world = a_world("abc")
    world.apply("ab")

    assert list(world.plan("abz").assigned) == [1, 2, 4]


def test_a_row_of_a_seq_has_its_number_as_index() -> None:
    world = a_world("12345", seq=True)

    fewer = world.apply("123", seq=True)
    more = world.apply("1234", seq=True)

    assert shown(fewer)[-1] == ("remove", [4, 5], True)
    assert shown(more) == [("keep", [1, 2, 3], False), ("add", [4], False)]
    assert more.last_index == 5


def test_rerun_all_numbers_anew() -> None:
    world = a_world("abc")
    world.apply("bcd")

    made = world.apply("dcb", rerun=Rerun.ALL)

    assert list(made.assigned) == [1, 2, 3]
    assert {verb for verb, _, _ in shown(made)} <= {"change", "rerun", "add", "remove"}
    assert sorted(world.tasks.items()) == [(1, ("d", P)), (2, ("c", P)), (3, ("b", P))]


def test_rerun_all_of_what_has_ended_asks_nothing_and_of_what_runs_does() -> None:
    ended = a_world("abc").plan("ab", rerun=Rerun.ALL)
    running = a_world("abc").end(C, 2, 3).plan("ab", rerun=Rerun.ALL)

    assert list(ended.asks) == []
    assert [(action.verb, list(action.indices)) for action in running.asks] == [(Verb.RERUN, [2]), (Verb.REMOVE, [3])]


def test_rerun_failed_runs_what_failed_or_was_killed_and_nothing_else() -> None:
    world = a_world("abcde").end(F, 2).end(K, 3).end(P, 4).end(C, 5)

    made = world.plan("abcde", rerun=Rerun.FAILED)

    assert shown(made) == [("keep", [1, 4, 5], False), ("rerun", [2, 3], False)]
    assert [action.cause for action in made.actions] == ["", "--rerun failed"]
    assert list(made.hints) == []


def test_failed_tasks_are_kept_with_a_hint() -> None:
    made = a_world("abc").end(F, 1).end(K, 2).plan("abc")

    assert made.is_empty
    assert list(made.hints) == [
        "2 tasks failed or were killed before; --rerun failed runs such tasks again, and so does 'sparkles retry j'"
    ]


@pytest.mark.parametrize(
    ("spec", "settings"),
    [
        pytest.param({"nodes": {"max": 4}}, ["nodes.max 1 → 4"], id="nodes.max"),
        pytest.param({"timeout": "2h"}, ["timeout unset → 2h"], id="a field that was not set"),
        pytest.param(
            {"retries": {"limit": 1}, "nodes": {"max": 2}}, ["nodes.max 1 → 2", "retries.limit 0 → 1"], id="two"
        ),
    ],
)
def test_settings_run_nothing_and_are_no_empty_plan(spec, settings) -> None:
    made = a_world("abc").plan("abc", document=a_document(**spec))

    assert shown(made) == [("keep", [1, 2, 3], False)]
    assert list(made.settings) == settings
    assert not made.is_empty


def test_a_label_is_a_setting() -> None:
    document = {**a_document(), "metadata": {"labels": {"project": "x"}}}

    assert list(a_world("a").plan("a", document=document).settings) == ["labels.project unset → x"]


def test_the_cause_of_a_change_is_what_was_changed() -> None:
    world = a_world("abc", document=a_document(image="r:1"))

    made = world.plan("xyz", document=a_document(image="r:2", env={"A": "1"}))

    assert [action.cause for action in made.actions] == [
        "env.A unset → 1, image r:1 → r:2, parameters.x a → x",
        "env.A unset → 1, image r:1 → r:2, parameters.x b → y",
        "env.A unset → 1, image r:1 → r:2, parameters.x c → z",
    ]


def test_waiting_tasks_follow_their_job_to_other_machines_and_running_ones_stay() -> None:
    world = a_world("abcd").end(P, 1, 2).end(C, 3)

    made = world.plan("abcd", cluster="d")

    assert shown(made) == [("keep", [3, 4], False), ("change", [1, 2], False)]
    assert made.actions[1].cause == "resources"


def test_the_cause_of_a_removal_is_the_manifest() -> None:
    (_, removal) = a_world("ab").plan("a").actions

    assert removal.cause == "no longer in the manifest"


def test_a_million_unchanged_rows_are_one_action() -> None:
    count = 100_000
    digests = b"".join(number.to_bytes(32, "big") for number in range(count))
    document = {**a_document(), "status": {"indices": f"1-{count}"}}
    tasks = TaskColumns(range(1, count + 1), digests, [S] * count)
    observed = Observed(tasks=tasks, document=document, generation=1, last_index=count, cluster="c")

    desired = Desired(digests=digests, document=a_document(), cluster="c", rows=lambda _: ())
    made = plan.make("j", desired, observed)

    assert len(made.actions) == 1
    assert made.is_empty


def test_an_apply_that_was_cut_off_is_something_to_do() -> None:
    observed = replace(a_world("ab").observed(), cut_off=True)

    made = plan.make("j", wanted("ab"), observed)

    assert not made.is_empty
    assert "completes an apply that was cut off" in made.settings


# What always holds

SOME_ROWS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8)
STEPS = st.lists(
    st.tuples(SOME_ROWS, st.booleans(), st.lists(st.tuples(st.integers(1, 12), st.sampled_from([S, F, C])))),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=200)
@given(STEPS)
def test_after_any_history_applying_again_does_nothing_and_results_stay_with_their_rows(steps) -> None:
    world = World()
    #: Index → all rows that it ever stood for.
    given_out: set[int] = set()
    for rows, cut_off, ends in steps:
        before = dict(world.tasks)

        made = world.apply(rows, cut_off=cut_off)

        assert len(set(made.assigned)) == len(rows)
        assert sorted(world.tasks) == sorted(made.assigned)
        new = set(made.indices(Verb.ADD))
        assert not new & given_out, "an index is never used again"
        given_out |= set(world.tasks)
        for index in made.indices(Verb.KEEP):
            assert world.tasks[index] == before[index]
        _assert_as_many_kept_as_possible(made, before, rows)
        if not cut_off:
            assert world.plan(rows).is_empty
        for index, row in world.results.items():
            assert world.tasks[index][0] == row or world.tasks[index][1] in (P, C)
        for index, state in ends:
            if index in world.tasks and world.tasks[index][1] in (P, C):
                world.end(state, index)


def _assert_as_many_kept_as_possible(made: Plan, before: dict[int, tuple[str, TaskState]], rows: list[str]) -> None:
    """A row that was there before, however often, is not run again."""
    old = [row for row, _ in before.values()]
    assert made.count(Verb.KEEP) == sum(min(old.count(row), rows.count(row)) for row in set(rows))


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(Rerun))
def test_a_seq_is_numbered_from_one_whatever_was_there(before: int, after: int, rerun: Rerun) -> None:
    world = a_world([str(number) for number in range(1, before + 1)], seq=True)

    made = world.apply([str(number) for number in range(1, after + 1)], seq=True, rerun=rerun)

    assert list(made.assigned) == list(range(1, after + 1))
    assert world.plan([str(number) for number in range(1, after + 1)], seq=True).is_empty


@given(SOME_ROWS, SOME_ROWS)
def test_rerun_all_leaves_nothing_as_it_was(before: list[str], after: list[str]) -> None:
    world = a_world(before)

    made = world.apply(after, rerun=Rerun.ALL)

    assert made.count(Verb.KEEP) == 0
    assert [world.tasks[index] for index in range(1, len(after) + 1)] == [(row, P) for row in after]
    assert world.plan(after).is_empty


# Causes


def a_spec(**spec: Any) -> dict[str, Any]:
    return a_document(command=["run", "{x}"], parameters={"rows": []}, **spec)


@pytest.mark.parametrize(
    ("old", "new", "before", "after", "cause"),
    [
        pytest.param({}, {}, {"x": "1"}, {"x": "2"}, "parameters.x 1 → 2", id="the row"),
        pytest.param({}, {"env": {"A": "1"}}, {"x": "1"}, {"x": "1"}, "env.A unset → 1", id="what all share"),
        pytest.param(
            {}, {"env": {"A": "1"}}, {"x": "1"}, {"x": "2"}, "env.A unset → 1, parameters.x 1 → 2", id="both",
        ),
        pytest.param(
            {"env": {"A": "{x}"}}, {"env": {"A": "{x}", "B": "{{x}}"}}, {"x": "1"}, {"x": "2", "y": "3"},
            "env.B unset → {{x}}, parameters.x 1 → 2, parameters.y unset → 3", id="other columns",
        ),
    ],
)  # fmt: skip
def test_the_cause_of_a_task_s_change_is_its_row_or_what_all_share(old, new, before, after, cause) -> None:
    def digest(spec: Any, row: Any) -> bytes:
        return Definition(spec_of(a_spec(**spec)), columns=row, seq=False).digest(row, 1)

    causes = Causes(changes.between(a_spec(**old), a_spec(**new)), a_spec(**old))

    assert causes.of(before, after, index=1, digest=digest(new, after)) == cause


def test_a_file_that_another_task_s_change_brought_is_no_cause() -> None:
    """Task 2 has another file now; what changed for task 1 is its row alone."""
    old = a_spec(uploads=[{"src": "{x}", "dest": "in", "files": [a_file("a", 1), a_file("b", 2), a_file("c", 3)]}])
    new = a_spec(uploads=[{"src": "{x}", "dest": "in", "files": [a_file("a", 1), a_file("b", 9), a_file("c", 3)]}])
    causes = Causes(changes.between(old, new), old)

    def digest(x: str) -> bytes:
        return Definition(spec_of(new), columns=["x"], seq=False).digest({"x": x}, 1)

    assert causes.of({"x": "a"}, {"x": "c"}, index=1, digest=digest("c")) == "parameters.x a → c"
    assert causes.of({"x": "b"}, {"x": "b"}, index=2, digest=digest("b")) == "uploads: b changed"
    assert causes.of({"x": "a"}, {"x": "b"}, index=1, digest=digest("b")) == "uploads: b changed, parameters.x a → b"


def a_file(name: str, content: int) -> dict[str, Any]:
    return {"src": name, "sha256": f"{content:064x}", "executable": False}


@pytest.mark.parametrize(
    ("before", "after", "texts"),
    [
        pytest.param({"command": ["a", "b"]}, {"command": ["a", "c"]}, ["command[1] b → c"], id="a word"),
        pytest.param({"command": ["a"]}, {"command": ["a", "b"]}, ["command a → a b"], id="more words"),
        pytest.param({"command": "a"}, {"command": ["a"]}, ["command"], id="another form"),
        pytest.param({"image": "a" * 50}, {"image": "b"}, [f"image {'a' * 39}… → b"], id="long"),
        pytest.param({"needs": ["a"]}, {"needs": ["b"]}, ["needs a → b"], id="a list"),
        pytest.param(
            {"uploads": [a_file(n, 1) for n in "abcde"]}, {"uploads": [a_file(n, 2) for n in "abcde"]},
            ["uploads: a changed, b changed, c changed, 2 more"], id="many files",
        ),
        pytest.param(
            {"uploads": [a_file("a", 1)]}, {"uploads": [a_file("b", 1)]}, ["uploads: a gone, b new"], id="other files",
        ),
        pytest.param(
            {"uploads": [{"src": "gs://b/m.rds", "dest": "m.rds", "generation": "7", "executable": False}]},
            {"uploads": [{"src": "gs://b/m.rds", "dest": "m.rds", "generation": "8", "executable": False}]},
            ["uploads: gs://b/m.rds is another object now"], id="another generation",
        ),
        pytest.param(
            {"uploads": [{"src": "gs://b/run", "dest": "run", "generation": "7", "executable": False}]},
            {"uploads": [{"src": "gs://b/run", "dest": "run", "generation": "7", "executable": True}]},
            ["uploads: gs://b/run is a program now"], id="an object as a program",
        ),
        pytest.param({"unknown": 1}, {"unknown": 2}, ["unknown 1 → 2"], id="a field of a newer version"),
    ],
)  # fmt: skip
def test_what_differs_between_two_documents(before, after, texts) -> None:
    documents = [{"metadata": {}, "spec": spec} for spec in (before, after)]

    assert [change.text for change in changes.between(*documents)] == texts
