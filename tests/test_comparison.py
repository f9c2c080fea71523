"""Comparison: how two jobs differ, and what that looks like to people and to programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from contracts.nouns import a_task

from sparkles import comparison, comparison_text
from sparkles.comparison import Comparison, Outcome, Subject
from sparkles.model import Reason, Task, TaskState

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED


def a_document(*, labels: Any = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "any", "labels": labels or {}}, "spec": {"command": ["run", "{x}"], **spec}}


def an_upload(dest: str, content: str = "a", **fields: Any) -> dict[str, Any]:
    return {"src": f"here/{dest}", "dest": dest, "sha256": content * 64, "executable": False, **fields}


def done(*values: str, start: int = 1) -> list[Task]:
    """Return tasks that have succeeded, with these values of x."""
    rows = (json.dumps({"x": value}, separators=(",", ":")) for value in values)
    return [a_task(index, row=row, state=S, exit=0, reason=Reason.EXIT) for index, row in enumerate(rows, start)]


def ended(*outcomes: tuple[TaskState, int | None, Reason | None], start: int = 1) -> list[Task]:
    """Return the tasks of a sweep that ended in these ways."""
    return [
        a_task(start + number, row=f'{{"x":"{number}"}}', state=state, exit=code, reason=reason)
        for number, (state, code, reason) in enumerate(outcomes)
    ]


def compare(
    first: Iterable[Task] = (), second: Iterable[Task] = (), *, documents: Sequence[dict[str, Any]] = ()
) -> Comparison:
    old, new = documents or (a_document(), a_document())
    return comparison.compare(
        Subject(name="old", document=old, tasks=first), Subject(name="new", document=new, tasks=second)
    )


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        pytest.param({}, {}, [], id="the same"),
        pytest.param({"image": "r:1"}, {"image": "r:2"}, ["image r:1 → r:2"], id="a text"),
        pytest.param({"nodes": {"max": 1}}, {"nodes": {"max": 4}}, ["nodes.max 1 → 4"], id="a member"),
        pytest.param({"labels": {"a": "1"}}, {"labels": {"a": "2"}}, ["labels.a 1 → 2"], id="a label"),
        pytest.param({}, {"timeout": "1m"}, ["timeout unset → 1m"], id="one has it"),
        pytest.param({"env": {"A": "1", "B": "2"}}, {"env": {"B": "3", "C": "4"}},
                     ["env.A 1 → unset", "env.B 2 → 3", "env.C unset → 4"], id="variables"),
        pytest.param({"env": {"A": "1"}}, {}, ["env.A 1 → unset"], id="no variables"),
        pytest.param({"parameters": {"csv": "a"}}, {"parameters": {"csv": "b"}}, [], id="rows tell of parameters"),
        pytest.param({"command": ["a", "b c"]}, {"command": ["a", "d"]}, ["command a 'b c' → a d"], id="words"),
        pytest.param({"command": "a b"}, {"command": "a c"}, ["command a b → a c"], id="lines"),
        pytest.param({"command": ["a", "b"]}, {"command": "a b"}, ["command a b → /bin/sh -c 'a b'"], id="a line"),
        pytest.param({"command": "a\nb"}, {"command": "a\nc"}, ["command"], id="several lines"),
        pytest.param({"command": "a", "image": "r:1", "env": {"A": "1"}}, {"command": "b", "image": "r:2"},
                     ["command a → b", "env.A 1 → unset", "image r:1 → r:2"], id="several"),
    ],
)  # fmt: skip
def test_fields_that_differ(old, new, texts) -> None:
    found = compare(documents=[a_document(**old), a_document(**new)])

    assert found.fields == texts
    assert found.is_empty == (not texts)


PER_ROW = {"src": "{x}.bam", "files": [{"src": "a.bam", "sha256": "a" * 64}, {"src": "b.bam", "sha256": "b" * 64}]}


@pytest.mark.parametrize(
    ("old", "new", "differ", "only"),
    [
        pytest.param([an_upload("f")], [an_upload("f", src="there/f")], [], ([], []), id="from elsewhere"),
        pytest.param([an_upload("f")], [an_upload("f", "b")], ["f"], ([], []), id="another content"),
        pytest.param([an_upload("f")], [an_upload("f", executable=True)], ["f"], ([], []), id="executable"),
        pytest.param([an_upload("f"), an_upload("g")], [an_upload("h")], [], (["f", "g"], ["h"]), id="only in one"),
        pytest.param([an_upload("f")], [], [], (["f"], []), id="no uploads"),
        pytest.param([PER_ROW], [{**PER_ROW, "files": PER_ROW["files"][:1]}], [], (["b.bam"], []), id="a row's"),
        pytest.param([{**PER_ROW, "dest": "in"}], [{**PER_ROW, "dest": "in", "files": [
            {"src": "a.bam", "sha256": "c" * 64}, *PER_ROW["files"][1:]]}], ["in (a.bam)"], ([], []), id="as one"),
        pytest.param([{"src": "gs://b/m", "dest": "m", "generation": "7"}],
                     [{"src": "gs://b/m", "dest": "m", "generation": "8"}], ["m"], ([], []), id="another object"),
    ],
)  # fmt: skip
def test_uploads_are_compared_by_where_they_go(old, new, differ, only) -> None:
    found = compare(documents=[a_document(uploads=old), a_document(uploads=new)])

    assert found.files == differ
    assert tuple(side.files for side in found.only) == only
    assert found.is_empty == (not differ and not any(only))


@pytest.mark.parametrize(
    ("first", "second", "both", "only"),
    [
        pytest.param(done("a", "b"), done("a", "b"), 2, ([], []), id="the same"),
        pytest.param(done("a", "b"), done("b", "a", start=5), 2, ([], []), id="in another order"),
        pytest.param(done("a", "b", "c"), done("c", "d"), 1, ([1, 2], [2]), id="some"),
        pytest.param(done("a", "a", "a"), done("a", "a"), 2, ([3], []), id="the k-th to the k-th"),
        pytest.param(done("a"), done("b", "a", "b", "a"), 1, ([], [1, 3, 4]), id="more of the same"),
        pytest.param([a_task(1, row='{"a":"1","b":"2"}')], [a_task(1, row='{"b":"2","a":"1"}')], 1, ([], []),
                     id="columns in another order"),
        pytest.param([], done("a"), 0, ([], [1]), id="no tasks yet"),
        pytest.param([], [], 0, ([], []), id="no tasks at all"),
        pytest.param([a_task(1), a_task(2)], [a_task(1)], 1, ([2], []), id="rows without parameters"),
    ],
)  # fmt: skip
def test_tasks_are_told_by_their_rows(first, second, both, only) -> None:
    found = compare(first, second)

    assert found.alike == both
    assert tuple(list(side.indices) for side in found.only) == only
    assert found.is_empty == (not any(only))


def test_what_only_one_has_keeps_its_row() -> None:
    first, second = compare(done("a", "b", "b"), done("b", "c")).only

    assert (list(first.indices), first.rows) == ([1, 3], ['{"x":"a"}', '{"x":"b"}'])
    assert (list(second.indices), second.rows) == ([2], ['{"x":"c"}'])


def test_rows_that_ended_differently_are_grouped() -> None:
    ok, bad = (S, 0, Reason.EXIT), (F, 1, Reason.EXIT)

    found = compare(ended(ok, ok, ok, bad, ok), ended(ok, bad, bad, ok, (F, 143, Reason.TIMEOUT), start=11))

    turns = {(turn.before, turn.after): (list(turn.first), list(turn.second)) for turn in found.turns}
    succeeded, failed = Outcome(S), Outcome(F, 1, Reason.EXIT)
    assert turns == {
        (succeeded, failed): ([2, 3], [12, 13]),
        (failed, succeeded): ([4], [14]),
        (succeeded, Outcome(F, None, Reason.TIMEOUT)): ([5], [15]),
    }
    assert (found.alike, found.turned, found.is_empty) == (1, 4, False)


@pytest.mark.parametrize(
    ("before", "after", "alike"),
    [
        pytest.param((F, 1, Reason.EXIT), (F, 2, Reason.EXIT), False, id="another exit code"),
        pytest.param((F, 143, Reason.TIMEOUT), (F, 137, Reason.TIMEOUT), True, id="stopped by another signal"),
        pytest.param((F, None, Reason.NODE_LOST), (F, 137, Reason.OUT_OF_MEMORY), False, id="another reason"),
        pytest.param((K, 143, Reason.KILLED), (K, None, None), True, id="killed at another time"),
        pytest.param((P, 1, Reason.EXIT), (P, None, None), True, id="one is tried again"),
        pytest.param((P, None, None), (S, 0, Reason.EXIT), False, id="one has yet to run"),
    ],
)
def test_what_counts_as_ending_differently(before, after, alike) -> None:
    assert compare(ended(before), ended(after)).is_empty == alike


def test_tasks_are_read_once() -> None:
    assert compare(iter(done("a", "b")), iter(done("b"))).alike == 1


# What it looks like


FAILED = (F, 1, Reason.EXIT)
OK = (S, 0, Reason.EXIT)


def different() -> Comparison:
    documents = [
        a_document(image="r:1", uploads=[an_upload("fit.py"), an_upload("old.txt")]),
        a_document(image="r:2", uploads=[an_upload("fit.py", "b"), an_upload("new.txt"), an_upload("newer.txt")]),
    ]
    first = [*ended(OK, OK, OK, FAILED), *done("left", start=9)]
    second = [*ended(OK, FAILED, (F, None, Reason.TIMEOUT), FAILED), *done(*"abcdefghij", start=12)]
    return compare(first, second, documents=documents)


def test_a_comparison_is_shown_line_by_line() -> None:
    assert comparison_text.lines(different()) == [
        "job old ↔ job new",
        "  ~ image r:1 → r:2",
        "  ~  1 file differs            fit.py",
        "  -  1 file only in old        old.txt",
        "  +  2 files only in new       new.txt, newer.txt",
        "  =  2 tasks alike",
        "  ~  1 task ended differently  2: succeeded → failed (exit 1)",
        "  ~  1 task ended differently  3: succeeded → failed (timeout)",
        "  -  1 task only in old",
        "      9: x=left",
        "  + 10 tasks only in new",
        *(f"      {index}: x={value}" for index, value in zip(range(12, 20), "abcdefgh", strict=True)),
        "      (2 more)",
        "Diff: 4 rows in both, 2 of them ended differently; 1 only in old, 10 only in new.",
    ]


def test_all_is_shown_to_those_who_ask() -> None:
    lines = comparison_text.lines(different(), verbose=True)

    assert lines[-4:-1] == ["      19: x=h", "      20: x=i", "      21: x=j"]
    assert not any("more)" in line for line in lines)


def test_jobs_that_are_the_same_are_one_line() -> None:
    assert comparison_text.lines(compare(done("a"), done("a"))) == [
        "job old ↔ job new: they are the same, and so is what became of their tasks"
    ]


@pytest.mark.parametrize(
    ("second", "shown"),
    [
        pytest.param(ended(*[FAILED] * 3), "1-3: ", id="the same indices"),
        pytest.param(ended(*[FAILED] * 3, start=5), "1-3 ↔ 5-7: ", id="other indices"),
        pytest.param([*ended(FAILED), *ended(OK, FAILED, FAILED, start=4)[1:]], "1, 2-3 ↔ 5-6: ", id="some of each"),
    ],
)
def test_tasks_that_belong_together_are_shown_as_runs(second, shown) -> None:
    (line,) = (line for line in comparison_text.lines(compare(ended(OK, OK, OK), second)) if "differently  " in line)

    assert line.endswith(f"tasks ended differently  {shown}succeeded → failed (exit 1)")


def test_many_runs_are_cut_short() -> None:
    outcomes = [OK, FAILED] * 10
    lines = comparison_text.lines(compare(ended(*[OK] * 20), ended(*outcomes)))

    assert lines[2].endswith("2, 4, 6, 8, 10, 12, 14, 16 (2 more): succeeded → failed (exit 1)")


def test_a_row_without_parameters_is_its_index() -> None:
    assert "      2" in comparison_text.lines(compare([a_task(1)], [a_task(1), a_task(2)]))


def test_a_comparison_is_a_document_for_programs() -> None:
    found = compare([*ended(OK, OK), *done("left", start=9)], ended(OK, FAILED, start=4))

    assert comparison_text.document(found) == {
        "version": 1,
        "jobs": ["old", "new"],
        "changes": True,
        "fields": [],
        "files": [],
        "alike": 1,
        "turns": [
            {
                "before": {"state": "succeeded", "exit": None, "reason": None},
                "after": {"state": "failed", "exit": 1, "reason": "exit"},
                "count": 1,
                "indices": ["2", "5"],
            }
        ],
        "only": [
            {"files": [], "count": 1, "indices": "9", "rows": [{"x": "left"}]},
            {"files": [], "count": 0, "indices": "", "rows": []},
        ],
    }
