"""Publishing where others may be at work, too: zombies, races, lost answers. A committed result stays as it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import a_backend
from contracts.objects import a_result, always, fetch, fetched

from sparkles import fetching
from sparkles.errors import BackendError

#: What an earlier result left, and what two attempts at the task leave: files that differ, are the same, or only one's.
EARLIER = {"same": b"same", "other": b"0", "gone": b"gone", "earlier": b"earlier"}
ZOMBIES = {"same": b"same", "other": b"zombie", "zombies": b"z", "both": b"zombie's"}
OURS = {"same": b"same", "other": b"ours", "ours": b"o", "both": b"ours", "earlier": b"earlier"}

#: As often as a zombie asks for its lease while it publishes, and more.
STEPS = range(1, 12)


class Clock:
    """A lease that ends right after it was asked for the `steps`-th time; then something happens."""

    def __init__(self, steps: int, then: Callable[[], None]) -> None:
        self._left = steps
        self._then = then
        self._lock = threading.Lock()

    def __call__(self) -> bool:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._then()
            return self._left >= 0


@pytest.fixture
def ours(open_objects):
    return open_objects("ours")


@pytest.fixture
def zombie(open_objects):
    return open_objects("zombie")


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., str]:
    """Publish a result with a log that says whose it is."""

    def publish(objects: Any, claim: str, files: dict[str, bytes], *, holds: Callable[[], bool] = always) -> str:
        result = a_result(objects, tmp_path / f"work-{claim}", claim, log=claim.encode(), files=files)
        return objects.publish(result, holds=holds)

    return publish


def whole(objects: Any, folder: Path) -> tuple[str, dict[str, bytes]]:
    """Return the generation of the result, and all its files as they are fetched."""
    _, files = fetched(objects, folder)
    return objects.read_result("j", 1)[0], files


@pytest.mark.parametrize("steps", STEPS)
def test_a_zombie_that_wakes_after_another_has_published_changes_nothing(
    ours, zombie, publish, tmp_path, steps
) -> None:
    publish(zombie, "earlier", EARLIER)
    committed: list[str] = []
    lease = Clock(steps, then=lambda: committed.append(publish(ours, "ours", OURS)))

    with suppress(BackendError):
        publish(zombie, "zombie", ZOMBIES, holds=lease)
    committed = committed or [publish(ours, "ours", OURS)]
    zombie.discard("j", 1, "zombie")

    assert whole(ours, tmp_path) == (committed[0], {**OURS, "stdout.txt": b"ours"})


@pytest.mark.parametrize("steps", STEPS)
def test_a_zombie_that_goes_on_while_another_publishes_changes_nothing(ours, zombie, publish, tmp_path, steps) -> None:
    """It sleeps after any of its steps, until another one has come to any of its own."""
    publish(zombie, "earlier", EARLIER)
    awake, asleep = threading.Event(), threading.Event()

    def sleep() -> None:
        asleep.set()
        awake.wait(10)

    def haunt() -> None:
        with suppress(BackendError):
            publish(zombie, "zombie", ZOMBIES, holds=Clock(steps, then=sleep))
        asleep.set()

    haunting = threading.Thread(target=haunt)
    haunting.start()
    asleep.wait(10)
    committed = publish(ours, "ours", OURS, holds=Waker(steps, awake))
    awake.set()
    haunting.join()

    assert whole(ours, tmp_path) == (committed, {**OURS, "stdout.txt": b"ours"})


class Waker:
    """A lease that holds; when it is asked for the 12 - `steps`-th time, someone else wakes up."""

    def __init__(self, steps: int, awake: threading.Event) -> None:
        self._left = 12 - steps
        self._awake = awake

    def __call__(self) -> bool:
        self._left -= 1
        if self._left <= 0:
            self._awake.set()
        return True


@pytest.mark.parametrize("_", range(5))
def test_two_that_publish_at_the_same_time_leave_one_whole_result(ours, zombie, publish, tmp_path, _) -> None:
    """Neither has lost its lease: that cannot be, but if it is, nothing is mixed."""
    left = {"ours": OURS, "zombie": ZOMBIES}
    start = threading.Barrier(2)

    def run(objects: Any, claim: str) -> str:
        start.wait()
        return publish(objects, claim, left[claim])

    with ThreadPoolExecutor(2) as pool:
        generations = dict(zip(left, pool.map(run, (ours, zombie), left), strict=True))

    generation, files = whole(ours, tmp_path)
    (winner,) = [claim for claim in left if generations[claim] == generation]
    assert files == {**left[winner], "stdout.txt": winner.encode()}


def test_a_result_without_a_lease_is_not_written(objects, names, tmp_path) -> None:
    result = a_result(objects, tmp_path, "a", files={"x": b"1"})

    with pytest.raises(BackendError, match=r"j\.1: its result may not be stored: the lease has ended"):
        objects.publish(result, holds=lambda: False)

    assert names("my/prefix/j/") == []


def test_the_lease_is_asked_for_after_the_folder_has_been_listed(objects, storage, tmp_path) -> None:
    asked: list[int] = []

    def holds() -> bool:
        asked.append(storage.count("storage.objects.list"))
        return True

    objects.publish(a_result(objects, tmp_path, "a", files={}), holds=holds)

    assert asked[0] >= 1


FAULTS = [
    pytest.param(method, place, id=f"{method.rpartition('.')[2]} {place}")
    for method, places in (("storage.objects.insert", 4), ("storage.objects.delete", 2), ("storage.objects.list", 1))
    for place in range(places)
]


@pytest.mark.parametrize(("method", "place"), FAULTS)
@pytest.mark.parametrize("how", ["lose_reply", "reset", "fail"])
def test_a_fault_at_any_request_loses_and_doubles_nothing(
    objects, publish, storage, strike, tmp_path, method, place, how
) -> None:
    publish(objects, "earlier", {"x": b"0", "old": b"old"})
    struck = strike(method, place, how)

    generation = publish(objects, "ours", {"x": b"1", "new": b"new"})

    assert struck()
    assert whole(objects, tmp_path) == (generation, {"x": b"1", "new": b"new", "stdout.txt": b"ours"})


def test_a_try_that_broke_off_is_completed_by_the_next(objects, storage, written, tmp_path) -> None:
    result = a_result(objects, tmp_path, "a", log=b"out\n", files={"x": b"1", "y": b"2"})
    storage.permissions.denied.add("storage.objects.delete")
    objects.publish(result, holds=always)
    with pytest.raises(BackendError, match="Permission"):
        objects.publish(result, holds=always)
    storage.permissions.denied.clear()
    storage.forget()

    generation = objects.publish(result, holds=always)

    assert whole(objects, tmp_path) == (generation, {"x": b"1", "y": b"2", "stdout.txt": b"out\n"})
    assert written() == ["my/prefix/j/1/result.json"]


def test_a_file_that_grew_since_an_earlier_try_is_sent_again(objects, tmp_path) -> None:
    result = a_result(objects, tmp_path / "work", "a", files={"x": b"1"})
    objects.publish(result, holds=always)
    result.outputs[0].path.write_bytes(b"2")

    objects.publish(result, holds=always)

    assert whole(objects, tmp_path)[1]["x"] == b"2"


def test_a_large_file_goes_in_pieces_and_comes_back(objects, storage, tmp_path) -> None:
    content = bytes(range(256)) * (20 << 12)

    objects.publish(a_result(objects, tmp_path / "work", "a", files={"large": content}), holds=always)

    assert storage.count("storage.objects.insert", part="chunk") == 2
    assert whole(objects, tmp_path)[1]["large"] == content


def test_result_json_says_where_each_file_is_and_what_it_holds(objects, publish, bucket) -> None:
    from google.cloud.storage import Client

    publish(objects, "a", {"deep/x": b"1"})

    blob = Client(project="sparkles-test").bucket(bucket).get_blob("my/prefix/j/1/deep/x")
    document = objects.read_result("j", 1)[1]
    assert document["files"] == [
        {
            "name": "deep/x",
            "size": 1,
            "generation": str(blob.generation),
            "crc32c": blob.crc32c,
            "sha256": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
        }
    ]
    assert (document["log"]["name"], document["log"]["size"]) == ("stdout.txt", 1)


def test_programs_stay_programs_and_plots_can_be_looked_at(objects, bucket, tmp_path) -> None:
    from google.cloud.storage import Client

    result = a_result(objects, tmp_path / "work", "a", files={"run": b"#!/bin/sh\n", "plot.png": b"png"})
    files = [{**file, "executable": file["name"] == "run"} for file in result.document["files"]]
    objects.publish(replace(result, document={**result.document, "files": files}), holds=always)

    fetch(objects, tmp_path / "there")

    assert (tmp_path / "there" / "run").stat().st_mode & 0o111
    assert not (tmp_path / "there" / "plot.png").stat().st_mode & 0o111
    assert Client(project="sparkles-test").bucket(bucket).get_blob("my/prefix/j/1/plot.png").content_type == "image/png"


# Names


ODD = ["line\nbreak", "a/b\r", "tab\t", "x" * 255 + "/" + "y" * 255 + "/" + "z" * 255 + "/" + "ü" * 127 + "/end"]


def test_names_that_a_bucket_cannot_have_come_back_as_they_were(objects, publish, names, tmp_path) -> None:
    files = {name: name.encode() for name in ODD}

    publish(objects, "a", files)

    assert whole(objects, tmp_path)[1] == {**files, "stdout.txt": b"a"}
    assert all(len(name.encode()) <= 1024 and name.isprintable() for name in names())
    assert {file["object"] for file in objects.read_result("j", 1)[1]["files"]} == {
        name.removeprefix("my/prefix/j/1/") for name in names("my/prefix/j/1/") if "~" in name
    }
    assert objects.read_output("j", 1, ODD[0]) == ODD[0].encode()


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "..", "nul\0"])
def test_a_result_that_would_leave_its_folder_is_not_fetched(objects, publish, bucket, tmp_path, name) -> None:
    import json

    from google.cloud.storage import Client

    backend = a_backend(tmp_path / "home", objects=objects)
    publish(objects, "a", {"x": b"1"})
    blob = Client(project="sparkles-test").bucket(bucket).blob("my/prefix/j/1/result.json")
    document = json.loads(blob.download_as_bytes())
    document["files"][0] |= {"name": name, "object": "x"}
    blob.upload_from_string(json.dumps(document))

    with pytest.raises(BackendError, match=r"j\.1: a file of a result cannot be called"):
        fetching.fetch(fetching.folders("j", None, backend), fetching.Destination(tmp_path / "there"), backend)

    assert not (tmp_path / "x").exists()
