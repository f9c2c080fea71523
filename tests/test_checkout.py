"""Which commit a folder is at, asked of the real git."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from sparkles import checkout
from sparkles.checkout import Look


@pytest.fixture(autouse=True)
def _without_the_settings_of_this_machine(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repository(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("needs git: apt-get install git")
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "config", "user.email", "ada@example.org")
    git(folder, "config", "user.name", "Ada")
    (folder / "fit.py").write_text("1")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "the first")
    return folder


def git(folder, *words):
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def seen(folder):
    with Look(folder) as look:
        return look.seen()


def test_a_folder_is_at_a_commit_with_or_without_changes(repository):
    commit = git(repository, "rev-parse", "HEAD")

    assert seen(repository) == {"commit": commit, "dirty": False}
    (repository / "untracked").write_text("x")
    assert seen(repository) == {"commit": commit, "dirty": False}
    (repository / "fit.py").write_text("2")
    assert seen(repository) == {"commit": commit, "dirty": True}


def test_a_folder_further_down_and_another_work_tree_are_seen_as_well(repository, tmp_path):
    deep = repository / "jobs" / "deep"
    deep.mkdir(parents=True)
    git(repository, "worktree", "add", "-q", str(tmp_path / "other"))
    git(repository, "pack-refs", "--all")
    commit = git(repository, "rev-parse", "HEAD")

    assert seen(deep) == seen(tmp_path / "other") == {"commit": commit, "dirty": False}


def test_nothing_is_seen_where_there_is_no_commit_no_repository_no_folder_and_no_git(repository, tmp_path, monkeypatch):
    empty, broken = tmp_path / "empty", tmp_path / "broken"
    empty.mkdir()
    git(empty, "init", "-q")
    (broken / ".git").mkdir(parents=True)

    assert [seen(folder) for folder in (empty, broken, tmp_path, None)] == [None] * 4
    monkeypatch.setenv("PATH", str(tmp_path))
    assert seen(repository) is None


def test_looking_runs_nothing_of_the_repository_and_writes_nothing_there(repository):
    harm = repository.parent / "harm"
    hook = repository.parent / "hook"
    hook.write_text(f"#!/bin/sh\ntouch '{harm}'\n")
    hook.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(hook))
    os.utime(repository / "fit.py", (1, 1))  # an index that would be brought up to date
    before = (repository / ".git" / "index").read_bytes()

    assert seen(repository)["dirty"] is False
    assert not harm.exists()
    assert (repository / ".git" / "index").read_bytes() == before


def test_a_repository_that_takes_too_long_still_has_a_commit(repository, tmp_path, monkeypatch):
    real, slow = shutil.which("git"), tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\ncase "$*" in *status*) exec sleep 60;; esac\nexec {real} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(checkout, "PATIENCE", 0.5)

    assert seen(repository) == {"commit": git(repository, "rev-parse", "HEAD")}


def test_who_does_not_want_to_know_any_more_leaves_no_process(repository, tmp_path, monkeypatch):
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/pid'\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")

    with Look(repository) as look:
        process = look._status

    assert process.returncode is not None


def test_a_document_keeps_the_commit_that_is_recorded_in_it_and_is_the_same_with_another():
    document = {"metadata": {"name": "fit"}, "spec": {}}
    recorded = checkout.with_git(document, {"commit": "a", "dirty": True})

    assert recorded["metadata"] == {"name": "fit", "git": {"commit": "a", "dirty": True}}
    assert checkout.with_git(recorded, {"commit": "b"}) == recorded
    assert checkout.without_git(recorded) == checkout.with_git(document, None) == document
