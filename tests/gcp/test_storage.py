"""The simulator under Google's unmodified client: objects, their generations, who is first, what is read."""

from __future__ import annotations

import gzip
import hashlib
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

import google_crc32c
from google.api_core import exceptions

if TYPE_CHECKING:
    from gcp.storage import StorageSimulator
    from google.cloud.storage import Bucket, Client

ODD_NAMES = ["naïve ☃ 猫", "a b", "x?y=z&w", "x#y", "100%", "%2F", "x/acl", "x/o/y", "pre/", "./rel/../p", "a//b", "+",
             "'\"\\", "\u00e9", "e\u0301", "upload_id=1", "\t", "\U0001f600"]  # fmt: skip


def put(remote: Bucket, name: str, content: bytes = b"x", **options: Any) -> int:
    """Upload; return the generation."""
    blob = remote.blob(name)
    blob.upload_from_string(content, **options)
    generation: int = blob.generation
    return generation


class TestPreconditions:
    def test_only_the_first_creates(self, remote: Bucket) -> None:
        put(remote, "a", b"first", if_generation_match=0)

        with pytest.raises(exceptions.PreconditionFailed):
            put(remote, "a", b"second", if_generation_match=0)

        assert remote.blob("a").download_as_bytes() == b"first"

    @pytest.mark.parametrize("chunk_size", [None, 256 * 1024], ids=["multipart", "resumable"])
    def test_of_many_who_create_at_once_one_does(self, remote: Bucket, chunk_size: int | None) -> None:
        def create(number: int) -> bytes | None:
            content = str(number).encode() * 1000
            try:
                remote.blob("a", chunk_size=chunk_size).upload_from_string(content, if_generation_match=0)
            except exceptions.PreconditionFailed:
                return None
            return content

        with ThreadPoolExecutor(16) as threads:
            winners = [won for won in threads.map(create, range(16)) if won is not None]

        assert [remote.blob("a").download_as_bytes()] == winners

    def test_of_many_who_replace_one_generation_one_does(self, remote: Bucket) -> None:
        generation = put(remote, "a")

        def replace(number: int) -> bool:
            try:
                put(remote, "a", str(number).encode(), if_generation_match=generation)
            except exceptions.PreconditionFailed:
                return False
            return True

        with ThreadPoolExecutor(16) as threads:
            assert sum(threads.map(replace, range(16))) == 1

    def test_a_generation_that_is_not_live_is_neither_replaced_nor_removed(self, remote: Bucket) -> None:
        old = put(remote, "a", b"old")
        put(remote, "a", b"new")

        with pytest.raises(exceptions.PreconditionFailed):
            put(remote, "a", b"late", if_generation_match=old)
        with pytest.raises(exceptions.PreconditionFailed):
            remote.blob("a").delete(if_generation_match=old)
        with pytest.raises(exceptions.NotFound):
            remote.blob("a", generation=old).delete()

        assert remote.blob("a").download_as_bytes() == b"new"

    def test_who_has_the_live_generation_is_not_sent_it_again(self, remote: Bucket) -> None:
        generation = put(remote, "a")

        with pytest.raises(exceptions.NotModified):
            remote.blob("a").reload(if_generation_not_match=generation)
        with pytest.raises(exceptions.NotModified):
            remote.blob("a").download_as_bytes(if_generation_not_match=generation)

    def test_a_change_of_what_is_said_can_be_guarded(self, remote: Bucket) -> None:
        put(remote, "a")
        blob = remote.get_blob("a")
        blob.metadata = {"by": "one"}
        blob.patch(if_metageneration_match=1)

        with pytest.raises(exceptions.PreconditionFailed):
            blob.patch(if_metageneration_match=1)
        with pytest.raises(exceptions.PreconditionFailed):
            blob.patch(if_metageneration_not_match=2)

        assert remote.get_blob("a").metageneration == 2

    @pytest.mark.parametrize("name", ["if_generation_match", "if_generation_not_match", "if_metageneration_match"])
    def test_what_is_not_there_meets_no_precondition(self, remote: Bucket, name: str) -> None:
        with pytest.raises(exceptions.PreconditionFailed):
            put(remote, "a", **{name: 1 if name != "if_generation_not_match" else 0})


