"""Many things done by several threads: each once, few threads first, and what goes wrong ends it."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from sparkles import streams
from sparkles.streams import in_streams


@pytest.mark.parametrize("number", [1, 2, 16])
def test_each_thing_is_done_once(number):
    done: Counter[int] = Counter()

    in_streams(lambda thing: done.update([thing]), range(100), streams=number)

    assert done == Counter(range(100))


def test_one_stream_is_this_very_thread():
    threads = set()

    in_streams(lambda _: threads.add(threading.current_thread()), range(3), streams=1)

    assert threads == {threading.current_thread()}


def test_the_number_of_threads_grows_with_what_was_begun():
    begun = threading.Semaphore(0)
    at_once: list[int] = []
    running = 0
    lock = threading.Lock()

    def do(thing: int) -> None:
        nonlocal running
        with lock:
            running += 1
            at_once.append(running)
        begun.release()
        time.sleep(0.02)
        with lock:
            running -= 1

    in_streams(do, range(40), streams=5)

    assert at_once[0] == 1
    assert max(at_once[:2]) <= 2
    assert max(at_once) == 5


def test_things_are_taken_only_when_somebody_can_do_them():
    taken, done = [], []

    def things():
        for number in range(20):
            taken.append(number)
            assert len(taken) - len(done) <= 4
            yield number

    in_streams(lambda thing: (time.sleep(0.005), done.append(thing)), things(), streams=3)

    assert len(done) == 20


def test_what_goes_wrong_is_raised_and_nothing_more_is_begun():
    done: list[int] = []

    def do(thing: int) -> None:
        if thing == 5:
            raise ValueError("five")
        done.append(thing)

    with pytest.raises(ValueError, match="five"):
        in_streams(do, range(1000), streams=2)

    assert len(done) < 20


def test_something_else_is_done_meanwhile_in_this_thread(monkeypatch):
    monkeypatch.setattr(streams, "_PAUSE", 0.01)
    calls: list[threading.Thread] = []

    in_streams(
        lambda _: time.sleep(0.1), range(2), streams=2, meanwhile=lambda: calls.append(threading.current_thread())
    )

    assert len(calls) > 3
    assert set(calls) == {threading.current_thread()}
