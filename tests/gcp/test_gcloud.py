"""gcloud as a foreign client: written by others, in other ways, for the same service."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from gcp import gcloud as gcloud_program

if TYPE_CHECKING:
    from gcp.storage import StorageSimulator
    from google.cloud.storage import Bucket

Gcloud = Callable[..., str]

pytestmark = gcloud_program.NEEDED


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gcloud")


@pytest.fixture
def gcloud(storage: StorageSimulator, settings: Path) -> Gcloud:
    """Runs `gcloud storage`; returns what it printed."""
    return partial(gcloud_program.run, "storage", folder=settings, storage=storage.url)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "sub folder").mkdir(parents=True)
    (tree / "a.txt").write_text("hello")
    (tree / "empty").touch()
    (tree / "sub folder/b ü#%.bin").write_bytes(os.urandom(300_000))
    return tree


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_there_and_back(gcloud: Gcloud, bucket: str, tmp_path: Path, storage: StorageSimulator) -> None:
    content = os.urandom(9 << 20)  # above 8 MiB it uploads in parts
    (tmp_path / "big").write_bytes(content)

    gcloud("cp", tmp_path / "big", f"gs://{bucket}/big")
    gcloud("cp", f"gs://{bucket}/big", tmp_path / "back")

    assert (tmp_path / "back").read_bytes() == content
    assert storage.count("storage.objects.insert", part="start") == 1


def test_a_tree_there_and_back(gcloud: Gcloud, bucket: str, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "back").mkdir()

    gcloud("rsync", "-r", tree, f"gs://{bucket}/tree")
    gcloud("rsync", "-r", f"gs://{bucket}/tree", tmp_path / "back")

    assert contents(tmp_path / "back") == contents(tree)


def test_looking(gcloud: Gcloud, remote: Bucket) -> None:
    for name in ("folder/a.txt", "folder/sub/b"):
        remote.blob(name).upload_from_string(b"hello")

    assert gcloud("cat", f"gs://{remote.name}/folder/a.txt") == "hello"
    listed = gcloud("ls", "-l", f"gs://{remote.name}/folder/").splitlines()
    assert [line.split()[-1] for line in listed[:2]] == [f"gs://{remote.name}/folder/{n}" for n in ("a.txt", "sub/")]
    assert "md5_hash: XUFAKrxLKna5cZ2REBfFkg==" in gcloud("hash", f"gs://{remote.name}/folder/a.txt")


def test_moving_and_removing(gcloud: Gcloud, remote: Bucket) -> None:
    for name in ("a", "folder/b", "folder/c"):
        remote.blob(name).upload_from_string(b"x")

    gcloud("mv", f"gs://{remote.name}/a", f"gs://{remote.name}/moved/a")
    gcloud("rm", "-r", f"gs://{remote.name}/folder")

    assert [blob.name for blob in remote.list_blobs()] == ["moved/a"]
