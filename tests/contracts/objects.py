"""The contract of every ObjectStore. An adapter's test inherits it and gives `objects`."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from contracts.nouns import digest_of

from sparkles.errors import BackendError
from sparkles.ports.objects import Fetched, Moved, ObjectStore, Output, Result


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class ObjectStoreContract:
    """What every object store must do. `objects` is a fixture of the adapter's test."""

    @pytest.fixture
    def put_blob(self, objects: ObjectStore, tmp_path: Path) -> Any:
        """Store content; return its digest."""

        def put(content: bytes) -> str:
            source = tmp_path / f"source-{sha256(content)[:8]}"
            source.write_bytes(content)
            store_blob(objects, source, sha256(content))
            return sha256(content)

        return put

    @pytest.fixture
    def publish(self, objects: ObjectStore, tmp_path: Path) -> Any:
        """Publish a result as a worker does; return its result generation."""

        def publish(claim: str, *, index: int = 1, log: bytes = b"", files: dict[str, bytes] | None = None) -> str:
            result = a_result(objects, tmp_path / f"work-{claim}", claim, index=index, log=log, files=files or {})
            return objects.publish(result, holds=always)

        return publish

    @pytest.fixture
    def commit(self, objects: ObjectStore, publish: Any) -> Any:
        """Publish a result and promote it; return its result generation."""

        def commit(claim: str, *, index: int = 1, **parts: Any) -> str:
            generation = publish(claim, index=index, **parts)
            objects.promote("j", index, generation)
            return generation

        return commit

    # Files of results

    def test_a_file_of_a_result_is_read_hashed_and_kept_as_a_blob(self, objects, commit):
        commit("a", files={"plots/a.svg": b"content", "other": b"x"})

        digest = objects.output_sha256("j", 1, "plots/a.svg")
        before = objects.missing([digest])
        objects.keep_output("j", 1, "plots/a.svg", digest)

        assert digest == sha256(b"content")
        assert objects.read_output("j", 1, "plots/a.svg") == b"content"
        assert before == {digest}
        assert objects.read_blob(digest) == b"content"

    def test_a_file_that_a_result_does_not_have_is_said_to_be_gone(self, objects, commit):
        commit("a", files={"there": b"x"})

        for read in (objects.read_output, objects.output_sha256):
            with pytest.raises(BackendError, match=r"the result of j\.1 has no file 'gone' any more"):
                read("j", 1, "gone")

    def test_a_file_of_a_result_that_was_replaced_is_not_kept_under_its_old_hash(self, objects, commit):
        commit("a", files={"out": b"first"})
        digest = objects.output_sha256("j", 1, "out")
        commit("b", files={"out": b"second"})

        with pytest.raises(BackendError):
            objects.keep_output("j", 1, "out", digest)

        assert objects.missing([digest]) == {digest}

    def test_a_manifest_that_is_not_there_is_none(self, objects):
        objects.write_manifest("j", 1, "text")

        assert objects.read_manifest("j", 1) == "text"
        assert objects.read_manifest("j", 2) is None
        assert objects.read_manifest("other", 1) is None

    # Blobs

    def test_a_link_to_another_output_is_published_as_a_copy_of_it(self, objects, tmp_path):
        result = a_result(objects, tmp_path / "work", "a", files={"model_1": b"x"})
        link = tmp_path / "work" / "model_latest"
        link.symlink_to("model_1")
        result = replace(result, outputs=[*result.outputs, Output(name="model_latest", path=link, size=1)])

        objects.promote("j", 1, objects.publish(result, holds=always))
        fetch(objects, tmp_path / "there")

        assert (tmp_path / "there" / "model_1").read_bytes() == b"x"
        assert (tmp_path / "there" / "model_latest").read_bytes() == b"x"
        assert not (tmp_path / "there" / "model_latest").is_symlink()

    def test_a_blob_is_missing_until_it_is_put(self, objects, put_blob):
        digests = [sha256(b"one"), sha256(b"two")]

        before = objects.missing(digests)
        put_blob(b"one")

        assert before == set(digests)
        assert objects.missing(digests) == {sha256(b"two")}
        assert objects.missing([]) == set()

    def test_a_blob_is_read_back_as_it_was(self, objects, put_blob):
        content = bytes(range(256)) * 20_000

        digest = put_blob(content)

        assert objects.read_blob(digest) == content

    def test_a_blob_may_be_empty(self, objects, put_blob, tmp_path):
        digest = put_blob(b"")
        objects.stage(digest, tmp_path / "staged", executable=False)

        assert objects.read_blob(digest) == b""
        assert (tmp_path / "staged").read_bytes() == b""

    def test_a_blob_that_is_there_is_not_read_again(self, objects, put_blob, tmp_path):
        digest = put_blob(b"content")

        store_blob(objects, tmp_path / "source-that-is-gone", digest)

        assert objects.read_blob(digest) == b"content"

    def test_content_with_another_hash_is_refused_and_nothing_is_left_behind(self, objects, tmp_path):
        source = tmp_path / "source"
        source.write_bytes(b"changed meanwhile")
        digest = sha256(b"as it was hashed")

        with pytest.raises(BackendError, match="changed while it was read"):
            store_blob(objects, source, digest)

        assert objects.missing([digest, sha256(b"changed meanwhile")]) == {digest, sha256(b"changed meanwhile")}

    def test_many_blobs_are_stored_and_counted(self, objects, tmp_path):
        contents = [b"", *(bytes([number]) * (number * 50_000) for number in range(1, 6))]
        files = []
        for number, content in enumerate(contents):
            (tmp_path / str(number)).write_bytes(content)
            files.append((tmp_path / str(number), sha256(content)))

        moved = total(objects.put_blobs(files))

        assert moved == Moved(size=sum(map(len, contents)), files=len(files))
        assert [objects.read_blob(digest) for _, digest in files] == contents
        assert total(objects.put_blobs([])) == Moved(size=0, files=0)

    def test_a_blob_that_many_put_at_once_is_whole_for_everyone(self, objects, tmp_path):
        content = b"some content" * 10_000
        source = tmp_path / "source"
        source.write_bytes(content)
        start = threading.Barrier(8)

        def put(_: int) -> bytes:
            start.wait()
            store_blob(objects, source, sha256(content))
            return objects.read_blob(sha256(content))

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(put, range(8))) == {content}

    def test_a_blob_that_is_not_there_cannot_be_read_or_staged(self, objects, tmp_path):
        digest = sha256(b"never put")

        with pytest.raises(BackendError, match=digest):
            objects.read_blob(digest)
        with pytest.raises(BackendError, match=digest):
            objects.stage(digest, tmp_path / "staged", executable=False)

        assert not (tmp_path / "staged").exists()

    # Staging

    def test_a_staged_file_is_a_private_copy_that_may_be_changed(self, objects, put_blob, tmp_path):
        digest = put_blob(b"content")
        first, second = tmp_path / "first", tmp_path / "second"
        objects.stage(digest, first, executable=False)
        objects.stage(digest, second, executable=False)

        with first.open("ab") as file:
            file.write(b" and more")

        assert first.read_bytes() == b"content and more"
        assert second.read_bytes() == objects.read_blob(digest) == b"content"

    @pytest.mark.parametrize("executable", [True, False])
    def test_a_staged_file_is_executable_if_it_is_to_be(self, objects, put_blob, tmp_path, executable):
        digest = put_blob(b"#!/bin/sh\n")

        objects.stage(digest, tmp_path / "staged", executable=executable)

        mode = (tmp_path / "staged").stat().st_mode
        assert bool(mode & 0o100) is executable
        assert mode & 0o600 == 0o600

    # Manifests

    def test_each_generation_of_a_job_keeps_its_manifest(self, objects):
        objects.write_manifest("j", 1, "one: ä🙂\n")
        objects.write_manifest("j", 2, "two: 2\n")
        objects.write_manifest("k", 1, "other: 1\n")

        assert objects.read_manifest("j", 1) == "one: ä🙂\n"
        assert objects.read_manifest("j", 2) == "two: 2\n"

    def test_a_manifest_may_be_written_again_by_an_apply_that_is_resumed(self, objects):
        objects.write_manifest("j", 1, "a longer text\n")
        objects.write_manifest("j", 1, "short\n")

        assert objects.read_manifest("j", 1) == "short\n"

    def test_all_manifests_can_be_read(self, objects):
        for job, generation in (("j", 1), ("j", 2), ("k", 10)):
            objects.write_manifest(job, generation, f"{job} {generation}: ä\n")
        append(objects.open_log("j", 1, "claim"), b"a log")

        assert sorted(objects.manifests()) == ["j 1: ä\n", "j 2: ä\n", "k 10: ä\n"]

    # Logs

    def test_a_log_is_read_while_it_grows(self, objects):
        log = objects.open_log("j", 1, "claim")
        before = objects.read_log("j", 1, "claim", start=0)

        append(log, b"one\n")
        first = come(objects, "claim", b"one\n")
        append(log, b"\xff\xc3")
        second = come(objects, "claim", b"\xff\xc3", start=len(first))
        third = objects.read_log("j", 1, "claim", start=len(first) + len(second))

        assert (before, first, second, third) == (b"", b"one\n", b"\xff\xc3", b"")

    def test_a_log_that_was_never_opened_is_empty(self, objects):
        assert objects.read_log("j", 1, "claim", start=0) == b""
        assert objects.read_log("j", 1, "claim", start=10) == b""

    def test_a_log_is_read_at_every_step_of_its_result(self, objects, publish):
        generation = publish("a", log=b"some output\n")
        published = objects.read_log("j", 1, "a", start=0)
        objects.promote("j", 1, generation)
        promoted = objects.read_log("j", 1, "a", start=0)

        assert published == promoted == b"some output\n"
        assert objects.read_log("j", 1, "a", start=5) == b"output\n"

    def test_the_end_of_a_log_is_read_at_every_step(self, objects, commit):
        append(objects.open_log("j", 1, "a"), b"running\n")
        commit("b", log=b"ended\n")

        assert come(objects, "a", b"ing\n", start=-4) == b"ing\n"
        assert objects.read_log("j", 1, "b", start=-3, limit=2) == b"ed"
        assert objects.read_log("j", 1, "b", start=-100) == b"ended\n"
        assert objects.read_log("j", 1, "c", start=-100) == b""

    def test_a_log_that_is_known_to_be_whole_is_read_to_its_end(self, objects, commit):
        generation = commit("a", log=b"some output\n")

        for claim in ("a", generation):
            assert objects.read_log("j", 1, claim, start=5, whole=True) == b"output\n"
            assert objects.read_log("j", 1, claim, start=-4, limit=3, whole=True) == b"put"
            assert objects.read_log("j", 1, claim, start=12, whole=True) == b""

    def test_the_size_of_a_log_is_known_while_it_grows_and_afterwards(self, objects, commit):
        append(objects.open_log("j", 1, "a"), b"running\n")
        commit("b", log=b"ended\n")

        come(objects, "a", b"running\n")

        assert objects.log_size("j", 1, "a") == 8
        assert objects.log_size("j", 1, "b") == 6
        assert objects.log_size("j", 1, "c") == objects.log_size("j", 9, "a") == 0

    def test_the_logs_of_attempts_that_went_before_stay_until_the_records_of_the_job_go(self, objects, publish, commit):
        publish("failed", log=b"first\n", files={"x": b"1"})
        objects.discard("j", 1, "failed")
        append(objects.open_log("j", 1, "preempted"), b"second\n")
        objects.discard("j", 1, "preempted")
        objects.complete_logs(patience=10)
        commit("done", log=b"third\n")

        before = [objects.read_log("j", 1, claim, start=0) for claim in ("failed", "preempted", "done")]
        sizes = [objects.log_size("j", 1, claim) for claim in ("failed", "preempted", "done")]
        objects.remove_records("j")

        assert before == [b"first\n", b"second\n", b"third\n"]
        assert sizes == [6, 7, 6]
        assert [objects.read_log("j", 1, claim, start=0) for claim in ("failed", "preempted")] == [b"", b""]

    def test_attempts_have_logs_of_their_own(self, objects, commit):
        commit("a", log=b"first\n")
        append(objects.open_log("j", 1, "b"), b"second\n")
        append(objects.open_log("j", 2, "c"), b"third\n")

        assert come(objects, "a", b"first\n") == b"first\n"
        assert come(objects, "b", b"second\n") == b"second\n"
        assert come(objects, "c", b"third\n", index=2) == b"third\n"

    def test_the_log_of_an_attempt_whose_result_was_replaced_is_not_another_ones(self, objects, commit):
        commit("a", log=b"old\n")
        commit("b", log=b"new\n")

        assert objects.read_log("j", 1, "a", start=0) in (b"", b"old\n")
        assert objects.read_log("j", 1, "b", start=0) == b"new\n"

    # Results

    def test_a_result_is_the_tasks_once_it_is_promoted(self, objects, commit, tmp_path):
        generation = commit("a", log=b"out\n", files={"data.txt": b"1", "deep/er/x": b"22"})

        assert list(objects.results("j")) == [1]
        document = a_document("a", files={"data.txt": b"1", "deep/er/x": b"22"})
        assert read(objects) == (generation, document)
        assert fetched(objects, tmp_path)[1] == {"data.txt": b"1", "deep/er/x": b"22", "stdout.txt": b"out\n"}

    def test_publishing_again_after_a_try_that_failed_completes_the_result(self, objects, tmp_path):
        result = a_result(objects, tmp_path, "a", files={"x": b"1", "y": b"2"})
        broken = Output(name="z", path=tmp_path / "not there", size=0)
        with pytest.raises(OSError, match="not there"):
            objects.publish(replace_outputs(result, [*result.outputs, broken]), holds=always)

        objects.promote("j", 1, objects.publish(result, holds=always))

        assert fetched(objects, tmp_path / "fetched")[1] == {"x": b"1", "y": b"2", "stdout.txt": b""}

    def test_promoting_twice_is_as_promoting_once(self, objects, commit, tmp_path):
        generation = commit("a", log=b"out\n", files={"x": b"1"})

        objects.promote("j", 1, generation)

        assert read(objects) == (generation, a_document("a", files={"x": b"1"}))
        assert fetched(objects, tmp_path)[1] == {"x": b"1", "stdout.txt": b"out\n"}

    def test_a_result_that_several_promote_at_once_is_whole(self, objects, publish, tmp_path):
        generation = publish("a", log=b"out\n", files={"x": b"1"})
        start = threading.Barrier(4)

        def promote(_: int) -> None:
            start.wait()
            objects.promote("j", 1, generation)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(promote, range(4)))

        assert fetched(objects, tmp_path)[1] == {"x": b"1", "stdout.txt": b"out\n"}

    def test_an_empty_folder_that_comes_with_a_result_leaves_no_trace_in_it(self, objects, tmp_path):
        (tmp_path / "spare").mkdir()
        result = a_result(objects, tmp_path, "a", log=b"out\n", files={})

        generation = [objects.publish(replace(result, spare=tmp_path / "spare"), holds=always) for _ in range(2)][-1]
        objects.promote("j", 1, generation)

        assert read(objects) == (generation, a_document("a"))
        assert fetched(objects, tmp_path)[1] == {"stdout.txt": b"out\n"}

    def test_a_discarded_result_cannot_be_promoted_and_leaves_its_log(self, objects, publish):
        lost = publish("b", log=b"what happened\n", files={"x": b"1"})

        for _ in range(2):
            objects.discard("j", 1, "b")
        wait_until(lambda: not objects.results("j"))
        objects.promote("j", 1, lost)

        assert objects.read_result("j", 1) is None
        assert list(objects.unpromoted("j")) == []
        assert objects.read_log("j", 1, "b", start=0) == b"what happened\n"

    def test_discarding_what_was_never_published_changes_nothing(self, objects, commit):
        generation = commit("a")

        for job, index in (("j", 1), ("j", 2), ("none", 1)):
            objects.discard(job, index, "b")

        assert read(objects) == (generation, a_document("a"))

    def test_results_are_the_numbers_of_the_tasks_that_have_one(self, objects, commit):
        objects.write_manifest("j", 3, "")
        commit("a", index=10)
        commit("b", index=2)

        assert list(objects.results("j")) == [2, 10]
        assert list(objects.results("none")) == []

    def test_jobs_with_results_are_found_by_what_their_names_begin_with(self, objects, tmp_path):
        before = list(objects.jobs_with_results("w-"))
        for job in ("w", "w-a", "w-b", "other"):
            result = replace(a_result(objects, tmp_path / job, "a", files={}), job=job)
            objects.promote(job, 1, objects.publish(result, holds=always))

        assert before == []
        assert sorted(objects.jobs_with_results("w-")) == ["w-a", "w-b"]

    def test_fetch_makes_the_folder_and_says_how_much_it_copied(self, objects, commit, tmp_path):
        commit("a", log=b"out\n", files={"deep/x": b"12345"})

        moves: list[Moved] = []
        copied = fetch(objects, tmp_path / "new" / "folder", moved=moves.append)

        files = [path for path in (tmp_path / "new" / "folder").rglob("*") if path.is_file()]
        assert {path.name for path in files} == {"stdout.txt", "result.json", "x"}
        assert copied == Fetched(files=3, size=sum(path.stat().st_size for path in files))
        assert total(moves) == Moved(size=copied.size, files=3)

    def test_fetch_again_copies_only_what_is_missing_or_differs(self, objects, commit, tmp_path):
        commit("a", log=b"out\n", files={"kept": b"123", "missing": b"1", "shorter": b"1234", "a_link": b"12"})
        fetch(objects, tmp_path / "there")
        (tmp_path / "there" / "missing").unlink()
        (tmp_path / "there" / "shorter").write_bytes(b"12")
        (tmp_path / "there" / "a_link").rename(tmp_path / "elsewhere")
        (tmp_path / "there" / "a_link").symlink_to(tmp_path / "elsewhere")

        again = fetch(objects, tmp_path / "there")

        assert again == Fetched(files=3, size=7, there=3)
        assert (tmp_path / "there" / "shorter").read_bytes() == b"1234"
        assert not (tmp_path / "there" / "a_link").is_symlink()
        assert fetch(objects, tmp_path / "there") == Fetched(there=6)

    def test_fetch_brings_only_what_has_a_place(self, objects, commit, tmp_path):
        commit("a", files={"x": b"1", "deep/y": b"22"})
        names: list[str] = []

        def place(name: str) -> Path | None:
            names.append(name)
            return tmp_path / "y" if name == "deep/y" else None

        copied = objects.fetch("j", 1, place, moved=lambda _: None)

        assert copied == Fetched(files=1, size=2)
        assert sorted(names) == ["deep/y", "result.json", "stdout.txt", "x"]
        assert (tmp_path / "y").read_bytes() == b"22"

    def test_fetch_brings_nothing_of_another_result_than_the_one_that_is_wanted(self, objects, commit, tmp_path):
        first = commit("a", files={"x": b"old"})
        second = commit("b", files={"x": b"new"})

        assert fetch(objects, tmp_path / "there", result_generation=first) is None
        assert fetch(objects, tmp_path / "there", index=2) is None
        assert not (tmp_path / "there").exists()
        assert fetch(objects, tmp_path / "there", result_generation=second) is not None

    def test_a_fetch_that_is_stopped_leaves_no_file_that_is_not_whole(self, objects, commit, tmp_path):
        commit("a", files={"large": b"x" * 3_000_000})

        def stop(moved: Moved) -> None:
            if moved.size:
                raise KeyError

        with pytest.raises(KeyError):
            fetch(objects, tmp_path / "there", moved=stop)

        left = {path.name for path in (tmp_path / "there").rglob("*") if path.is_file()}
        assert left <= {"stdout.txt"}, "which is empty, and whole"

    def test_fetch_again_brings_what_is_there_now(self, objects, commit, tmp_path):
        commit("a", files={"x": b"old"})
        fetched(objects, tmp_path)
        commit("b", files={"x": b"new"})

        assert fetched(objects, tmp_path)[1]["x"] == b"new"

    @pytest.mark.parametrize(
        "name",
        [
            pytest.param("ä🙂 with spaces", id="not ASCII"),
            pytest.param("名" * 85, id="as long as names get"),
            pytest.param("quote'\"$(x)\n", id="hostile"),
            pytest.param(".hidden/.file", id="hidden"),
        ],
    )
    def test_files_may_have_odd_names(self, objects, commit, tmp_path, name):
        commit("a", files={name: b"1"})

        assert fetched(objects, tmp_path)[1] == {name: b"1", "stdout.txt": b""}

    def test_results_are_removed_by_index_or_all_at_once(self, objects, commit):
        for index in (1, 2, 3):
            commit(f"claim-{index}", index=index)

        objects.remove_results("j", [1, 3, 99])
        some = list(objects.results("j"))
        objects.remove_results("j")
        objects.remove_results("j")

        assert some == [2]
        assert list(objects.results("j")) == []
        assert objects.read_result("j", 2) is None

    def test_removing_the_records_of_a_job_leaves_its_results(self, objects, commit, publish, put_blob):
        generation = commit("a", log=b"out\n")
        publish("b", index=2)
        digest = put_blob(b"content")
        objects.write_manifest("j", 1, "")
        objects.write_manifest("k", 1, "other\n")
        append(objects.open_log("j", 3, "c"), b"gone")
        come(objects, "c", b"gone", index=3)

        for _ in range(2):
            objects.remove_records("j")

        assert read(objects) == (generation, a_document("a"))
        assert list(objects.unpromoted("j")) == []
        assert objects.read_log("j", 3, "c", start=0) == b""
        assert objects.read_manifest("k", 1) == "other\n"
        assert objects.read_blob(digest) == b"content"

    def test_the_url_names_the_job(self, objects):
        assert objects.url("my-job").endswith("/my-job")


