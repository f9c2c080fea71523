"""A current folder that is not there any more: what needs none works, and all else says that it is gone."""

from __future__ import annotations

import subprocess

import pytest
from conftest import User

pytestmark = pytest.mark.at_home("is no matter of the stores")

GONE = 'mkdir -p deep/gone; cd deep/gone; rmdir ../gone; {before} exec "$@"'


def run_in_a_gone_folder(user: User, *words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", GONE.format(before=before), "bash", *user.argv(*words)],
        cwd=user.folder, env=user.environment(), input="", capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["status"], ["list", "j"], ["logs", "j"], ["watch", "j"], ["get", "j"], ["why", "j"], ["config"], ["version"],
        ["fetch", "j", "{folder}/out"], ["report", "j", "-o", "{folder}/j.html"], ["retry", "j.1", "--wait"],
        ["diff", "{folder}/j.yaml"],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_what_needs_no_current_folder_works(user: User, words: list[str]) -> None:
    user.ok("sub", "-n", "j", "--save", "j.yaml", "echo", "hi")
    user.ok("apply", "--wait", "j.yaml")

    done = run_in_a_gone_folder(user, *(word.format(folder=user.folder) for word in words))

    assert done.returncode == 0, done.stderr


def test_settings_above_it_still_count(user: User) -> None:
    user.write(".sparkles.yaml", "project: {not: text}\n")

    done = run_in_a_gone_folder(user, "status")

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {user.folder}/.sparkles.yaml:1:")


@pytest.mark.parametrize("words", ["sub echo hi", "apply j.yaml", "apply -", "fetch j out", "report j"])
def test_what_needs_one_says_that_it_is_gone(user: User, words: str) -> None:
    user.ok("sub", "-n", "j", "echo", "hi")

    done = run_in_a_gone_folder(user, *words.split())

    assert done.returncode in (2, 3)
    gone = f"error: the current folder, {user.folder}/deep/gone, is not there any more; what works: cd to one that is\n"
    assert done.stderr.endswith(gone)


def test_of_one_that_was_made_anew_it_says_how_to_get_there(user: User) -> None:
    done = run_in_a_gone_folder(user, "sub", "echo", before="mkdir ../gone;")

    assert done.stderr == (
        f"error: the current folder, {user.folder}/deep/gone, was removed and made anew; what works: "
        f"cd '{user.folder}/deep/gone', which goes to the new one\n"
    )


def test_where_the_shell_does_not_say_where_it_was_settings_are_not_guessed(user: User) -> None:
    done = run_in_a_gone_folder(user, "status", before="unset PWD;")

    assert done.returncode == 2
    assert done.stderr == "error: the current folder is not there any more; what works: cd to one that is\n"
