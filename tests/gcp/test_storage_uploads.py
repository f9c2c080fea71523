"""Uploads as Google's client does them, and step by step: what breaks off is gone on with, what does not fit fails."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from conftest import eventually
from google.api_core import exceptions

if TYPE_CHECKING:
    from gcp.storage import StorageSimulator
    from google.cloud.storage import Bucket

GRAIN = 256 * 1024
INSERT = "storage.objects.insert"
CONTENT = bytes(range(256)) * (4 * GRAIN // 256) + b"and a rest"

Ask = Callable[..., Any]


@pytest.fixture
def begin(ask: Ask, bucket: str) -> Callable[..., str]:
    """Begins a resumable upload of the object `a`; returns its address."""

    def begin(query: str = "", said: dict[str, str] | None = None, **headers: str) -> str:
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=resumable{query}"
        answer = ask("POST", path, {"name": "a", **(said or {})}, **headers)
        assert answer.status == 200, answer
        address: str = answer.headers["location"]
        return address

    return begin


@pytest.mark.parametrize("content", [b"", CONTENT, CONTENT[: 4 * GRAIN]], ids=["empty", "odd", "whole"])
def test_an_upload_in_parts(storage: StorageSimulator, remote: Bucket, content: bytes) -> None:
    blob = remote.blob("a", chunk_size=GRAIN)

    blob.upload_from_file(io.BytesIO(content))

    assert remote.blob("a").download_as_bytes() == content
    assert storage.count(INSERT, name="a", part="start", status=200) == 1


def test_an_upload_of_a_size_that_is_known(storage: StorageSimulator, remote: Bucket) -> None:
    content = CONTENT * 9  # below 8 MiB the client does it at once

    remote.blob("a", chunk_size=8 * GRAIN).upload_from_file(io.BytesIO(content), size=len(content))

    assert remote.blob("a").download_as_bytes() == content
    assert storage.count(INSERT, name="a", part="chunk", status=308) == 4


def test_a_stream_without_an_end_in_sight(remote: Bucket) -> None:
    with remote.blob("a").open("wb", chunk_size=GRAIN, if_generation_match=0) as file:
        for start in range(0, len(CONTENT), 100_000):
            file.write(CONTENT[start : start + 100_000])

    assert remote.blob("a").download_as_bytes() == CONTENT


def test_a_part_that_is_refused_is_sent_again(storage: StorageSimulator, remote: Bucket) -> None:
    storage.faults.fail(INSERT, 503, part="chunk")

    remote.blob("a", chunk_size=GRAIN).upload_from_file(io.BytesIO(CONTENT), if_generation_match=0)

    assert remote.blob("a").download_as_bytes() == CONTENT
    assert storage.count(INSERT, part="chunk", status=503) == 1


def test_a_part_whose_reply_is_lost_is_asked_for(storage: StorageSimulator, remote: Bucket) -> None:
    storage.faults.lose_reply(INSERT, part="chunk")

    remote.blob("a", chunk_size=GRAIN).upload_from_file(io.BytesIO(CONTENT), if_generation_match=0)

    assert remote.blob("a").download_as_bytes() == CONTENT
    assert storage.count(INSERT, part="chunk", status=0) == 1


def test_preconditions_hold_when_it_ends(ask: Ask, begin: Callable[..., str], remote: Bucket) -> None:
    address = begin("&ifGenerationMatch=0")
    remote.blob("a").upload_from_string(b"first", if_generation_match=0)

    late = ask("PUT", address, CONTENT)
    later = ask("PUT", address, None, Content_Range="bytes */*")

    assert (late.status, later.status) == (412, 412)
    assert remote.blob("a").download_as_bytes() == b"first"


def test_preconditions_hold_when_it_begins(ask: Ask, remote: Bucket) -> None:
    remote.blob("a").upload_from_string(b"first")

    answer = ask("POST", f"/upload/storage/v1/b/{remote.name}/o?uploadType=resumable&ifGenerationMatch=0&name=a")

    assert answer.status == 412


def test_what_came_in_is_told(ask: Ask, begin: Callable[..., str], remote: Bucket) -> None:
    address, total = begin(), len(CONTENT)

    nothing = ask("PUT", address, None, Content_Range="bytes */*")
    some = ask("PUT", address, CONTENT[: GRAIN + 7], Content_Range=f"bytes 0-{GRAIN + 6}/{total}")
    told = ask("PUT", address, None, Content_Range=f"bytes */{total}")
    rest = ask("PUT", address, CONTENT[5:], Content_Range=f"bytes 5-{total - 1}/{total}")
    again = ask("PUT", address, None, Content_Range=f"bytes */{total}")

    assert (nothing.status, nothing.headers.get("range")) == (308, None)
    assert (some.status, some.headers["range"]) == (308, f"bytes=0-{GRAIN - 1}")
    assert (told.status, told.headers["range"]) == (308, f"bytes=0-{GRAIN - 1}")
    assert (rest.status, again.status) == (200, 200)
    assert rest.json == again.json
    assert remote.blob("a").download_as_bytes() == CONTENT


def test_who_takes_308_for_something_else_is_told_in_a_header(ask: Ask, begin: Callable[..., str]) -> None:
    address, total = begin(), len(CONTENT)

    some = ask("PUT", address, CONTENT[:GRAIN], Content_Range=f"bytes 0-{GRAIN - 1}/{total}", X_GUploader_No_308="yes")

    assert (some.status, some.headers["range"]) == (200, f"bytes=0-{GRAIN - 1}")
    assert some.headers["x-http-status-code-override"] == "308"


@pytest.mark.parametrize(
    "content_range",
    [f"bytes {GRAIN}-{2 * GRAIN - 1}/*", "bytes 0-9", f"bytes 0-{GRAIN - 1}/5"],
    ids=["gap", "odd", "total"],
)
def test_a_part_that_does_not_fit_is_refused(ask: Ask, begin: Callable[..., str], content_range: str) -> None:
    address = begin(X_Upload_Content_Length=str(len(CONTENT)))

    assert ask("PUT", address, CONTENT[:GRAIN], Content_Range=content_range).status == 400
    assert ask("PUT", address, None, Content_Range="bytes */*").status == 308


def test_a_part_that_breaks_off_is_kept_as_far_as_it_came(
    storage: StorageSimulator, ask: Ask, begin: Callable[..., str], remote: Bucket
) -> None:
    address, total = begin(), len(CONTENT)
    head = f"PUT {address.removeprefix(storage.url)} HTTP/1.1\r\nHost: x\r\nContent-Length: {total}\r\n\r\n"
    with closing(socket.create_connection(("127.0.0.1", int(storage.url.rpartition(":")[2])))) as connection:
        connection.sendall(head.encode() + CONTENT[: 2 * GRAIN + 5])

    told = eventually(lambda: ask("PUT", address, None, Content_Range="bytes */*").headers.get("range"))
    done = ask("PUT", address, CONTENT[2 * GRAIN :], Content_Range=f"bytes {2 * GRAIN}-{total - 1}/{total}")

    assert told == f"bytes=0-{2 * GRAIN - 1}"
    assert done.status == 200
    assert remote.blob("a").download_as_bytes() == CONTENT


def test_a_cancelled_upload_is_over(ask: Ask, begin: Callable[..., str], remote: Bucket) -> None:
    address = begin()

    assert ask("DELETE", address).status == 499
    assert ask("PUT", address, CONTENT).status == 410
    assert not remote.blob("a").exists()
    assert ask("PUT", f"{address}x", CONTENT).status == 404


@pytest.mark.parametrize(
    "sums", [{"crc32c": "AAAAAA=="}, {"md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="}], ids=["crc32c", "md5"]
)
def test_content_that_is_not_what_was_announced_is_refused(
    ask: Ask, begin: Callable[..., str], remote: Bucket, sums: dict[str, str]
) -> None:
    in_parts = ask("PUT", begin(said=sums), CONTENT)
    body = multipart({"name": "a", **sums}, CONTENT)
    at_once = ask("POST", multipart_path(remote), body, Content_Type="multipart/related; boundary=xx")
    header = ",".join(f"{name.removesuffix('Hash')}={value}" for name, value in sums.items())
    headed = ask("PUT", begin(), CONTENT, X_Goog_Hash=header)

    assert (in_parts.status, at_once.status, headed.status) == (400, 400, 400)
    assert "doesn't match calculated" in at_once.json["error"]["message"]
    assert not remote.blob("a").exists()


@pytest.mark.parametrize("line", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n--x\r\n", b"a\r\n--xxx\r\n\n"])
def test_an_upload_at_once_is_cut_at_its_marks(ask: Ask, remote: Bucket, line: bytes, content: bytes) -> None:
    body = multipart({"name": "a"}, content, line)

    assert ask("POST", multipart_path(remote), body, Content_Type="multipart/related; boundary='xx'").status == 200
    assert remote.blob("a").download_as_bytes() == content
    assert remote.get_blob("a").content_type == "text/x"


def test_an_upload_without_a_description(ask: Ask, remote: Bucket) -> None:
    path = f"/upload/storage/v1/b/{remote.name}/o?uploadType=media&name=a%2Fb"

    answer = ask("POST", path, b"content", Content_Type="text/x")

    assert answer.json["name"] == "a/b"
    assert remote.get_blob("a/b").content_type == "text/x"


def test_a_body_whose_size_is_not_known(ask: Ask, remote: Bucket) -> None:
    path = f"/upload/storage/v1/b/{remote.name}/o?uploadType=media&name=a"

    assert ask("POST", path, iter([b"some", b"", b" content"])).status == 200
    assert remote.blob("a").download_as_bytes() == b"some content"


@pytest.mark.parametrize("body", [b"", b"--xx\r\n\r\n{}\r\n--xx--", b"no marks"])
def test_a_body_that_cannot_be_read_is_refused(ask: Ask, remote: Bucket, body: bytes) -> None:
    assert ask("POST", multipart_path(remote), body, Content_Type="multipart/related; boundary=xx").status == 400


def test_a_description_that_does_not_fit_is_refused(storage: StorageSimulator, ask: Ask, remote: Bucket) -> None:
    body = multipart({"name": "a", "contenttype": "text/plain"}, b"")

    answer = ask("POST", multipart_path(remote), body, Content_Type="multipart/related; boundary=xx")

    assert answer.status == 400
    assert storage.violations == ["storage.objects.insert.contenttype: there is no such field"]
    storage.violations.clear()


def test_a_refused_upload_leaves_the_connection_usable(ask: Ask, remote: Bucket) -> None:
    refused = ask("POST", "/upload/storage/v1/b/nowhere/o?uploadType=media&name=a", CONTENT)

    assert refused.status == 404
    assert ask("GET", f"/storage/v1/b/{remote.name}").status == 200


def test_an_object_that_grows_many_times_a_second_is_refused(storage: StorageSimulator, remote: Bucket) -> None:
    storage.limit_changes()
    remote.blob("a").upload_from_string(b"1")

    with pytest.raises(exceptions.TooManyRequests, match="rate limit for object mutation"):
        remote.blob("a").upload_from_string(b"2", retry=None)

    remote.blob("b").upload_from_string(b"1", retry=None)


def multipart(said: dict[str, str], content: bytes, line: bytes = b"\r\n") -> bytes:
    parts = [b"content-type: application/json" + line * 2 + json.dumps(said).encode(),
             b"content-type: text/x" + line * 2 + content]  # fmt: skip
    return line.join(b"--xx" + line + part for part in parts) + line + b"--xx--" + line


def multipart_path(remote: Bucket) -> str:
    return f"/upload/storage/v1/b/{remote.name}/o?uploadType=multipart"
