"""Buckets, read by Google's own library from the simulator; and that the fake of other tests is like it."""

from __future__ import annotations

import filecmp
import os
import resource
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest
from contracts.buckets import BucketsContract, find
from contracts.fakes import FakeBuckets

from sparkles.backends.gcp.storage.staging import Staging
from sparkles.errors import BackendError, RequestError, UnreachableError

SIZE = 96 << 20


class TestFakeBuckets(BucketsContract):
    @pytest.fixture
    def buckets(self):
        return FakeBuckets()

    @pytest.fixture
    def bucket(self):
        return "bkt"

    @pytest.fixture
    def put(self, buckets, bucket):
        return lambda name, content: buckets.put(f"gs://{bucket}/{name}", content)

    @pytest.fixture
    def remove(self, buckets, bucket):
        return lambda name: buckets.remove(f"gs://{bucket}/{name}")


class TestCloudBuckets(BucketsContract):
    @pytest.fixture
    def client(self, storage):
        from google.cloud.storage import Client

        return Client(project="sparkles-test")

    @pytest.fixture
    def open_buckets(self, storage):
        from sparkles.backends.gcp.buckets import CloudBuckets
        from sparkles.backends.gcp.storage.client import storage_client

        return lambda **options: CloudBuckets(storage_client("sparkles-test"), staging=Staging(None), **options)

    @pytest.fixture
    def buckets(self, open_buckets):
        return open_buckets()

    @pytest.fixture
    def put(self, client, bucket):
        def put(name: str, content: bytes) -> str:
            blob = client.bucket(bucket).blob(name)
            blob.upload_from_string(content)
            return str(blob.generation)

        return put

    @pytest.fixture
    def remove(self, client, bucket):
        return lambda name: client.bucket(bucket).blob(name).delete()

    # Few requests

    def test_objects_side_by_side_are_listed(self, buckets, bucket, put, storage):
        for number in range(300):
            put(f"s/{number}.bam", b"")
        storage.forget()

        found = find(buckets, bucket, *(f"s/{number}.bam" for number in range(300)))

        assert all(len(files) == 1 for files in found.values())
        assert (storage.count("storage.objects.list"), storage.count("storage.objects.get")) == (1, 0)

    def test_objects_among_many_others_are_asked_for_one_by_one(self, buckets, bucket, put, storage):
        wanted = [f"s/{number:02}0/x" for number in range(120)]
        for number in range(1200):
            put(f"s/{number:03}/x", b"")
        storage.forget()

        found = find(buckets, bucket, *wanted)

        assert found == {name: [name] for name in wanted}
        assert storage.count("storage.objects.list") <= 2

    def test_an_object_needs_one_request_and_a_folder_two(self, buckets, bucket, put, storage):
        put("a", b"")
        put("b/c", b"")
        storage.forget()

        find(buckets, bucket, "a", "b")

        assert (storage.count("storage.objects.get"), storage.count("storage.objects.list")) == (2, 1)

    def test_whether_there_is_a_bucket_takes_one_small_request(self, buckets, bucket, put, storage):
        for number in range(3):
            put(f"{number}", b"")
        storage.forget()

        assert buckets.absent([bucket]) == set()
        assert storage.count("storage.objects.list") == 1

    # Trouble

    @pytest.mark.parametrize("permission", ["storage.objects.get", "storage.objects.list"])
    def test_what_may_not_be_read_names_who_and_the_command_that_allows_it(self, buckets, bucket, storage, permission):
        storage.permissions.denied.add(permission)

        with pytest.raises(BackendError) as error:
            buckets.find([f"gs://{bucket}/x"])

        assert f"does not have {permission} access" in str(error.value)
        assert (
            f"gcloud storage buckets add-iam-policy-binding gs://{bucket} "
            "--member=serviceAccount:tester@sparkles-test.iam.gserviceaccount.com --role=roles/storage.objectViewer"
        ) in str(error.value)

    def test_who_may_not_list_may_still_read(self, buckets, bucket, put, storage):
        for number in range(120):
            put(f"{number}", b"")
        storage.permissions.denied.add("storage.objects.list")

        assert len(find(buckets, bucket, *(f"{number}" for number in range(120)))) == 120

    def test_more_than_a_task_can_be_given_is_an_error(self, buckets, bucket, put, monkeypatch):
        monkeypatch.setattr("sparkles.backends.gcp.buckets._MOST", 2)
        for number in range(3):
            put(f"dir/{number}", b"")

        with pytest.raises(
            RequestError, match=rf"gs://{bucket}/dir: more than 2 objects .* name what the tasks need more closely"
        ):
            buckets.find([f"gs://{bucket}/dir"])

    @pytest.mark.parametrize("fault", ["fail", "reset"])
    def test_trouble_that_passes_is_waited_for(self, buckets, bucket, put, storage, tmp_path, fault):
        content = f"gs://{bucket}/x#{put('x', b'content')}"
        for method in ("storage.objects.get", "storage.objects.list"):
            getattr(storage.faults, fault)(method, times=1)

        found = find(buckets, bucket, "x", "none")
        buckets.stage(content, tmp_path / "in", executable=False)

        assert found == {"x": ["x"], "none": []}
        assert storage.faults.armed == 0

    @pytest.mark.parametrize(
        ("method", "call"),
        [
            pytest.param("get", lambda buckets, url, _: buckets.find([url]), id="find"),
            pytest.param("list", lambda buckets, url, _: buckets.find([f"{url}/"]), id="list"),
            pytest.param("get", lambda buckets, url, _: buckets.missing([f"{url}#1"]), id="missing"),
            pytest.param("get", lambda buckets, url, to: buckets.stage(f"{url}#1", to, executable=False), id="stage"),
        ],
    )
    def test_trouble_that_stays_is_told_from_a_refusal_and_not_waited_for_long(
        self, open_buckets, bucket, storage, tmp_path, method, call
    ):
        storage.faults.fail(f"storage.objects.{method}", 503, times=1_000)
        began = time.monotonic()

        with pytest.raises(UnreachableError, match=f"gs://{bucket} cannot be reached: "):
            call(open_buckets(patience=0.3), f"gs://{bucket}/x", tmp_path / "in")

        assert time.monotonic() - began < 20

    def test_a_service_that_never_answers_is_given_up(self, open_buckets, bucket, monkeypatch):
        monkeypatch.setattr("sparkles.backends.gcp.storage.bucket._TIME_LIMITS", (0.2, 0.2))
        with closing(socket.create_server(("127.0.0.1", 0), backlog=50)) as silent:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{silent.getsockname()[1]}")

            with pytest.raises(UnreachableError, match=r"cannot be reached: .*timed out"):
                open_buckets(patience=0.3).find([f"gs://{bucket}/x"])

    def test_a_bucket_that_is_gone_by_now_is_told_like_a_generation(self, buckets, tmp_path):
        with pytest.raises(BackendError, match=r"gs://there-is-none/x: generation 1 is not there any more"):
            buckets.stage("gs://there-is-none/x#1", tmp_path / "in", executable=False)

    def test_bytes_that_changed_on_their_way_are_refused(self, buckets, bucket, put, storage, tmp_path):
        content = f"gs://{bucket}/x#{put('x', b'content')}"
        storage.holdings.buckets[bucket].objects["x"].content.path.write_bytes(b"CONTENT")

        with pytest.raises(BackendError, match=rf"gs://{bucket}/x: what came of it .* checksum"):
            buckets.stage(content, tmp_path / "in", executable=False)

        assert list(tmp_path.iterdir()) == []

    def test_a_generation_that_is_gone_is_named_with_what_to_do(self, buckets, bucket, put, tmp_path):
        generation = put("x", b"before")
        put("x", b"after")

        with pytest.raises(BackendError, match=rf"gs://{bucket}/x: generation {generation} is not there any more.*sub"):
            buckets.stage(f"gs://{bucket}/x#{generation}", tmp_path / "in", executable=False)

    def test_a_large_object_takes_little_memory(self, client, buckets, bucket, tmp_path: Path):
        source = tmp_path / "source"
        with source.open("wb") as file:
            for _ in range(SIZE >> 20):
                file.write(os.urandom(1 << 20))
        blob = client.bucket(bucket).blob("large")
        blob.chunk_size = 8 << 20
        blob.upload_from_filename(source)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        buckets.stage(f"gs://{bucket}/large#{blob.generation}", tmp_path / "in", executable=False)

        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < (SIZE >> 10) / 3
        assert filecmp.cmp(source, tmp_path / "in", shallow=False)
