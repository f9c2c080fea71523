"""Logs in a bucket: no byte is lost, doubled or out of place, at any moment."""

from __future__ import annotations

import os
import random
import threading
import time

import pytest
from contracts.objects import a_document, a_result, always, append, come, wait_until

from sparkles.errors import BackendError
from sparkles.ports.objects import Result

CHUNKS = "my/prefix/.sparkles/jobs/j/logs/1/a/"


@pytest.fixture
def client(open_objects):
    return open_objects("client", spool=None, staging=None)


def read_on(objects, position: int, *, claim: str = "a") -> bytes:
    return objects.read_log("j", 1, claim, start=position)


def test_a_log_that_is_followed_through_all_its_moves_is_whole(objects, client) -> None:
    """Written, brought in, published, promoted, while somebody reads."""
    content = random.Random(1).randbytes(3_000_000)
    log = objects.open_log("j", 1, "a")
    seen: list[bytes] = []
    over = threading.Event()

    def follow() -> None:
        while True:
            was_over = over.is_set()
            piece = read_on(client, sum(map(len, seen)))
            seen.append(piece)
            if was_over and not piece:
                return

    reader = threading.Thread(target=follow)
    reader.start()
    for start in range(0, len(content), 100_000):
        append(log, content[start : start + 100_000])
        time.sleep(0.01)
    result = Result(job="j", index=1, claim="a", log=log, outputs=[], document=a_document("a"))
    objects.promote("j", 1, objects.publish(result, holds=always))
    over.set()
    reader.join(30)

    assert b"".join(seen) == content


def test_every_place_of_a_log_in_chunks_can_be_read_from(objects, client) -> None:
    log = objects.open_log("j", 1, "a")
    content = b""
    for number in range(12):
        piece = bytes([number]) * (number * 300 + 1)
        append(log, piece)
        content += piece
        come(client, "a", content)

    for start in [0, 1, 299, 300, 301, 5_000, len(content) - 1, len(content), len(content) + 9]:
        assert read_on(client, start) == content[start:]
    assert client.read_log("j", 1, "a", start=100, limit=3_000) == content[100:3_100]
    for start in [-1, -3_000, -len(content), -(10**9)]:
        assert read_on(client, start) == content[start:]
    assert client.read_log("j", 1, "a", start=-3_000, limit=10) == content[-3_000:-2_990]


def test_a_log_of_many_megabytes_comes_in_chunks_of_one(objects, client, names) -> None:
    content = random.Random(2).randbytes((5 << 20) + 123)
    append(objects.open_log("j", 1, "a"), content)

    wait_until(lambda: read_on(client, 5 << 20) == content[5 << 20 :])

    assert names(CHUNKS) == [f"{CHUNKS}{number << 20:015d}" for number in range(6)]
    assert client.read_log("j", 1, "a", start=(1 << 20) - 5, limit=10) == content[(1 << 20) - 5 : (1 << 20) + 5]
    assert client.read_log("j", 1, "a", start=0, limit=3 << 20) == content[: 3 << 20]


def test_many_small_chunks_become_one_and_readers_do_not_notice(objects, client, names) -> None:
    log = objects.open_log("j", 1, "a")
    content = seen = b""
    for number in range(100):
        piece = b"%d\n" % number
        append(log, piece)
        content += piece
        wait_until(lambda: objects._spool._logs["j", 1, "a"]._shipped == len(content))  # noqa: B023
        seen += read_on(client, len(seen))

    assert seen == content == read_on(client, 0)
    assert len(names(CHUNKS)) < 40
    assert read_on(client, -4) == content[-4:]


def test_a_log_is_not_brought_in_more_often_than_every_so_many_seconds(open_objects, storage, client) -> None:
    objects = open_objects(period=0.5)
    log = objects.open_log("j", 1, "a")
    began = time.monotonic()

    while time.monotonic() < began + 1.7:
        append(log, b"line\n")
        time.sleep(0.01)

    assert 1 <= storage.count("storage.objects.insert") <= 4
    assert storage.count("storage.objects.insert", status=412) == 0


@pytest.mark.parametrize("how", ["lose_reply", "reset", "fail"])
def test_a_chunk_that_fails_is_brought_in_later_and_harms_nobody(open_objects, client, storage, how) -> None:
    objects = open_objects(patience=0.01)
    log = objects.open_log("j", 1, "a")
    getattr(storage.faults, how)("storage.objects.insert", times=3)
    content = b""

    for number in range(20):
        content += b"%d\n" % number
        append(log, b"%d\n" % number)
        time.sleep(0.02)

    assert come(client, "a", content) == content


