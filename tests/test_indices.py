"""Indices as runs: short, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkles.indices import from_runs, to_runs


@pytest.mark.parametrize(
    ("indices", "text"),
    [
        pytest.param([], "", id="none"),
        pytest.param([7], "7", id="one"),
        pytest.param([1, 2, 3], "1-3", id="a run"),
        pytest.param([3, 2, 1], "3,2,1", id="falling"),
        pytest.param([1, 2, 3, 1001, 4, 5], "1-3,1001,4-5", id="the order is kept"),
        pytest.param([1, 1, 2, 2], "1,1-2,2", id="equal ones"),
        pytest.param(range(1, 1_000_001), "1-1000000", id="a million"),
    ],
)
def test_indices_are_written_as_runs(indices, text) -> None:
    assert to_runs(indices) == text
    assert list(from_runs(text)) == list(indices)


@given(st.lists(st.integers(1, 50)))
def test_what_is_written_is_read(indices: list[int]) -> None:
    assert list(from_runs(to_runs(indices))) == indices
