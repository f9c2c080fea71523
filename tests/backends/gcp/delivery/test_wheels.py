"""How the libraries of the worker program are fetched: by the real pip, from a shelf of the test's own."""

from __future__ import annotations

import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from backends.gcp.small_lock import WHEEL, a_lock

from sparkles.backends.gcp.delivery.wheels import wheels
from sparkles.backends.gcp.delivery.worker_lock import Lock, worker_lock
from sparkles.errors import BackendError

WAYS_OUT = r"'sparkles setup --worker-image'"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


@pytest.fixture
def lock(shelf: Path) -> Lock:
    return a_lock(shelf)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "wheels"


def test_what_was_fetched_is_kept_and_not_fetched_again(lock, shelf, folder, capfd):
    first = wheels(lock, "amd64", folder=folder)
    said = capfd.readouterr()
    (shelf / WHEEL).unlink()
    second = wheels(lock, "amd64", folder=folder)

    assert said == ("", "fetching what the worker needs, once: 1 files\n")
    assert capfd.readouterr() == ("", "")
    assert first == second == folder / f"{lock.archives['amd64']}.zip"
    assert zipfile.ZipFile(first).namelist() == [WHEEL]


def test_of_earlier_versions_nothing_is_kept(lock, folder):
    folder.mkdir(parents=True)
    (folder / f"{64 * '0'}.zip").write_bytes(b"")

    path = wheels(lock, "arm64", folder=folder)

    assert list(folder.iterdir()) == [path]


def test_what_is_not_as_it_was_is_not_taken(lock, shelf, folder):
    with (shelf / WHEEL).open("ab") as wheel:
        wheel.write(b"!")

    with pytest.raises(BackendError, match=rf"does not have its checksum; .*{WAYS_OUT}"):
        wheels(lock, "amd64", folder=folder)
    assert list(folder.iterdir()) == []


def test_other_files_than_were_settled_on_are_not_taken(lock, folder):
    other = replace(lock, archives={"amd64": 64 * "0"})

    with pytest.raises(BackendError, match=rf"are not those that this sparkles was made with; .*{WAYS_OUT}"):
        wheels(other, "amd64", folder=folder)


def test_without_pip_the_ways_out_are_named(lock, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pip", None)

    with pytest.raises(BackendError, match=rf"python\S* -m ensurepip', or .*{WAYS_OUT}") as refusal:
        wheels(lock, "amd64", folder=folder)
    assert refusal.value.exit_code == 3


def test_without_a_network_the_ways_out_are_named(lock, folder, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")

    with pytest.raises(BackendError, match=rf"where it looks for them cannot be reached; .*{WAYS_OUT}") as refusal:
        wheels(lock, "amd64", folder=folder)
    assert refusal.value.exit_code == 3


def test_what_pip_has_to_say_is_passed_on(lock, shelf, folder):
    (shelf / WHEEL).unlink()

    with pytest.raises(BackendError, match=r"with pip: No matching distribution found for tiny==1\.0"):
        wheels(lock, "amd64", folder=folder)


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_libraries_of_this_version_can_be_fetched(fetched, architecture):
    path = fetched(architecture)

    names = zipfile.ZipFile(path).namelist()
    assert len(names) == worker_lock().files
    assert names == sorted(names)
