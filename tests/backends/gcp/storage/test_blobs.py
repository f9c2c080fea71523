"""Blobs in a bucket: sent once, asked for as little as can be, and never wrong under a hash."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from contracts.objects import sha256, store_blob, total

from sparkles.errors import BackendError
from sparkles.ports.objects import Moved


@pytest.fixture
def files(tmp_path: Path):
    """Make files; return them with their hashes."""

    def files(count: int) -> list[tuple[Path, str]]:
        (tmp_path / "files").mkdir(exist_ok=True)
        made = []
        for number in range(count):
            path = tmp_path / "files" / str(number)
            path.write_text(f"content {number}")
            made.append((path, sha256(path.read_bytes())))
        return made

    return files


def digests(files) -> list[str]:
    return [digest for _, digest in files]


def test_what_was_stored_is_neither_asked_for_nor_sent_again(open_objects, storage, files) -> None:
    made = files(20)
    total(open_objects("client").put_blobs(made))
    storage.forget()

    again = open_objects("client")

    assert again.missing(digests(made)) == set()
    assert total(again.put_blobs(made)) == Moved(size=0, files=20)
    assert list(storage.requests) == []


def test_what_was_found_there_is_not_asked_for_again(open_objects, storage, files) -> None:
    made = files(3)
    total(open_objects("someone else").put_blobs(made))
    client = open_objects("client")

    first = client.missing(digests(made))
    storage.forget()

    assert first == client.missing(digests(made)) == set()
    assert list(storage.requests) == []


def test_what_is_known_of_one_bucket_says_nothing_of_another(open_objects, storage, files) -> None:
    storage.make_bucket("another-bucket", "sparkles-test")
    made = files(2)
    total(open_objects("client").put_blobs(made))

    assert open_objects("client", bucket="another-bucket").missing(digests(made)) == set(digests(made))


@pytest.mark.parametrize(
    ("there", "listings"),
    [pytest.param(0, 1, id="empty"), pytest.param(400, 1, id="small"), pytest.param(2_500, 1 + 7, id="large")],
)
def test_many_are_looked_for_in_few_listings(open_objects, storage, plant, there, listings) -> None:
    """Of a large store only those parts are listed where something is wanted."""
    wanted = [f"{number % 7:02x}{sha256(str(number).encode())[2:]}" for number in range(140)]
    others = [sha256(f"other {number}".encode()) for number in range(there)]
    plant(f"my/prefix/.sparkles/cas/{digest}" for digest in [*wanted[:60], *others])

    missing = open_objects().missing(wanted)

    assert missing == set(wanted[60:])
    assert storage.count("storage.objects.list") <= listings
    assert storage.count("storage.objects.get") == 0


def test_one_part_of_a_store_that_is_longer_than_a_page_is_listed_on(open_objects, storage, plant) -> None:
    digests = [f"00{sha256(str(number).encode())[2:]}" for number in range(2_600)]
    plant(f"my/prefix/.sparkles/cas/{digest}" for digest in digests[::2])

    assert open_objects().missing(digests) == set(digests[1::2])
    assert storage.count("storage.objects.list") <= 3


@pytest.mark.parametrize("how", ["lose_reply", "reset", "fail"])
@pytest.mark.parametrize(
    ("size", "part", "place"),
    [
        pytest.param(10, "", 0, id="small"),
        pytest.param(5 << 20, "", 0, id="in one request"),
        *(pytest.param(40 << 20, "chunk", place, id=f"piece {place + 1}") for place in range(3)),
        pytest.param(40 << 20, "start", 0, id="beginning"),
    ],
)
def test_a_fault_at_any_request_of_an_upload_does_no_harm(objects, storage, strike, tmp_path, how, size, part, place):
    content = os.urandom(size)
    (tmp_path / "source").write_bytes(content)
    struck = strike("storage.objects.insert", place, how, part=part)

    moved = store_blob(objects, tmp_path / "source", sha256(content))

    assert struck()
    assert moved.files == 1
    assert objects.read_blob(sha256(content)) == content


@pytest.mark.parametrize("size", [3, 3 << 20, 20 << 20, 40 << 20])
def test_content_that_changed_is_never_there_not_even_for_a_moment(objects, names, storage, tmp_path, size) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(size))
    digest = sha256(bytes(size))
    source.write_bytes(bytes(size - 1) + b"!")

    with pytest.raises(BackendError, match="changed while it was read; submit again"):
        store_blob(objects, source, digest)

    assert names() == []
    assert storage.count("storage.objects.delete") == 0, "nothing has to be taken back"


def test_a_file_that_became_shorter_while_it_is_sent_is_refused(objects, names, tmp_path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(40 << 20))
    moves = objects.put_blobs([(source, sha256(bytes(40 << 20)))])

    while not next(moves).size:
        pass
    os.truncate(source, 33 << 20)
    with pytest.raises(BackendError, match="changed while it was read"):
        total(moves)

    assert names() == []


def test_whoever_waits_hears_of_a_long_upload_even_if_nothing_moves(objects, files, monkeypatch) -> None:
    write = objects._bucket.write
    monkeypatch.setattr(objects._bucket, "write", lambda *args, **options: time.sleep(1.3) or write(*args, **options))

    moves = list(objects.put_blobs(files(1)))

    assert moves.count(Moved(0, 0)) >= 2
    assert total(moves).files == 1


def test_an_upload_that_nobody_waits_for_any_more_is_stopped(objects, names, tmp_path, files) -> None:
    (tmp_path / "large").write_bytes(bytes(100 << 20))
    moves = objects.put_blobs([(tmp_path / "large", sha256(bytes(100 << 20))), *files(3)])

    while not next(moves).size:
        pass
    moves.close()

    assert f"my/prefix/.sparkles/cas/{sha256(bytes(100 << 20))}" not in names()


def test_what_was_stored_before_an_upload_was_interrupted_is_known_to_be_there(open_objects, storage, files) -> None:
    made = files(3)
    moves = open_objects("client").put_blobs(made)

    while not next(moves).files:
        pass
    moves.close()
    storage.forget()

    open_objects("client").missing(digests(made))
    assert storage.count("storage.objects.get") < 3


def test_two_that_store_the_same_at_once_both_succeed(open_objects, tmp_path) -> None:
    content = os.urandom(20 << 20)
    (tmp_path / "source").write_bytes(content)
    start, moves = threading.Barrier(2), []

    def store(name: str) -> None:
        objects = open_objects(name)
        start.wait()
        moves.append(store_blob(objects, tmp_path / "source", sha256(content)))

    threads = [threading.Thread(target=store, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [moved.files for moved in moves] == [1, 1]
    assert open_objects("c").read_blob(sha256(content)) == content


def test_a_large_upload_needs_little_memory(tmp_path, storage, bucket) -> None:
    """In a process of its own, since what others have used counts for ever."""
    (tmp_path / "source").write_bytes(os.urandom(1 << 20) * 300)
    script = """
