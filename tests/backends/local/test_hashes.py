"""Hashes of local files are remembered for as long as the files stay as they are."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from sparkles.backends.local import hashes
from sparkles.backends.local.hashes import HashCache

OLD = 1_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    os.utime(path, (OLD, OLD))
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HashCache:
    monkeypatch.setattr(hashes, "_SETTLED", -1.0)  # the time at which a file was changed cannot be set
    return HashCache(tmp_path / "hashes.db", write=True)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read."""
    found: list[Path] = []
    original = hashes.sha256_of
    monkeypatch.setattr(hashes, "sha256_of", lambda path: found.append(path) or original(path))
    return found


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once(cache, file, reads) -> None:
    digests = [cache.sha256(file) for _ in range(3)]

    assert digests == [sha256(b"content")] * 3
    assert reads == [file]


def test_a_file_that_was_changed_is_read_again_even_with_its_old_times(cache, file, reads) -> None:
    cache.sha256(file)
    file.write_bytes(b"CONTENT")
    os.utime(file, (OLD, OLD))

    assert cache.sha256(file) == sha256(b"CONTENT")
    assert len(reads) == 2


def test_a_file_that_took_the_place_of_another_is_read(cache, file, reads) -> None:
    cache.sha256(file)
    other = file.with_name("other")
    other.write_bytes(b"CONTENT")
    os.utime(other, (OLD, OLD))
    other.replace(file)

    assert cache.sha256(file) == sha256(b"CONTENT")


def test_hashes_outlive_the_process(cache, file, reads, tmp_path) -> None:
    cache.sha256(file)
    cache.keep()

    again = HashCache(tmp_path / "hashes.db", write=True).sha256(file)

    assert again == sha256(b"content")
    assert len(reads) == 1


def test_hashes_that_were_kept_are_kept_once_more(cache, file, reads, tmp_path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"other")
    for path in (file, other):
        cache.sha256(path)
        cache.keep()

    again = HashCache(tmp_path / "hashes.db", write=True)

    assert [again.sha256(path) for path in (file, other)] == [sha256(b"content"), sha256(b"other")]
    assert reads == [file, other]


def test_a_folder_for_hashes_is_not_made_for_them(file, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(hashes, "_SETTLED", -1.0)
    folder = tmp_path / "home"
    cache = HashCache(folder / "hashes.db", write=True)
    cache.sha256(file)

    cache.keep()

    assert not folder.exists()
    folder.mkdir()
    cache.keep()
    assert (folder / "hashes.db").exists(), "what was found out before is not lost"


def test_hashes_that_cannot_be_kept_are_no_problem(cache, file, tmp_path) -> None:
    cache.sha256(file)
    (tmp_path / "hashes.db").write_bytes(b"no database at all, and long enough to be seen to be none" * 9)

    cache.keep()

    assert cache.sha256(file) == sha256(b"content")


def test_a_file_that_changed_just_now_is_not_remembered(tmp_path, reads) -> None:
    cache = HashCache(tmp_path / "hashes.db", write=True)
    path = tmp_path / "file"
    path.write_bytes(b"one")
    cache.sha256(path)
    path.write_bytes(b"two")

    assert cache.sha256(path) == sha256(b"two")


def test_without_leave_to_write_no_file_is_made(file, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(hashes, "_SETTLED", -1.0)
    cache = HashCache(tmp_path / "hashes.db", write=False)

    assert cache.sha256(file) == sha256(b"content")
    cache.keep()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_that_is_no_text_is_no_problem(cache, tmp_path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    path.write_bytes(b"content")

    assert cache.sha256(path) == cache.sha256(path) == sha256(b"content")


def test_a_file_that_cannot_be_read_is_an_error(cache, tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        cache.sha256(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        cache.sha256(tmp_path)
