"""Listing, copying, composing and batches under Google's unmodified client."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from gcp import listing
from google.api_core import exceptions

if TYPE_CHECKING:
    from gcp.storage import StorageSimulator
    from google.cloud.storage import Bucket, Client

NAMES = ["a", "a/", "a/1", "a/2", "a/b/1", "a/b/2", "a0", "b/1", "c", "é/1"]


def put(remote: Bucket, *names: str) -> None:
    for name in names:
        remote.blob(name).upload_from_string(name.encode())


class TestListing:
    """Small pages, so that each begins where the one before ended."""

    @pytest.fixture
    def listed(self, remote: Bucket) -> Callable[..., list[str]]:
        """Lists all pages: names of objects, then prefixes."""
        put(remote, *reversed(NAMES))

        def listed(**options: Any) -> list[str]:
            found = remote.list_blobs(page_size=2, **options)
            names = [blob.name for blob in found]
            return names + sorted(found.prefixes)

        return listed

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, NAMES),
            ({"prefix": "a/"}, ["a/", "a/1", "a/2", "a/b/1", "a/b/2"]),
            ({"prefix": "none"}, []),
            ({"delimiter": "/"}, ["a", "a0", "c", "a/", "b/", "é/"]),
            ({"delimiter": "/", "prefix": "a/"}, ["a/", "a/1", "a/2", "a/b/"]),
            ({"delimiter": "/", "prefix": "a"}, ["a", "a0", "a/"]),
            ({"delimiter": "/", "include_trailing_delimiter": True}, ["a", "a/", "a0", "c", "a/", "b/", "é/"]),
            ({"start_offset": "a/2", "end_offset": "b/1"}, ["a/2", "a/b/1", "a/b/2", "a0"]),
            ({"match_glob": "a/*"}, ["a/", "a/1", "a/2"]),
            ({"match_glob": "a/**"}, ["a/", "a/1", "a/2", "a/b/1", "a/b/2"]),
            ({"match_glob": "**/1"}, ["a/1", "a/b/1", "b/1", "é/1"]),
            ({"match_glob": "?"}, ["a", "c"]),
            ({"match_glob": "{a,b}/[!2]"}, ["a/1", "b/1"]),
        ],
        ids=str,
    )
    def test_what_is_listed(
        self, listed: Callable[..., list[str]], options: dict[str, Any], expected: list[str]
    ) -> None:
        assert listed(**options) == expected

    def test_pages(self, storage: StorageSimulator, remote: Bucket) -> None:
        put(remote, *(f"{number:02}" for number in range(26)))

        sizes = [page.num_items for page in remote.list_blobs(page_size=7).pages]

        assert sizes == [7, 7, 7, 5]
        assert storage.count("storage.objects.list") == 4

    def test_a_last_page_that_is_full_is_the_last(self, remote: Bucket) -> None:
        put(remote, "a", "b", "c", "d")

        assert [page.num_items for page in remote.list_blobs(page_size=2).pages] == [2, 2]

    def test_a_page_has_at_most_a_thousand(self) -> None:
        order = [f"{number:05}".encode() for number in range(1001)]

        first = listing.page(order, listing.Query.of({"maxResults": "5000"}))
        second = listing.page(order, listing.Query.of({"pageToken": first.next or ""}))

        assert (len(first.names), second.names, second.next) == (1000, ["01000"], None)

    def test_what_changes_meanwhile_moves_no_page(self, remote: Bucket) -> None:
        put(remote, "b", "d", "f")
        pages = remote.list_blobs(page_size=2).pages

        first = [blob.name for blob in next(pages)]
        put(remote, "a")
        remote.blob("d").delete()
        second = [blob.name for blob in next(pages)]

        assert (first, second) == (["b", "d"], ["f"])


class TestCopies:
    def test_compose(self, remote: Bucket) -> None:
        put(remote, "a", "b")
        whole = remote.blob("whole")

        whole.compose([remote.blob("a"), remote.blob("b"), remote.blob("a")], if_generation_match=0)
        twice = remote.blob("twice")
        twice.compose([whole, whole])

        assert whole.download_as_bytes() == b"aba"
        assert (whole.component_count, whole.md5_hash, twice.component_count) == (3, None, 6)

    def test_compose_takes_at_most_32(self, remote: Bucket) -> None:
        put(remote, "a")

        remote.blob("most").compose([remote.blob("a")] * 32)
        with pytest.raises(exceptions.BadRequest):
            remote.blob("more").compose([remote.blob("a")] * 33)

    def test_compose_of_what_is_missing_or_has_changed(self, remote: Bucket) -> None:
        put(remote, "a")
        old = remote.get_blob("a").generation
        put(remote, "a")

        with pytest.raises(exceptions.NotFound):
            remote.blob("whole").compose([remote.blob("none")])
        with pytest.raises(exceptions.PreconditionFailed):
            remote.blob("whole").compose([remote.blob("a")], if_source_generation_match=[old])

    def test_copies_are_objects_of_their_own(self, remote: Bucket) -> None:
        put(remote, "a")

        copy = remote.copy_blob(remote.blob("a"), remote, "b")
        remote.blob("a").delete()

        assert copy.download_as_bytes() == b"a"

    @pytest.mark.parametrize("kind", ["copy_blob", "rewrite"])
    def test_a_copy_is_of_the_generation_that_was_named(self, remote: Bucket, kind: str) -> None:
        put(remote, "a")
        old = remote.get_blob("a").generation
        put(remote, "a")
        new = remote.get_blob("a").generation

        def copy(generation: int) -> None:
            if kind == "copy_blob":
                remote.copy_blob(remote.blob("a"), remote, "b", source_generation=generation)
            else:
                remote.blob("b").rewrite(remote.blob("a", generation=generation))

        with pytest.raises(exceptions.NotFound):
            copy(old)
        copy(new)
        assert remote.get_blob("b").crc32c == remote.get_blob("a").crc32c

    def test_rewrite_from_another_bucket(self, storage: StorageSimulator, client: Client, remote: Bucket) -> None:
        storage.make_bucket(f"{remote.name}-other", "sparkles-test")
        put(client.bucket(f"{remote.name}-other"), "a")

        token, done, size = remote.blob("b").rewrite(client.bucket(f"{remote.name}-other").blob("a"))

        assert (token, done, size) == (None, 1, 1)
        assert remote.blob("b").download_as_bytes() == b"a"

    def test_move(self, remote: Bucket) -> None:
        put(remote, "a", "taken")

        with pytest.raises(exceptions.PreconditionFailed):
            remote.move_blob(remote.blob("a"), "taken", if_generation_match=0)
        moved = remote.move_blob(remote.blob("a"), "x/b", if_generation_match=0)

        assert moved.download_as_bytes() == b"a"
        assert [blob.name for blob in remote.list_blobs()] == ["taken", "x/b"]

    def test_rename(self, remote: Bucket) -> None:
        put(remote, "a")

        remote.rename_blob(remote.blob("a"), "b")

        assert [blob.name for blob in remote.list_blobs()] == ["b"]


class TestBatches:
    def test_a_hundred_at_once(self, storage: StorageSimulator, client: Client, remote: Bucket) -> None:
        put(remote, *(str(number) for number in range(100)))

        with client.batch():
            for number in range(100):
                remote.blob(str(number)).delete()

        assert list(remote.list_blobs()) == []
        assert storage.count("storage.objects.delete", status=204) == 100

    def test_each_is_answered_for_itself(self, client: Client, remote: Bucket) -> None:
        put(remote, "a", "b")
        described = remote.blob("a")
        described.metadata = {"k": "v"}

        with client.batch(raise_exception=False) as batch:
            described.patch()
            remote.blob("none").delete()
            remote.blob("b").delete()

        assert [each.status_code for each in batch._responses] == [200, 404, 204]
        assert described.metadata == {"k": "v"}
        assert not remote.blob("b").exists()

    def test_more_than_a_hundred_is_too_much(self, client: Client, remote: Bucket) -> None:
        batch = client.batch()
        client._push_batch(batch)
        for number in range(101):
            remote.blob(str(number)).delete()
        client._pop_batch()

        with pytest.raises(exceptions.BadRequest, match="101 calls"):
            batch.finish()
