"""The threads of a worker, and when they call its loop."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from contracts.nouns import a_task

from sparkles.model import Task
from sparkles.worker.attempt import Ended
from sparkles.worker.slots import Slots
from sparkles.worker.turn import Turn


@dataclass
class Instant:
    """An execution that ends at once."""

    task: Task

    @property
    def claim(self) -> str:
        return str(self.task.index)

    def run(self, _: Turn) -> Ended:
        return Ended(self.task)


@pytest.mark.parametrize(
    ("tasks", "calls"),
    [
        pytest.param(1, 1, id="nothing left to run: at once"),
        pytest.param(2, 2, id="one left to run"),
        pytest.param(9, 2, id="many: when the first has ended, and when there is nothing left to run"),
    ],
)
def test_the_loop_is_not_called_at_each_end_while_there_is_more_to_run(tasks, calls) -> None:
    called = []
    slots = Slots(turn=Turn(), call=lambda: called.append(slots.are_short))
    for index in range(1, tasks + 1):
        slots.put(Instant(a_task(index)))

    slots.start(1)
    slots.close()
    slots.join(patience=10.0)

    assert len(called) == calls
    assert called[-1]
    assert len(slots.take_ended(100)) == tasks


def test_what_ends_after_the_loop_has_listened_calls_it_again() -> None:
    called = []

    def loop() -> None:
        slots.listen()
        called.append(len(slots.take_ended(100)))

    slots = Slots(turn=Turn(), call=loop)
    for index in range(1, 6):
        slots.put(Instant(a_task(index)))

    slots.start(1)
    slots.close()
    slots.join(patience=10.0)

    assert called == [1, 1, 1, 1, 1]


def test_a_call_that_found_nothing_to_take_does_not_silence_the_next_end() -> None:
    called = []
    slots = Slots(turn=Turn(), call=lambda: called.append(True))
    for index in range(1, 10):
        slots.put(Instant(a_task(index)))
    slots.start(1)
    slots.close()
    slots.join(patience=10.0)
    slots.take_ended(100)  # the loop has taken all, and is called for what it has taken
    before = len(called)

    slots.listen()
    slots.put(Instant(a_task(10)))
    slots.start(1)
    slots.close()
    slots.join(patience=10.0)

    assert len(called) == before + 1