import resource, sys
from pathlib import Path
from sparkles.backends.gcp.storage.client import storage_client
from sparkles.backends.gcp.objects import BucketObjects
from sparkles.backends.local.hashes import sha256_of
from sparkles.backends.local.known import KnownBlobs
source = Path(sys.argv[1])
objects = BucketObjects(storage_client(), sys.argv[2], "", known=KnownBlobs(source, write=False))
digest, before = sha256_of(source), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in objects.put_blobs([(source, digest)]): pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "source", bucket], capture_output=True, text=True, check=True
    )

    assert int(done.stdout) < 80_000


# What is used


def grow_old(storage, bucket: str, *, days: float) -> None:
    """Let all objects be as old as if so many days had passed."""
    with storage.holdings.lock:
        objects = storage.holdings.bucket(bucket).objects
        for name, stored in objects.items():
            objects[name] = replace(stored, created=stored.created - days * 86_400)


def touched(storage) -> int:
    return storage.count("storage.objects.patch", status=200)


@pytest.mark.parametrize("count", [3, 150], ids=["asked for one by one", "listed"])
def test_old_blobs_that_somebody_counts_on_are_noted_to_be_used_once(
    open_objects, storage, bucket, files, count
) -> None:
    made = files(count)
    total(open_objects("someone else").put_blobs(made))
    grow_old(storage, bucket, days=3)

    assert open_objects("client").missing(digests(made)) == set()
    assert touched(storage) == count

    assert open_objects("another client").missing(digests(made)) == set()
    assert touched(storage) == count


def test_young_blobs_are_not_written_to(open_objects, storage, bucket, files) -> None:
    made = files(3)
    total(open_objects("someone else").put_blobs(made))
    grow_old(storage, bucket, days=1)

    assert open_objects("client").missing(digests(made)) == set()
    assert touched(storage) == 0


def test_who_only_looks_writes_nothing(open_objects, storage, bucket, files) -> None:
    made = files(3)
    total(open_objects("someone else").put_blobs(made))
    grow_old(storage, bucket, days=30)

    assert open_objects("client", touch=False).missing(digests(made)) == set()
    assert touched(storage) == 0


def test_an_old_blob_that_is_removed_before_it_was_noted_is_missing(open_objects, storage, bucket, files) -> None:
    made = files(3)
    total(open_objects("someone else").put_blobs(made))
    grow_old(storage, bucket, days=30)
    storage.faults.fail("storage.objects.patch", 404)

    assert len(open_objects("client").missing(digests(made))) == 1


def test_an_old_blob_that_turns_out_to_be_there_is_noted_to_be_used(open_objects, storage, bucket, files) -> None:
    made = files(3)
    total(open_objects("someone else").put_blobs(made))
    grow_old(storage, bucket, days=30)

    total(open_objects("client").put_blobs(made))

    assert touched(storage) == 3