def test_a_writer_never_waits_for_the_bucket(open_objects, storage) -> None:
    objects = open_objects(patience=0.01)
    storage.faults.fail("storage.objects.insert", 503, times=1_000)
    began = time.monotonic()

    for number in range(50):
        append(objects.open_log("j", number, "a"), b"x")

    assert time.monotonic() - began < 5


def test_the_log_of_an_attempt_that_is_given_up_stays_to_its_last_byte(open_objects, client) -> None:
    objects = open_objects(period=60.0)
    append(objects.open_log("j", 1, "a"), b"begun\nstopped\n")

    objects.discard("j", 1, "a")

    assert come(client, "a", b"begun\nstopped\n") == b"begun\nstopped\n"


def test_a_log_that_could_not_be_completed_at_once_is_later(open_objects, client, storage, tmp_path) -> None:
    objects = open_objects(patience=0.01)
    log = objects.open_log("j", 1, "a")
    storage.faults.fail("storage.objects.insert", 503, times=5)
    append(log, b"begun\n")

    objects.discard("j", 1, "a")

    assert come(client, "a", b"begun\n") == b"begun\n"
    wait_until(lambda: not log.exists())


def test_a_published_log_is_read_by_its_claim_and_by_its_generation(objects, client, tmp_path) -> None:
    generation = objects.publish(a_result(objects, tmp_path, "a", log=b"whole\n", files={}), holds=always)

    assert read_on(client, 1) == b"hole\n"
    assert read_on(client, 1, claim=generation) == b"hole\n"
    assert read_on(client, -2, claim=generation) == b"e\n"
    assert read_on(client, 6) == b""
    assert read_on(client, 0, claim="another") == b""


def test_the_end_of_a_result_counts_even_if_chunks_of_it_are_left(objects, client, tmp_path) -> None:
    """A worker may die after the commit, before it has removed them."""
    append(objects.open_log("j", 1, "a"), b"first\n")
    come(client, "a", b"first\n")
    objects._spool._logs.clear()  # nothing comes in any more
    objects._spool.open = lambda attempt: tmp_path / "log"
    append(tmp_path / "log", b"first\n")
    objects.publish(a_result(objects, tmp_path, "a", log=b"last\n", files={}), holds=always)

    assert read_on(client, -5) == b"last\n"
    assert read_on(client, 0) + read_on(client, 6) == b"first\nlast\n"


def test_a_follower_asks_only_for_what_is_new(objects, client, storage) -> None:
    append(objects.open_log("j", 1, "a"), os.urandom(4 << 20))
    wait_until(lambda: len(client.read_log("j", 1, "a", start=-1)) == 1)
    storage.forget()

    read_on(client, 4 << 20)

    assert storage.count("storage.objects.get", part="media") == 0
    assert len(storage.requests) <= 3


def test_a_log_in_a_bucket_that_is_gone_is_an_error(open_objects) -> None:
    client = open_objects("client", bucket="gone-bucket", spool=None)

    with pytest.raises(BackendError, match="there is no bucket gs://gone-bucket"):
        client.read_log("j", 1, "a", start=0)


def test_what_a_log_ends_with_is_brought_in_before_its_files_go(open_objects, client, tmp_path) -> None:
    content = random.Random(3).randbytes(3 << 20)
    objects = open_objects(period=60.0)
    log = objects.open_log("j", 1, "a")
    append(log, content)

    objects.discard("j", 1, "a")
    objects.complete_logs(patience=30)
    log.unlink()

    assert b"".join(read_on(client, start) for start in range(0, 3 << 20, 1 << 20)) == content


def test_nobody_waits_for_ever_for_a_log_that_cannot_be_brought_in(open_objects, storage) -> None:
    objects = open_objects(patience=5.0, period=60.0)
    append(objects.open_log("j", 1, "a"), b"begun\n")
    storage.faults.fail("storage.objects.insert", 503, times=1_000)
    began = time.monotonic()

    objects.discard("j", 1, "a")
    objects.complete_logs(patience=0.2)

    assert 0.2 <= time.monotonic() - began < 4
