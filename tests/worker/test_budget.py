"""A worker's budget of commits."""

from __future__ import annotations

from sparkles.worker.budget import Budget


def spent_at(gap: float, *, count: int, wait: float = 0.0) -> list[float]:
    """Return when something happens that happens as often as it may, from 100.0 on; after the first 4 it waits."""
    budget, now, times = Budget(gap), 100.0, []
    for number in range(count):
        now = max(now, budget.due) + (wait if number == 4 else 0.0)
        budget.spend(now)
        times.append(now)
    return times


def test_a_few_come_at_once_and_the_rest_one_by_one():
    assert spent_at(2.0, count=7) == [100, 100, 100, 100, 102, 104, 106]


def test_what_was_not_spent_is_there_later_but_never_more_than_a_few():
    assert spent_at(2.0, count=10, wait=1000.0) == [100, 100, 100, 100, 1102, 1102, 1102, 1102, 1104, 1106]


def test_without_a_gap_nothing_has_to_wait():
    assert spent_at(0.0, count=5) == [100.0] * 5
