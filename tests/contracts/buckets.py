"""The contract of every Buckets. An adapter's test inherits it and gives `buckets`, `bucket`, `put` and `remove`."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from sparkles.errors import BackendError
from sparkles.ports.buckets import BucketFile, Buckets

#: More names than are asked for one by one.
MANY = 250


class BucketsContract:
    """What every Buckets must do. `put` writes `bucket`'s object of a name and returns its generation."""

    # Finding

    def test_an_object_is_found_by_its_name(self, buckets, bucket, put):
        generation = put("dir/model.rds", b"content")

        found = find(buckets, bucket, "dir/model.rds")

        assert found == {"dir/model.rds": ["dir/model.rds"]}
        (file,) = buckets.find([f"gs://{bucket}/dir/model.rds"])[f"gs://{bucket}/dir/model.rds"]
        assert (file.generation, file.size) == (generation, 7)

    def test_what_is_no_object_is_a_folder(self, buckets, bucket, put):
        for name in ("dir/b.txt", "dir/a.txt", "dir/sub/c.txt", "directory.txt", "dir-2/d.txt", "e.txt"):
            put(name, b"x")

        found = find(buckets, bucket, "dir", "dir/", "dir/sub")

        below = ["dir/a.txt", "dir/b.txt", "dir/sub/c.txt"]
        assert found == {"dir": below, "dir/": below, "dir/sub": ["dir/sub/c.txt"]}

    def test_an_object_comes_before_a_folder_of_its_name_unless_a_slash_says_so(self, buckets, bucket, put):
        put("dir", b"an object")
        put("dir/a.txt", b"x")

        assert find(buckets, bucket, "dir", "dir/") == {"dir": ["dir"], "dir/": ["dir/a.txt"]}

    def test_what_only_shows_a_folder_is_left_out(self, buckets, bucket, put):
        for name in ("dir/", "dir/sub/"):
            put(name, b"")
        put("dir/empty.txt", b"")

        assert find(buckets, bucket, "dir/", "dir/sub") == {"dir/": ["dir/empty.txt"], "dir/sub": []}

    @pytest.mark.parametrize("url", ["", "/"])
    def test_a_bucket_is_all_that_is_in_it(self, buckets, bucket, put, url):
        for name in ("b", "a/c"):
            put(name, b"x")

        assert names(buckets.find([f"gs://{bucket}{url}"])[f"gs://{bucket}{url}"], bucket) == ["a/c", "b"]

    def test_nothing_found_is_nothing_and_no_bucket_is_left_out(self, buckets, bucket, put):
        put("other", b"x")

        found = buckets.find([f"gs://{bucket}/none", "gs://there-is-none/x", "gs://there-is-none/"])

        assert found == {f"gs://{bucket}/none": found[f"gs://{bucket}/none"]}
        assert not found[f"gs://{bucket}/none"]

    def test_buckets_that_do_not_exist_are_absent(self, buckets, bucket, put):
        put("x", b"x")

        assert buckets.absent([bucket, "there-is-none"]) == {"there-is-none"}

    @pytest.mark.parametrize("name", ["a b", "ä/ö.txt", "a#1", "a%2Fb", "{x}", "a//b", "q?x=1", "a+b&c"])
    def test_a_name_may_hold_anything(self, buckets, bucket, put, name, tmp_path):
        generation = put(name, b"content")

        found = find(buckets, bucket, name)
        buckets.stage(f"gs://{bucket}/{name}#{generation}", tmp_path / "in", executable=False)

        assert found == {name: [name]}
        assert (tmp_path / "in").read_bytes() == b"content"

    def test_many_are_found_as_each_of_them_would_be(self, buckets, bucket, put):
        for number in range(MANY):
            put(f"s/{number}.bam", b"x")
        put("s/folder/a", b"x")
        put("s/folder/", b"")
        put("s/1.bam/below", b"x")
        wanted = [*(f"s/{number}.bam" for number in range(MANY)), "s/folder", "s/1.bam/", "s/none", "zzz", "s"]

        found = find(buckets, bucket, *wanted)

        assert {name: found[name] for name in wanted[:MANY]} == {name: [name] for name in wanted[:MANY]}
        assert found["s/folder"] == ["s/folder/a"]
        assert found["s/1.bam/"] == ["s/1.bam/below"]
        assert (found["s/none"], found["zzz"], len(found["s"])) == ([], [], MANY + 2)

    # Fixed content

    @pytest.mark.parametrize("more", [0, MANY], ids=["a few", "many"])
    def test_what_was_replaced_or_deleted_is_missing(self, buckets, bucket, put, remove, more):
        def content(name: str) -> str:
            return f"gs://{bucket}/{name}#{put(name, b'x')}"

        others = [content(f"a/{number}") for number in range(more)]
        kept, replaced, deleted = content("kept"), content("replaced"), content("deleted")
        put("replaced", b"y")
        remove("deleted")

        missing = buckets.missing([*others, kept, replaced, deleted, "gs://there-is-none/x#1"])

        assert missing == {replaced, deleted, "gs://there-is-none/x#1"}

    @pytest.mark.parametrize(("executable", "mode"), [(False, 0o644), (True, 0o755)])
    def test_a_copy_is_private_and_writable(self, buckets, bucket, put, tmp_path, executable, mode):
        content = f"gs://{bucket}/x#{put('x', b'content')}"
        first, second = tmp_path / "first", tmp_path / "second"

        buckets.stage(content, first, executable=executable)
        first.write_bytes(b"changed")
        buckets.stage(content, second, executable=executable)

        assert second.read_bytes() == b"content"
        assert stat.S_IMODE(second.stat().st_mode) == mode

    def test_a_generation_that_is_gone_is_never_taken_for_another(self, buckets, bucket, put, tmp_path):
        content = f"gs://{bucket}/x#{put('x', b'before')}"
        put("x", b"after")

        with pytest.raises(BackendError, match=rf"gs://{bucket}/x"):
            buckets.stage(content, tmp_path / "in", executable=False)

        assert list(tmp_path.iterdir()) == []

    def test_an_empty_object_is_an_empty_file(self, buckets, bucket, put, tmp_path: Path):
        content = f"gs://{bucket}/x#{put('x', b'')}"

        buckets.stage(content, tmp_path / "in", executable=False)

        assert (tmp_path / "in").read_bytes() == b""


def find(buckets: Buckets, bucket: str, *wanted: str) -> Mapping[str, list[str]]:
    """Return which objects of the bucket each name stands for."""
    found = buckets.find([f"gs://{bucket}/{name}" for name in wanted])
    return {name: names(found[f"gs://{bucket}/{name}"], bucket) for name in wanted}


def names(files: Sequence[BucketFile], bucket: str) -> list[str]:
    return [file.url.removeprefix(f"gs://{bucket}/") for file in files]
