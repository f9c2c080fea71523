"""Selection: which tasks are chosen of some jobs, and that no more are read than it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from contracts.fakes import a_backend
from contracts.nouns import a_job, a_task, put

from sparkles import fields, filters
from sparkles.errors import RequestError
from sparkles.model import TaskState
from sparkles.ports.backend import Backend
from sparkles.selection import Selection, passing, rows

P, S, F = TaskState.PENDING, TaskState.SUCCEEDED, TaskState.FAILED

ONE, TWO = a_job("one"), a_job("two", submitted=2000.0)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    """Two jobs: one has four tasks, two has two, with another parameter."""
    backend = a_backend(tmp_path / "home")
    states = [S, F, P, F]
    with closing(backend.state):
        put(
            backend.state,
            ONE,
            TWO,
            *(a_task(i, job="one", state=states[i - 1], row=f'{{"x":"{10 - i}"}}') for i in (1, 2, 3, 4)),
            *(a_task(i, job="two", state=F, row=f'{{"y":"{i}"}}', attempts=i) for i in (1, 2)),
        )
        yield backend


def selection(*expressions: str, sort: tuple[str, ...] = (), limit: int | None = None) -> Selection:
    return Selection(
        filters=[filters.parse(text) for text in expressions], orders=[fields.order(text) for text in sort], limit=limit
    )


def chosen(backend: Backend, *expressions: str, **more) -> list[str]:
    return [task.id for task in selection(*expressions, **more).of([ONE, TWO], backend)]


def read(backend: Backend, choice: Selection) -> list[str]:
    """Return the tasks that are read of the store until the selection is complete."""
    found: list[str] = []
    tasks = backend.state.tasks

    def noted(job, **wanted):
        for task in tasks(job, **wanted):
            found.append(task.id)
            yield task

    backend.state.tasks = noted
    list(choice.of([ONE, TWO], backend))
    return found


def test_tasks_come_by_job_and_index_unless_they_are_sorted(backend):
    assert chosen(backend) == ["one.1", "one.2", "one.3", "one.4", "two.1", "two.2"]
    assert chosen(backend, "state=failed") == ["one.2", "one.4", "two.1", "two.2"]
    assert chosen(backend, sort=("-attempts",)) == ["two.2", "two.1", "one.1", "one.2", "one.3", "one.4"]
    assert chosen(backend, sort=("params.x",)) == ["one.4", "one.3", "one.2", "one.1", "two.1", "two.2"]


def test_a_limit_counts_what_passes_the_filters_in_the_order(backend):
    assert chosen(backend, "state=failed", limit=3) == ["one.2", "one.4", "two.1"]
    assert chosen(backend, "state=failed", sort=("-index",), limit=2) == ["one.4", "one.2"]
    assert chosen(backend, limit=99) == chosen(backend)


def test_of_tasks_in_other_states_no_record_is_read(backend):
    assert read(backend, selection("state=failed", "state ~ ed$")) == ["one.2", "one.4", "two.1", "two.2"]


def test_of_tasks_with_other_parameters_no_record_is_made(backend):
    assert read(backend, selection("params.x = 8")) == ["one.2"]
    assert read(backend, selection("params.x != 8", "state=failed", "index < 9")) == ["one.4", "two.1", "two.2"]


def test_only_tasks_of_the_states_that_are_meant_are_read_whatever_the_filters_say(backend):
    assert read(backend, passing(["state != pending"], [F])) == ["one.2", "one.4", "two.1", "two.2"]
    assert read(backend, passing(["state = succeeded"], [F])) == []


def test_where_no_state_passes_nothing_is_read(backend):
    assert read(backend, selection("state=failed", "state=killed")) == []


def test_without_an_order_reading_ends_at_the_limit(backend):
    assert read(backend, selection("state != pending", limit=2)) == ["one.1", "one.2"]


def test_a_parameter_that_some_task_has_is_known(backend):
    selection("params.x > 0", sort=("params.y",)).require([ONE, TWO], backend, shown=fields.chosen(["params.x"], "-"))


@pytest.mark.parametrize(
    ("choice", "shown", "says"),
    [
        (selection("params.z = 1"), "task", "filter 'params.z = 1': no task has a parameter 'z'; there is: x, y"),
        (selection(sort=("-params.z",)), "task", "--sort params.z: no task has a parameter 'z'"),
        (selection(), "params.z", "--fields params.z: no task has a parameter 'z'"),
    ],
)
def test_a_parameter_that_no_task_has_is_an_error(backend, choice, shown, says):
    with pytest.raises(RequestError) as raised:
        choice.require([ONE, TWO], backend, shown=fields.chosen([shown], "--fields"))

    assert str(raised.value).startswith(says)


def test_the_first_rows_are_one_of_each_state(backend):
    assert list(rows([ONE], backend))[:4] == ['{"x":"7"}', '{"x":"9"}', '{"x":"8"}', '{"x":"9"}']
