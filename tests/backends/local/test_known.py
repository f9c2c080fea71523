"""Known blobs: believed for a day, of one store, and never needed."""

from __future__ import annotations

import threading

import pytest

from sparkles.backends.local import known
from sparkles.backends.local.known import KnownBlobs

DIGESTS = [f"{number:064x}" for number in range(5)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "known.db"


def test_what_was_seen_is_known_by_processes_to_come(path) -> None:
    KnownBlobs(path, write=True).add("store", DIGESTS[:3])

    assert KnownBlobs(path, write=False).among("store", DIGESTS) == set(DIGESTS[:3])


def test_stores_are_told_apart(path) -> None:
    blobs = KnownBlobs(path, write=True)
    blobs.add("store", DIGESTS)

    assert blobs.among("another", DIGESTS) == set()


def test_nothing_is_believed_for_more_than_a_day(path, monkeypatch) -> None:
    blobs = KnownBlobs(path, write=True)
    now = known.time.time()
    blobs.add("store", DIGESTS[:1])
    monkeypatch.setattr(known.time, "time", lambda: now + 80_000)
    blobs.add("store", DIGESTS[1:2])
    at_first = blobs.among("store", DIGESTS)

    monkeypatch.setattr(known.time, "time", lambda: now + 90_000)

    assert at_first == set(DIGESTS[:2])
    assert blobs.among("store", DIGESTS) == {DIGESTS[1]}


def test_without_the_right_to_write_nothing_is_written(path) -> None:
    KnownBlobs(path, write=False).add("store", DIGESTS)

    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0 but broken"])
def test_a_broken_file_is_as_good_as_none(path, content) -> None:
    path.write_bytes(content)
    blobs = KnownBlobs(path, write=True)

    blobs.add("store", DIGESTS)

    assert blobs.among("store", DIGESTS) == set()


def test_a_folder_that_is_not_there_is_not_made(tmp_path) -> None:
    blobs = KnownBlobs(tmp_path / "home" / "known.db", write=True)

    blobs.add("store", DIGESTS)

    assert blobs.among("store", DIGESTS) == set()
    assert not (tmp_path / "home").exists()


def test_several_threads_may_add_at_once(path) -> None:
    blobs = KnownBlobs(path, write=True)
    digests = [f"{number:064x}" for number in range(200)]
    threads = [threading.Thread(target=blobs.add, args=["store", digests[number::8]]) for number in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert blobs.among("store", digests) == set(digests)
