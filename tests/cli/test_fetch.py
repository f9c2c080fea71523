"""`fetch`: results come to a folder, once, and as they are wanted."""

from __future__ import annotations

import os

import pytest
from conftest import User, eventually
from stores import Stores

JOB = """
apiVersion: sparkles/v1
kind: Job
metadata: {name: fit}
spec:
  command: "mkdir deep; echo {index} > deep/out.csv; echo x > own-{index}.txt; test {index} != 3"
  parameters: {seq: 3}
  nodes: {linger: 0s}
"""


@pytest.fixture(scope="module")
def owner(shared_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user with a finished job, of which one task failed."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("folder")
    user = User(folder=folder, home=home, stores=shared_stores.another(home / "sparkles"))
    assert user("apply", "--wait", "-f", "-", input=JOB).returncode == 1
    user.wait_for_nodes_to_leave()
    return user


def names(user: User, folder: str) -> list[str]:
    root = user.folder / folder
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_what_is_missing_or_differs_comes_again(owner: User) -> None:
    first = owner.ok("fetch", "fit", "all")
    (owner.folder / "all/2/deep/out.csv").write_text("torn")
    (owner.folder / "all/3/own-3.txt").unlink()

    again = owner.ok("fetch", "fit", "all")

    assert first.endswith(" of 3 results copied to all\n")
    assert again == "fit: 2 files (4 bytes) of 3 results copied to all; 10 more were there already\n"
    assert (owner.folder / "all/2/deep/out.csv").read_text() == "2\n"


def test_files_are_chosen_and_laid_out_as_they_are_wanted(owner: User) -> None:
    owner.ok("fetch", "fit", "tables", "--include", "*.csv", "--filter", "state=failed")
    owner.ok("fetch", "fit", "flat", "--flat", "--include", "own-*")
    owner.ok("fetch", "fit", "numbered", "--flat", "--prefix", "--include", "deep/")

    assert names(owner, "tables") == ["3/deep/out.csv"]
    assert names(owner, "flat") == ["own-1.txt", "own-2.txt", "own-3.txt"]
    assert names(owner, "numbered") == ["1-out.csv", "2-out.csv", "3-out.csv"]


def test_files_that_would_have_one_name_are_refused_before_anything_is_copied(owner: User) -> None:
    refused = owner("fetch", "fit", "clash", "--flat")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(
        "error: --flat: 'deep/out.csv' of fit.1 and 'deep/out.csv' of fit.2 would both be 'out.csv'; nothing was copied"
    )
    assert not (owner.folder / "clash").exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("fit x --prefix", "--prefix is for --flat"),
        ("fit x --include [z-a]", "--include '[z-a]': bad character range z-a"),
        ("fit.1 x --filter state=failed", "fit.1 is one task; --filter is for those of a job"),
    ],
)
@pytest.mark.at_home("is refused before a store is asked")
def test_what_makes_no_sense_is_refused(owner: User, words: str, error: str) -> None:
    refused = owner("fetch", *words.split())

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {error}")


def test_a_pattern_that_chooses_nothing_is_said(owner: User) -> None:
    done = owner("fetch", "fit", "none", "--include", "*.nix")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("fit: no file of 3 results is called '*.nix'; ")


def test_a_filter_that_no_task_passes_is_said(owner: User) -> None:
    done = owner("fetch", "fit", "none", "--filter", "exit=77")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("fit: there is no such task, so nothing was copied; ")


@pytest.mark.at_home("only here can a copy be held in the middle")
@pytest.mark.parametrize(
    ("words", "then"),
    [(["--results"], "others are gone"), ([], "'sparkles fetch fit out' brings the others, which were kept")],
    ids=["with its results", "without"],
)
def test_a_job_that_is_deleted_while_it_is_copied_is_named(user: User, words: list[str], then: str) -> None:
    user.ok("sub", "-n", "fit", "--seq", "2", "touch x")
    slow = user.sparkles_home / "objects/fit/1/slow"
    os.mkfifo(slow)
    hold = os.open(slow, os.O_RDWR)

    fetching = user.start("fetch", "fit", "out")
    eventually(lambda: list(user.folder.glob("out/1/.sparkles-*")))
    user.ok("delete", *words, "--yes", "fit")
    os.close(hold)
    said, error = fetching.communicate(timeout=60)

    assert (fetching.returncode, said) == (3, b"")
    assert error.decode().startswith("error: fit was deleted while it was copied: ")
    assert error.decode().endswith(f" to out; {then}\n")


@pytest.mark.parametrize(
    ("there", "error"),
    [
        ("way/1", "a file stands where a folder is to be: move it away, or fetch to another folder"),
        ("odd/1/own-1.txt/mine", "own-1.txt: Is a directory; a folder stands where a file is to be: move it away"),
    ],
)
def test_what_is_in_the_way_stays_and_is_named(owner: User, there: str, error: str) -> None:
    owner.write(there, "mine")

    refused = owner("fetch", "fit.1", there.split("/")[0])

    assert refused.returncode == 3
    assert error in refused.stderr
    assert (owner.folder / there).read_text() == "mine"
