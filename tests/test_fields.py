"""Fields: which there are, how they are chosen, and how tasks are sorted by them."""

from __future__ import annotations

import json
from itertools import count

import pytest
from contracts.nouns import a_task

from sparkles import fields
from sparkles.errors import RequestError
from sparkles.model import Reason, TaskState


def tasks_with(*values: str | None, **more):
    """Return tasks 1, 2, … whose parameter x has these values; None for one without it."""
    rows = [json.dumps({} if value is None else {"x": value}) for value in values]
    return [a_task(index, row=row, **more) for index, row in enumerate(rows, start=1)]


def sorted_by(tasks, *orders):
    return [task.index for task in fields.in_order([fields.order(text) for text in orders], tasks)]


def test_every_field_reads_a_task_that_is_new_and_one_that_has_ended():
    new = a_task(1)
    ended = a_task(
        2, state=TaskState.FAILED, exit=3, reason=Reason.EXIT, attempts=3, failures=2, losses=1, node="n", said="no",
        queued=1000.0, started=1002.5, ended=1012.5, peak_memory=9, row='{"x":"1"}', killed_by="me",
    )  # fmt: skip

    unset = {name for name, read in fields.FIELDS.items() if read(new) is None}
    values = {name: read(ended) for name, read in fields.FIELDS.items()}

    assert unset == {
        "exit", "reason", "waited", "seconds", "queued", "started", "ended", "memory", "node", "said", "killedBy",
    }  # fmt: skip
    assert values == {
        "task": "j.2", "index": 2, "state": "failed", "exit": 3, "reason": "exit", "attempts": 3, "failures": 2,
        "losses": 1, "waited": 2.5, "seconds": 10.0, "queued": 1000.0, "started": 1002.5, "ended": 1012.5, "memory": 9,
        "node": "n", "said": "no", "killedBy": "me", "generation": 1, "parameters": {"x": "1"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["task"], ["task"]),
        (["task,exit", "params.x"], ["task", "exit", "params.x"]),
        (["task, exit,task"], ["task", "exit"]),
        (['"params.a,b",params.c:d e.f'], ["params.a,b", "params.c:d e.f"]),
        (["params.x,all"], ["params.x", *fields.FIELDS]),
    ],
)
def test_fields_are_chosen_by_lists_of_names(texts, names):
    assert [one.name for one in fields.chosen(texts, "--fields")] == names


@pytest.mark.parametrize("text", ["sate", "task,,exit", "params.", "TASK"])
def test_a_field_that_there_is_not_is_an_error_with_the_nearest(text):
    with pytest.raises(RequestError, match=r"^--fields: no field '.*'; there is: task, index, state, .*params.NAME"):
        fields.chosen([text], "--fields")
    with pytest.raises(RequestError, match="did you mean 'state'"):
        fields.chosen(["sate"], "--fields")


@pytest.mark.parametrize(
    ("values", "up", "down"),
    [
        pytest.param(["10", "9", "1e1", "-3"], [4, 2, 1, 3], [1, 3, 2, 4], id="numbers"),
        pytest.param(["12345678901234567891", "12345678901234567890"], [2, 1], [1, 2], id="long numbers"),
        pytest.param(["10", "9", "x"], [1, 2, 3], [3, 2, 1], id="not all are numbers"),
        pytest.param([None, "2", None, "10"], [2, 4, 1, 3], [4, 2, 1, 3], id="unset ones are last both ways"),
        pytest.param(["b", "a", "b", "a"], [2, 4, 1, 3], [1, 3, 2, 4], id="equal ones stay in their order"),
        pytest.param(["", "1"], [1, 2], [2, 1], id="an empty text is no number"),
        pytest.param([None, None], [1, 2], [1, 2], id="none is set"),
    ],
)
def test_parameters_are_sorted_as_numbers_if_all_are(values, up, down):
    tasks = tasks_with(*values)

    assert sorted_by(tasks, "params.x") == up
    assert sorted_by(tasks, "-params.x") == down


def test_fields_are_sorted_by_what_they_are_and_one_after_the_other():
    tasks = [a_task(index, attempts=attempts, exit=code) for index, attempts, code in
             [(1, 2, None), (2, 10, 1), (3, 2, 0), (4, 10, 137)]]  # fmt: skip

    assert sorted_by(tasks, "attempts", "-exit") == [3, 1, 4, 2]
    assert sorted_by(tasks, "-attempts", "exit") == [2, 4, 3, 1]
    assert sorted_by(tasks, "-index") == [4, 3, 2, 1]
    assert sorted_by(tasks, "state") == [1, 2, 3, 4]


def test_a_task_that_has_not_run_has_not_waited():
    for task in (
        a_task(queued=5.0),
        a_task(queued=5.0, started=1.0, state=TaskState.PENDING),
        a_task(queued=5.0, started=1.0, ended=6.0, state=TaskState.KILLED),
    ):
        assert fields.FIELDS["waited"](task) is None


def test_a_clock_that_is_behind_makes_no_wait_negative():
    ended = a_task(queued=5.0, started=4.9, ended=6.0, state=TaskState.SUCCEEDED, node="n")

    assert fields.FIELDS["waited"](ended) == 0.0


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        pytest.param([{"lambda": "1"}, {"size": "2"}],
                     "no task has a parameter 'lamda'; there is: lambda, size; did you mean 'lambda'?", id="a typo"),
        pytest.param([{}], "no task has a parameter 'lamda'; they have none", id="no parameters"),
    ],
)  # fmt: skip
def test_a_parameter_that_no_row_has_is_an_error(rows, says):
    with pytest.raises(RequestError) as raised:
        fields.require({"lamda": "--sort params.lamda"}, map(json.dumps, rows))

    assert str(raised.value) == f"--sort params.lamda: {says}"


def test_no_more_rows_are_read_than_it_takes():
    numbers = count(1)
    rows = ('{"a":"1"}' if number < 3 else '{"b":"1"}' for number in numbers)

    fields.require({"a": "here", "b": "here"}, rows)
    fields.require({}, rows)

    assert next(numbers) == 4


def test_without_rows_every_parameter_may_come():
    fields.require({"x": "here"}, [])
