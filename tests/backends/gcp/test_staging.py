"""Staging: each blob comes to a node once, as long as there is room for it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from contracts.objects import sha256, store_blob

from sparkles.errors import BackendError

MB = 1 << 20


@pytest.fixture
def blob(open_objects, tmp_path):
    """Store content of some megabytes; return its digest."""

    def blob(letter: str, size: int = 1) -> str:
        content = letter.encode() * (size * MB)
        (tmp_path / letter).write_bytes(content)
        store_blob(open_objects("client"), tmp_path / letter, sha256(content))
        return sha256(content)

    return blob


def downloads(storage) -> int:
    return storage.count("storage.objects.get", part="media")


def test_a_blob_that_several_slots_want_at_once_is_downloaded_once(objects, storage, blob, tmp_path) -> None:
    digest = blob("a")
    start = threading.Barrier(8)

    def stage(number: int) -> None:
        start.wait()
        objects.stage(digest, tmp_path / f"copy-{number}", executable=False)

    threads = [threading.Thread(target=stage, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert downloads(storage) == 1
    assert {(tmp_path / f"copy-{number}").read_bytes() for number in range(8)} == {b"a" * MB}


def test_what_a_task_makes_of_its_copy_is_not_seen_by_the_next(objects, blob, tmp_path) -> None:
    digest = blob("a")
    objects.stage(digest, tmp_path / "first", executable=True)
    (tmp_path / "first").write_bytes(b"changed")

    objects.stage(digest, tmp_path / "second", executable=False)

    assert (tmp_path / "second").read_bytes() == b"a" * MB
    assert (tmp_path / "first").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "second").stat().st_mode & 0o777 == 0o644


def test_what_was_used_longest_ago_goes_when_there_is_no_room(open_objects, storage, blob, tmp_path) -> None:
    objects = open_objects(room=2 * MB)
    digests = {letter: blob(letter) for letter in "abc"}

    for letter in "abacabc":
        objects.stage(digests[letter], tmp_path / "copy", executable=False)

    assert downloads(storage) == 3 + 2, "b had to go for c, then c for b, then a or b for c"
    assert sum(path.stat().st_size for path in (tmp_path / "node" / "cache").iterdir()) <= 2 * MB


def test_what_there_is_no_room_for_goes_straight_to_its_place(open_objects, storage, blob, tmp_path) -> None:
    objects = open_objects(room=2 * MB)
    small, large = blob("a"), blob("b", 3)

    for digest in (small, large, small):
        objects.stage(digest, tmp_path / "copy", executable=False)

    assert downloads(storage) == 2
    assert [path.name for path in (tmp_path / "node" / "cache").iterdir()] == [small]


def test_a_client_keeps_nothing(open_objects, storage, blob, tmp_path) -> None:
    client = open_objects("client", cache=None)
    digest = blob("a")

    for number in range(2):
        client.stage(digest, tmp_path / f"copy-{number}", executable=False)

    assert downloads(storage) == 2
    assert (tmp_path / "copy-1").read_bytes() == b"a" * MB


def test_a_download_that_breaks_off_goes_on_and_is_checked(objects, storage, blob, tmp_path) -> None:
    digest = blob("a", 3)
    storage.faults.lose_reply("storage.objects.get", part="media")

    objects.stage(digest, tmp_path / "copy", executable=False)

    assert sha256((tmp_path / "copy").read_bytes()) == digest


def test_content_that_is_damaged_is_never_at_its_place(objects, bucket, storage, tmp_path) -> None:
    from google.cloud.storage import Client

    digest = sha256(b"right")
    Client(project="p").bucket(bucket).blob(f"my/prefix/.sparkles/cas/{digest}").upload_from_string(b"wrong")

    with pytest.raises(BackendError, match="damaged"):
        objects.stage(digest, tmp_path / "there" / "copy", executable=False)

    assert list((tmp_path / "there").iterdir()) == []
    assert list((tmp_path / "node" / "cache").iterdir()) == []


def test_what_an_earlier_process_left_is_not_trusted(open_objects, blob, tmp_path) -> None:
    digest = blob("a")
    cache = tmp_path / "node" / "cache"
    cache.mkdir(parents=True)
    (cache / digest).write_bytes(b"half of it")

    open_objects().stage(digest, tmp_path / "copy", executable=False)

    assert (tmp_path / "copy").read_bytes() == b"a" * MB


def test_a_cache_that_cannot_be_written_to_is_done_without(objects, blob, tmp_path, monkeypatch) -> None:
    digest = blob("a")
    cache: Path = tmp_path / "node" / "cache"
    cache.rmdir()
    cache.write_text("not a folder")

    objects.stage(digest, tmp_path / "copy", executable=False)

    assert (tmp_path / "copy").read_bytes() == b"a" * MB