def store_blob(objects: ObjectStore, source: Path, digest: str) -> Moved:
    """Store a file's content under its sha256; return how much has moved."""
    return total(objects.put_blobs([(source, digest)]))


def total(moves: Iterable[Moved]) -> Moved:
    """Add up what has moved."""
    moves = list(moves)
    return Moved(size=sum(moved.size for moved in moves), files=sum(moved.files for moved in moves))


def always() -> bool:
    """Say that the lease holds."""
    return True


def a_document(claim: str, *, index: int = 1, files: Mapping[str, bytes] = MappingProxyType({})) -> dict[str, Any]:
    listed = [{"name": name, "size": len(content)} for name, content in files.items()]
    return {"claim": claim, "index": index, "odd": "ä🙂", "files": listed, "digest": digest_of(claim).hex()}


def read(objects: ObjectStore, *, index: int = 1) -> tuple[str, dict[str, Any]] | None:
    """Return what `read_result` does, without what a store has added."""
    found = objects.read_result("j", index)
    if found is None:
        return None
    document = {name: found[1][name] for name in a_document("")}
    files = [{name: file[name] for name in ("name", "size")} for file in document["files"]]
    return found[0], {**document, "files": files}


def a_result(
    objects: ObjectStore, folder: Path, claim: str, *, index: int = 1, log: bytes = b"", files: dict[str, bytes]
) -> Result:
    """Write what an attempt leaves; return it as its result."""
    path = objects.open_log("j", index, claim)
    append(path, log)
    outputs = []
    for name, content in files.items():
        output = folder / name
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(content)
        outputs.append(Output(name=name, path=output, size=len(content)))
    document = a_document(claim, index=index, files=files)
    return Result(job="j", index=index, claim=claim, log=path, outputs=outputs, document=document)


