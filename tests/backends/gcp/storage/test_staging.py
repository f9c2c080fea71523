"""Staging: each blob, and each object of a bucket, comes to a node once, as long as there is room for it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from contracts.objects import sha256, store_blob

from sparkles.backends.gcp.storage.staging import Staging
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


@pytest.fixture
def put(bucket):
    """Put some megabytes into somebody's bucket; return what stands for that content."""
    from google.cloud.storage import Client

    def put(name: str, letter: str, size: int = 1) -> str:
        blob = Client(project="p").bucket(bucket).blob(name)
        blob.upload_from_string(letter.encode() * (size * MB))
        return f"gs://{bucket}/{name}#{blob.generation}"

    return put


@pytest.fixture
def open_buckets(storage):
    """Open the buckets of others as a node does that keeps what it is given in `staging`."""
    from sparkles.backends.gcp.buckets import CloudBuckets
    from sparkles.backends.gcp.storage.client import storage_client

    return lambda staging: CloudBuckets(storage_client("p"), staging=staging)


@pytest.fixture
def buckets(open_buckets, tmp_path):
    return open_buckets(Staging(tmp_path / "kept"))


def downloads(storage) -> int:
    return storage.count("storage.objects.get", part="media")


def staged_at_once(store, content: str, folder: Path) -> set[bytes]:
    """Have eight slots want a content at once; return what they got."""
    start = threading.Barrier(8)

    def stage(number: int) -> None:
        start.wait()
        store.stage(content, folder / f"copy-{number}", executable=False)

    threads = [threading.Thread(target=stage, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {(folder / f"copy-{number}").read_bytes() for number in range(8)}


def test_a_blob_that_several_slots_want_at_once_is_downloaded_once(objects, storage, blob, tmp_path) -> None:
    assert staged_at_once(objects, blob("a"), tmp_path) == {b"a" * MB}
    assert downloads(storage) == 1


def test_an_object_of_a_bucket_that_several_slots_want_at_once_is_downloaded_once(
    buckets, storage, put, tmp_path
) -> None:
    content = put("model.rds", "a")

    assert staged_at_once(buckets, content, tmp_path) == {b"a" * MB}
    assert staged_at_once(buckets, content, tmp_path) == {b"a" * MB}
    assert downloads(storage) == 1


def test_blobs_and_objects_of_buckets_share_the_room(open_objects, open_buckets, storage, blob, put, tmp_path) -> None:
    staging = Staging(tmp_path / "kept", room=2 * MB)
    objects, buckets = open_objects(staging=staging), open_buckets(staging)
    digest, first, second = blob("a"), put("x", "b"), put("y", "c")

    for store, content in [(objects, digest), (buckets, first), (buckets, second), (buckets, first), (objects, digest)]:
        store.stage(content, tmp_path / "copy", executable=False)

    assert downloads(storage) == 4, "the blob had to go for the second object"
    assert (tmp_path / "copy").read_bytes() == b"a" * MB
    assert sum(path.stat().st_size for path in (tmp_path / "kept").iterdir()) <= 2 * MB


def test_an_object_that_was_replaced_is_not_what_was_kept_of_it(buckets, put, tmp_path) -> None:
    before = put("x", "a")
    buckets.stage(before, tmp_path / "first", executable=False)
    after = put("x", "b")

    buckets.stage(after, tmp_path / "second", executable=False)
    buckets.stage(before, tmp_path / "third", executable=False)

    read = [(tmp_path / name).read_bytes()[:1] for name in ("first", "second", "third")]
    assert read == [b"a", b"b", b"a"], "what is kept serves even when the object is gone"


@pytest.mark.parametrize("name", ["../../etc/x", "a/b c", "long" * 250], ids=["dots", "slash", "long"])
def test_an_object_of_any_name_is_kept(buckets, storage, put, tmp_path, name) -> None:
    content = put(name, "a")

    for number in range(2):
        buckets.stage(content, tmp_path / f"copy-{number}", executable=False)

    assert downloads(storage) == 1
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_what_could_not_be_downloaded_is_not_kept(buckets, bucket, put, tmp_path) -> None:
    for _ in range(2):
        with pytest.raises(BackendError, match=f"gs://{bucket}/x: generation 1 is not there any more"):
            buckets.stage(f"gs://{bucket}/x#1", tmp_path / "there" / "copy", executable=False)

    assert list((tmp_path / "there").iterdir()) == []
    assert list((tmp_path / "kept").iterdir()) == []


def test_what_a_task_makes_of_its_copy_is_not_seen_by_the_next(objects, blob, tmp_path) -> None:
    digest = blob("a")
    objects.stage(digest, tmp_path / "first", executable=True)
    (tmp_path / "first").write_bytes(b"changed")

    objects.stage(digest, tmp_path / "second", executable=False)

    assert (tmp_path / "second").read_bytes() == b"a" * MB
    assert (tmp_path / "first").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "second").stat().st_mode & 0o777 == 0o644


def test_what_was_used_longest_ago_goes_when_there_is_no_room(open_objects, storage, blob, tmp_path) -> None:
    objects = open_objects(staging=Staging(tmp_path / "node" / "cache", room=2 * MB))
    digests = {letter: blob(letter) for letter in "abc"}

    for letter in "abacabc":
        objects.stage(digests[letter], tmp_path / "copy", executable=False)

    assert downloads(storage) == 3 + 2, "b had to go for c, then c for b, then a or b for c"
    assert sum(path.stat().st_size for path in (tmp_path / "node" / "cache").iterdir()) <= 2 * MB


def test_what_there_is_no_room_for_goes_straight_to_its_place(open_objects, storage, blob, tmp_path) -> None:
    objects = open_objects(staging=Staging(tmp_path / "node" / "cache", room=2 * MB))
    small, large = blob("a"), blob("b", 3)

    for digest in (small, large, small):
        objects.stage(digest, tmp_path / "copy", executable=False)

    assert downloads(storage) == 2
    assert [path.name for path in (tmp_path / "node" / "cache").iterdir()] == [small]


def test_a_client_keeps_nothing(open_objects, storage, blob, tmp_path) -> None:
    client = open_objects("client", staging=None)
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