class TestGenerations:
    def test_generations_grow(self, remote: Bucket) -> None:
        generations = [put(remote, name) for name in ("a", "a", "b", "a")]

        assert generations == sorted(set(generations))

    def test_an_old_generation_is_gone(self, remote: Bucket) -> None:
        old = put(remote, "a", b"old")
        new = put(remote, "a", b"new")

        assert remote.get_blob("a", generation=old) is None
        with pytest.raises(exceptions.NotFound):
            remote.blob("a", generation=old).download_as_bytes()
        assert remote.blob("a", generation=new).download_as_bytes() == b"new"

    def test_a_removed_object_comes_back_as_another_generation(self, remote: Bucket) -> None:
        first = put(remote, "a")
        remote.blob("a", generation=first).delete()

        assert remote.get_blob("a") is None
        assert put(remote, "a", if_generation_match=0) > first

    def test_who_reads_while_it_is_replaced_reads_one_of_both(self, remote: Bucket) -> None:
        contents = {bytes([each]) * 300_000 for each in range(2)}

        def write(number: int) -> None:
            put(remote, "a", bytes([number % 2]) * 300_000)

        write(0)
        with ThreadPoolExecutor(8) as threads:
            written = [threads.submit(write, number) for number in range(20)]
            read = list(threads.map(lambda _: remote.blob("a").download_as_bytes(), range(40)))
            for each in written:
                each.result()

        assert set(read) <= contents


class TestReading:
    CONTENT = bytes(range(256)) * 8

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (10, 19, CONTENT[10:20]),
            (2040, None, CONTENT[2040:]),
            (0, 0, CONTENT[:1]),
            (-5, None, CONTENT[-5:]),
            (2000, 9999, CONTENT[2000:]),
        ],
    )
    def test_ranges(self, remote: Bucket, start: int, end: int | None, expected: bytes) -> None:
        put(remote, "a", self.CONTENT)

        assert remote.blob("a").download_as_bytes(start=start, end=end) == expected

    def test_a_range_past_the_end_is_refused(self, remote: Bucket) -> None:
        put(remote, "a", self.CONTENT)

        with pytest.raises(exceptions.RequestRangeNotSatisfiable):
            remote.blob("a").download_as_bytes(start=len(self.CONTENT))

    def test_an_empty_object_is_empty(self, remote: Bucket) -> None:
        put(remote, "a", b"")

        assert remote.blob("a").download_as_bytes() == b""

    def test_reading_in_pieces(self, remote: Bucket) -> None:
        put(remote, "a", self.CONTENT * 400)

        with remote.blob("a", chunk_size=256 * 1024).open("rb") as file:
            assert file.read() == self.CONTENT * 400

    def test_what_was_packed_is_unpacked_on_its_way(self, remote: Bucket, ask: Callable[..., Any]) -> None:
        blob = remote.blob("a")
        blob.content_encoding = "gzip"
        blob.upload_from_string(gzip.compress(b"text"), content_type="text/plain")

        plain = ask("GET", f"/download/storage/v1/b/{remote.name}/o/a?alt=media")

        assert remote.blob("a").download_as_bytes() == b"text"
        assert remote.blob("a").download_as_bytes(raw_download=True) == gzip.compress(b"text")
        assert (plain.content, plain.headers.get("content-encoding")) == (b"text", None)

    def test_sums_are_those_of_the_content(self, remote: Bucket) -> None:
        put(remote, "a", self.CONTENT)

        blob = remote.get_blob("a")

        assert blob.size == len(self.CONTENT)
        assert blob.md5_hash == b64encode(hashlib.md5(self.CONTENT).digest()).decode()
        assert blob.crc32c == b64encode(google_crc32c.Checksum(self.CONTENT).digest()).decode()

    def test_what_is_missing_is_said_as_google_says_it(self, remote: Bucket, ask: Callable[..., Any]) -> None:
        described = ask("GET", f"/storage/v1/b/{remote.name}/o/none")
        content = ask("GET", f"/storage/v1/b/{remote.name}/o/none?alt=media")
        nowhere = ask("GET", "/storage/v1/b/nowhere/o/none")

        assert described.json["error"]["errors"][0]["reason"] == "notFound"
        assert (content.status, content.content.decode()) == (404, f"No such object: {remote.name}/none")
        assert nowhere.json["error"]["message"] == "The specified bucket does not exist."


