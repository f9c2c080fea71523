"""Failures that are the same are one cause, and its commands lead to exactly its tasks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

import pytest
from contracts.nouns import a_task
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sparkles import cause_text, causes, filters
from sparkles.causes import Cause, Causes
from sparkles.model import Reason, Task, TaskState


def failed(index: int, code: int | None = 1, said: str | None = None, **fields: Any) -> Task:
    row = json.dumps(fields.pop("row", {}))
    known = {"state": TaskState.FAILED, "reason": Reason.EXIT, **fields}
    return a_task(index, exit=code, said=said, row=row, **known)


def killed(index: int, by: str | None, **fields: Any) -> Task:
    return a_task(index, state=TaskState.KILLED, reason=Reason.KILLED, killed_by=by, **fields)


def headlines(*tasks: Task) -> list[str]:
    return [cause_text.headline(cause) for cause in causes.of(tasks).told]


def test_the_most_frequent_cause_is_first() -> None:
    assert headlines(failed(1, 2, "a"), failed(2, 3, "b 1"), failed(3, 3, "b 22"), failed(4, 4, "c")) == [
        "2 tasks failed: exit code 3, b <n>",
        "1 task failed: exit code 2, a",
        "1 task failed: exit code 4, c",
    ]


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        pytest.param(
            [failed(1, 3, "bad 1 in a.txt"), failed(2, 3, "bad 2 in a.txt")],
            ["2 tasks failed: exit code 3, bad <n> in a.txt"], id="what is the same in all lines stays as it is",
        ),
        pytest.param(
            [failed(1, 3, "no BRCA1", row={"gene": "BRCA1"}), failed(2, 3, "no MYC", row={"gene": "MYC"})],
            ["2 tasks failed: exit code 3, no {gene}"], id="parameters",
        ),
        pytest.param(
            [failed(1, 3, "a"), failed(2, 4, "a"), failed(3, 3, "b")],
            ["1 task failed: exit code 3, a", "1 task failed: exit code 4, a", "1 task failed: exit code 3, b"],
            id="other exit codes, other words",
        ),
        pytest.param(
            [failed(1, 143, "epoch one", reason=Reason.TIMEOUT), failed(2, 137, "epoch two", reason=Reason.TIMEOUT)],
            ["2 tasks failed: timeout"], id="what a task wrote that was stopped does not matter",
        ),
        pytest.param(
            [failed(1, 137, "sparkles: more than 5M", reason=Reason.OUT_OF_MEMORY)],
            ["1 task failed: out of memory"], id="memory",
        ),
        pytest.param(
            [failed(1, None, reason=Reason.NODE_LOST)],
            ["1 task failed: node-lost, the node died, time and again"], id="node",
        ),
        pytest.param(
            [failed(1, 1, "sparkles: no a", reason=Reason.UPLOAD)], ["1 task failed: upload, sparkles: no a"],
            id="upload",
        ),
        pytest.param(
            [failed(1, 139), failed(2, 139)], ["2 tasks failed: exit code 139 (SIGSEGV), wrote nothing"], id="signal",
        ),
        pytest.param([failed(1, 250)], ["1 task failed: exit code 250, wrote nothing"], id="no signal"),
        pytest.param(
            [killed(1, "ann", said="a"), killed(2, "ann"), killed(3, "bob"), killed(4, None)],
            ["2 tasks were killed by ann", "1 task was killed by bob", "1 task was killed"], id="who killed",
        ),
    ],
)  # fmt: skip
def test_tasks_that_failed_in_the_same_way_have_one_cause(tasks: Sequence[Task], said: Sequence[str]) -> None:
    assert headlines(*tasks) == said


MANY = [
    *(failed(index, 3, f"ValueError: bad value {index}") for index in range(1, 6)),
    *(failed(index, 3, f"KeyError: 'G{index}x'", row={"gene": f"G{index}x"}) for index in range(11, 14)),
    *(failed(index, 3) for index in range(21, 24)),
    *(
        failed(index, 1, f"ModuleNotFoundError: No module named '{name}'")
        for index, name in [(31, "a"), (32, "bc")] * 2
    ),
    *(failed(index, 127, f"t.sh: {index}: exec: ./x{index}.sh: not found") for index in range(41, 44)),
    *(failed(index, 127, "t.sh: 3: exec: nosuch: not found") for index in range(51, 53)),
    *(failed(index, 137) for index in range(61, 63)),
    *(failed(index, 137, reason=Reason.OUT_OF_MEMORY) for index in range(71, 73)),
    *(failed(index, 1, f"sparkles: no {index}", reason=Reason.UPLOAD) for index in range(81, 83)),
    *(failed(index, 2, 'what\'s this? ("$HOME\\x") [1]') for index in range(91, 93)),
    *(failed(index, 2, "\N{LEFT SINGLE QUOTATION MARK}$1\N{RIGHT SINGLE QUOTATION MARK}") for index in range(94, 96)),
    *(failed(index, 4, f"s{index}", row={"sample": f"s{index}"}) for index in range(121, 124)),
    *(failed(index, 4, f"no such column: 'c{index}'") for index in range(124, 126)),
    *(failed(index, 4, f"s{index}: singular", row={"sample": f"s{index}"}) for index in range(126, 128)),
    *(killed(index, "ann") for index in range(101, 103)),
    *(killed(index, None) for index in range(111, 113)),
    a_task(200, state=TaskState.SUCCEEDED),
    a_task(201),
]


@pytest.mark.parametrize("cause", causes.of(MANY, most=100).told, ids=cause_text.headline)
def test_the_commands_of_a_cause_lead_to_exactly_its_tasks(cause: Cause) -> None:
    log, *shown, again = cause_text.commands(cause, "j")

    assert log == f"sparkles logs {cause.example.id}"
    for command, verb in [(line, "list") for line in shown] + [(again, "retry")] * bool(shown):
        _, is_verb, job, *words = shlex.split(command)
        assert (is_verb, job, set(words[::2])) == (verb, "j", {"--filter"})
        found = list(filters.select([filters.parse(text) for text in words[1::2]], MANY))
        assert cause.example in found
        assert len(found) == cause.count
    assert cause.is_exact


def lines_of_tasks() -> st.SearchStrategy[str | None]:
    """Return lines that have much in common, and in which stands what lines are told by."""
    words = st.sampled_from([
        "no", "such", "file", "bad value", "line 12", "7", "a.txt", "/b/no such/c.csv", "'no such'", "alpha", "beta",
        "$x", "[1]", "^", "1e-5", "12:30:01", "deadbeef0", "e", "-", "|", "",
    ])  # fmt: skip
    return st.none() | st.lists(words, max_size=4).map(" ".join)


def tasks_that_ended() -> st.SearchStrategy[list[Task]]:
    rows = st.fixed_dictionaries({"x": st.sampled_from(["alpha", "beta", "such"])})
    of_failed = st.tuples(
        st.just(TaskState.FAILED), st.sampled_from([*Reason, None]), st.sampled_from([None, 1, 2, 137])
    )
    of_others = st.sampled_from([
        (TaskState.KILLED, Reason.KILLED, None), (TaskState.KILLED, Reason.KILLED, 137),
        (TaskState.SUCCEEDED, Reason.EXIT, 0), (TaskState.PENDING, None, None),
    ])  # fmt: skip
    by = st.sampled_from([None, "ann", "bob"])
    one = st.tuples(of_failed | of_others, lines_of_tasks(), rows, by)
    return st.lists(one, min_size=1, max_size=12).map(
        lambda found: [
            a_task(
                index, state=state, reason=reason, exit=code, said=said, row=json.dumps(row),
                killed_by=by if state is TaskState.KILLED else None,
            )
            for index, ((state, reason, code), said, row, by) in enumerate(found, start=1)
        ]
    )  # fmt: skip


@given(tasks_that_ended())
@settings(max_examples=500, deadline=None)
def test_filters_choose_exactly_the_tasks_of_their_cause_or_it_is_said_that_they_may_not(tasks: list[Task]) -> None:
    for cause in causes.of(tasks, most=100).told:
        found = list(filters.select([filters.parse(text) for text in cause.filters], tasks))

        chosen = causes.of(found, most=100).told
        is_exact = len(chosen) == 1 and chosen[0].count == cause.count == len(found)
        assert cause.is_exact == (is_exact and cause.example in found)
        event(f"exact: {cause.is_exact}")


def test_a_line_that_is_found_in_those_of_others_is_told_from_them() -> None:
    plain = [failed(index, 2, "no such file") for index in (1, 2)]
    others = [failed(3, 2, "cannot read a.txt"), failed(4, 2, "cannot read 'no such file.txt'")]
    echoes = [failed(index, 2, name, row={"x": name}) for index, name in ((5, "alpha"), (6, "beta"))]

    first, second, third = causes.of([*plain, *others, *echoes]).told

    assert first.filters[-1:] == ["said ~ ^no such file$"]
    assert second.filters[-1:] == ["said ~ cannot read"]
    assert third.filters[-2:] == ["said ~ ^.+$", "said !~ no such file|cannot read"]
    assert first.is_exact
    assert second.is_exact
    assert third.is_exact


def test_a_command_that_nobody_could_copy_is_not_made() -> None:
    echoes = [failed(index, 4, name, row={"sample": name}) for index, name in enumerate(["alpha", "beta"], start=1)]
    others = [failed(index, 4, f"{letter * 20} is odd") for index, letter in enumerate("abcdefghijklmnopqrst", start=3)]

    echo = causes.of(echoes + others).told[0]

    assert echo.filters == ["state=failed", "exit=4", "said ~ ^.+$"]
    assert not echo.is_exact
    assert list(cause_text.lines(Causes([echo]), "j"))[-2] == (
        "  the filters may find tasks of other causes, too: their last lines are too much alike"
    )


def test_no_more_is_told_than_people_read() -> None:
    tasks = [failed(index, index % 20 + 1, "no") for index in range(1, 101)]

    *_, more, last = cause_text.lines(causes.of(tasks), "j")

    assert more == "and 5 more causes with 25 tasks"
    assert last == "What to do about each: sparkles why j"
    assert len(causes.of(tasks).told) == 15


def test_lines_that_are_all_different_do_not_fill_the_memory() -> None:
    letters = "abcdefghij"
    tasks = [failed(n, 1, "".join(letters[int(digit)] for digit in str(n))) for n in range(1, 1501)]

    first, *_ = causes.of(tasks, most=1).told

    assert cause_text.headline(first) == "500 tasks failed: exit code 1, <various last lines>"
    assert first.filters == ["state=failed", "exit=1"]


def test_where_there_are_too_many_lines_to_try_filters_on_nothing_is_promised() -> None:
    tasks = [failed(n, 1, f"bad value {n}") for n in range(1, 20_002)]
    others = [
        failed(n, 1, f"no line {n}", reason=reason) for n, reason in ((20_010, Reason.UPLOAD), (20_011, Reason.EXIT))
    ]

    first, *_ = causes.of(tasks, most=1).told
    beside_others, *_ = causes.of([*tasks, *others], most=1).told

    assert (first.filters, first.is_exact) == (["state=failed", "exit=1"], True)
    assert beside_others.filters == ["state=failed", "reason=exit", "exit=1", "said ~ bad value"]
    assert not beside_others.is_exact


def test_a_single_task_is_shown_and_run_again_by_its_name() -> None:
    assert list(cause_text.lines(causes.of([failed(7, 3, "no such gene")]), "j")) == [
        "1 task failed: exit code 3, no such gene",
        "  sparkles logs j.7",
        "  sparkles retry j.7",
        "What to do about it: sparkles why j",
    ]


def test_about_tasks_that_were_killed_there_is_nothing_to_ask() -> None:
    assert list(cause_text.lines(causes.of([killed(7, "ann")]), "j")) == [
        "1 task was killed by ann",
        "  sparkles logs j.7",
        "  sparkles retry j.7",
    ]


def test_an_example_shows_what_stood_in_the_places() -> None:
    first, example, *_ = cause_text.lines(causes.of([failed(1, 3, "bad 1"), failed(2, 3, "bad 2")]), "j")

    assert (first, example) == ("2 tasks failed: exit code 3, bad <n>", "  such as j.1: bad 1")


def test_where_nothing_failed_nothing_is_said() -> None:
    assert list(cause_text.lines(causes.of([a_task(), a_task(2, state=TaskState.SUCCEEDED)]), "j")) == []
