"""What ends a node's work when its loop hangs."""

from __future__ import annotations

import threading
import time

import pytest

from sparkles.worker import guard
from sparkles.worker.guard import Guard


def test_it_acts_when_no_time_is_left():
    end, acted = time.monotonic() + 0.1, threading.Event()

    with Guard(lambda: end - time.monotonic(), acted.set):
        assert not acted.is_set()
        assert acted.wait(10)

    assert time.monotonic() >= end


def test_it_waits_as_long_as_time_is_added(monkeypatch):
    monkeypatch.setattr(guard, "_PAUSE", 0.01)
    acted = threading.Event()

    with Guard(lambda: 100.0, acted.set):
        time.sleep(0.1)

    assert not acted.is_set()


def test_time_that_passed_unnoticed_is_noticed(monkeypatch):
    """As when the machine was asleep."""
    monkeypatch.setattr(guard, "_PAUSE", 0.01)
    acted, left = threading.Event(), [1000.0]

    with Guard(lambda: left[0], acted.set):
        left[0] = -1.0
        assert acted.wait(10)


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_it_ends_with_what_it_guards(raised):
    with pytest.raises(raised), Guard(lambda: 100.0, lambda: None) as started:
        raise raised

    assert not started._thread.is_alive()