class TestNames:
    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_odd_names(self, remote: Bucket, name: str) -> None:
        put(remote, name, name.encode())

        assert [blob.name for blob in remote.list_blobs()] == [name]
        assert remote.blob(name).download_as_bytes() == name.encode()
        remote.blob(name).delete()
        assert list(remote.list_blobs()) == []

    @pytest.mark.parametrize("name", [".", "..", "a\nb", "a\rb", "x" * 1025, "é" * 513])
    def test_names_that_google_refuses(self, remote: Bucket, name: str) -> None:
        with pytest.raises(exceptions.BadRequest):
            put(remote, name)

    def test_the_longest_name(self, remote: Bucket) -> None:
        put(remote, "é" * 512)


class TestDescription:
    def test_what_is_said_of_an_object_is_kept(self, remote: Bucket) -> None:
        blob = remote.blob("a")
        blob.metadata, blob.cache_control = {"k": "v", "naïve": "☃"}, "no-store"
        blob.upload_from_string(b"x", content_type="text/x-odd")

        found = remote.get_blob("a")

        assert (found.metadata, found.cache_control, found.content_type) == (
            {"k": "v", "naïve": "☃"}, "no-store", "text/x-odd",
        )  # fmt: skip

    def test_null_removes(self, remote: Bucket) -> None:
        blob = remote.blob("a")
        blob.metadata = {"k": "v", "kept": "1"}
        blob.upload_from_string(b"x")

        blob.metadata = {"k": None}
        blob.patch()

        assert remote.get_blob("a").metadata == {"kept": "1"}

    def test_an_update_replaces_all(self, remote: Bucket) -> None:
        blob = remote.blob("a")
        blob.metadata = {"k": "v"}
        blob.upload_from_string(b"x")

        blob.metadata = {"only": "this"}
        blob.update()

        assert remote.get_blob("a").metadata == {"only": "this"}

    def test_a_client_gets_no_more_fields_than_it_asked_for(self, client: Client, remote: Bucket) -> None:
        put(remote, "a")

        (found,) = client.list_blobs(remote, fields="items(name),nextPageToken")

        assert (found.name, found.size) == ("a", None)


class TestBuckets:
    def test_a_bucket_comes_and_goes(self, client: Client) -> None:
        client.create_bucket("new-bucket", location="us-central1")

        assert client.get_bucket("new-bucket").location == "US-CENTRAL1"
        assert "new-bucket" in [each.name for each in client.list_buckets()]
        with pytest.raises(exceptions.Conflict):
            client.create_bucket("new-bucket")
        client.bucket("new-bucket").delete()
        assert client.lookup_bucket("new-bucket") is None

    def test_a_bucket_that_is_not_empty_stays(self, remote: Bucket) -> None:
        put(remote, "a")

        with pytest.raises(exceptions.Conflict):
            remote.delete()

    def test_labels(self, client: Client, remote: Bucket) -> None:
        found = client.get_bucket(remote)
        found.labels = {"by": "sparkles"}
        found.patch()

        assert client.get_bucket(remote).labels == {"by": "sparkles"}

    def test_a_bucket_that_is_missing(self, client: Client) -> None:
        nowhere = client.bucket("nowhere")

        with pytest.raises(exceptions.NotFound, match="The specified bucket does not exist"):
            put(nowhere, "a")
        with pytest.raises(exceptions.NotFound):
            list(nowhere.list_blobs())

    def test_who_may_do_what_is_asked_for(self, storage: StorageSimulator, remote: Bucket) -> None:
        asked = ["storage.objects.create", "storage.objects.list"]
        storage.permissions.denied.add("storage.objects.list")

        assert remote.test_iam_permissions(asked) == ["storage.objects.create"]
        policy = remote.get_iam_policy(requested_policy_version=3)
        policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"user:a@example.com"}})
        remote.set_iam_policy(policy)
        assert len(remote.get_iam_policy().bindings) == 1
