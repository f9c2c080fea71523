"""Pace: looks at what has been done, at given times, and what they say about the rest."""

from __future__ import annotations

import pytest

from sparkles.pace import Pace


def seen(looks):
    pace = Pace()
    for now, done in looks:
        pace = pace.at(now, done)
    return pace


@pytest.mark.parametrize(
    ("looks", "rate"),
    [
        pytest.param([], None, id="no look"),
        pytest.param([(0, 5)], None, id="one look"),
        pytest.param([(0, 0), (1, 9)], None, id="too soon to say"),
        pytest.param([(0, 5), (100, 5)], None, id="nothing was done"),
        pytest.param([(0, 5), (10, 25)], 2.0, id="what was done before does not count"),
        pytest.param([(0, 0), (10, 10), (20, 10)], 0.5, id="slower while nothing gets done"),
        pytest.param([(0, 0), (10, 10), (11, 4), (21, 9)], 0.5, id="some is done again"),
        pytest.param([(0, 0), (10, 100), (100, 110), (170, 120)], 10 / 70, id="only of late"),
        pytest.param([(0, 0), (1000, 1), (2000, 2), (3000, 3)], 1 / 1000, id="longer if it is slow"),
    ],
)
def test_the_rate_is_what_was_done_of_late(looks, rate):
    assert seen(looks).rate == (rate if rate is None else pytest.approx(rate))


def test_the_rest_takes_as_long_as_the_rate_says():
    assert seen([(0, 0), (10, 5)]).seconds(30) == pytest.approx(60)
    assert seen([(0, 0)]).seconds(30) is None


def test_time_before_anything_runs_does_not_count():
    pace = Pace().at(0, 0, running=False).at(90, 0, running=False).at(91, 0, running=True).at(101, 5, running=True)

    assert pace.rate == pytest.approx(5 / 11)


def test_what_is_remembered_stays_small():
    pace = seen([(second / 20, second) for second in range(20 * 3600)])

    assert len(pace.points) < 150
    assert pace.rate == pytest.approx(20)