def replace_outputs(result: Result, outputs: Sequence[Output]) -> Result:
    return Result(
        job=result.job,
        index=result.index,
        claim=result.claim,
        log=result.log,
        outputs=outputs,
        document=result.document,
    )


def append(log: Path, content: bytes) -> None:
    with log.open("ab") as file:
        file.write(content)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what happens by itself, and soon."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def come(objects: ObjectStore, claim: str, expected: bytes, *, start: int = 0, index: int = 1) -> bytes:
    """Return what has come in of a log, once it is as long as what is expected."""
    wait_until(lambda: len(objects.read_log("j", index, claim, start=start)) >= len(expected))
    return objects.read_log("j", index, claim, start=start)


def fetch(
    objects: ObjectStore,
    folder: Path,
    *,
    index: int = 1,
    moved: Callable[[Moved], None] = lambda _: None,
    result_generation: str | None = None,
) -> Any:
    """Fetch a result to a folder."""
    return objects.fetch("j", index, lambda name: folder / name, moved=moved, result_generation=result_generation)


def fetched(objects: ObjectStore, folder: Path, *, index: int = 1) -> tuple[bytes, dict[str, bytes]]:
    """Fetch a result; return its result.json, and the content of all other files."""
    fetch(objects, folder / "fetched", index=index)
    files = {
        str(path.relative_to(folder / "fetched")): path.read_bytes()
        for path in (folder / "fetched").rglob("*")
        if path.is_file()
    }
    return files.pop("result.json"), files
