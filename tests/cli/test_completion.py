"""Completion in the shells themselves: keys are pressed, and what runs then is what was completed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import pytest
from conftest import eventually
from contracts.nouns import a_job, put

from sparkles.cli import COMPLETING


@pytest.fixture
def shell(user):
    """Runs a program that reads keys on a terminal, where `sparkles` is on the PATH."""
    script = user.write("bin/sparkles", f'#!/bin/sh\nexec "{sys.executable}" -m sparkles "$@"\n', executable=True)
    environment = {**user.environment(), "PATH": f"{script.parent}:{os.environ['PATH']}", "TERM": "dumb"}

    def run(*argv, keys=""):
        if shutil.which(argv[0]) is None:
            pytest.skip(f"needs {argv[0]}: apt-get install {argv[0]}")
        done = subprocess.run(
            argv, cwd=user.folder, env=environment, input=keys, text=True, timeout=60, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, errors="replace",
        )  # fmt: skip
        return done.stdout

    return run


def typed(shell, command, *keys):
    """Return what a terminal shows on which `command` runs and these lines are typed."""
    if shutil.which(program := command.split()[0]) is None:
        pytest.skip(f"needs {program}: apt-get install {program}")
    return shell("script", "-qec", command, "/dev/null", keys="".join(f"{line}\n" for line in (*keys, "exit")))


def keep_jobs(user):
    with user.stores.state() as state:
        put(state, a_job("a-job", submitted=1.0, owner="ann"), a_job("other", submitted=2.0, owner="ann"))


#: How a shell is started without what somebody has set up, and the line that our help says for it.
SHELLS = {
    "bash": ("bash --norc --noprofile -i", 'eval "$(sparkles completion bash)"'),
    "zsh": ("zsh -f -i", 'autoload -U compinit; compinit -D -u; eval "$(sparkles completion zsh)"'),
}


@pytest.mark.at_home("a shell knows nothing of stores")
@pytest.mark.parametrize("name", SHELLS)
def test_what_tab_completes_runs(user, shell, name):
    keep_jobs(user)
    user.write("grid-of-values.csv", "x\n1\n")
    program, installs = SHELLS[name]

    shown = typed(
        shell, program, installs, "sparkles exp\tspec.nodes.maxL\t", "sparkles status a-\t -o csv",
        "sparkles sub -n j --dry-run -o json --params gri\t echo '{x}' gri\t",
    )  # fmt: skip

    assert "spec.nodes.maxLife: duration" in shown
    assert "\na-job,active," in shown.replace("\r", "")
    assert '"csv": "grid-of-values.csv"' in shown
    assert '"grid-of-values.csv"\n' in shown.replace("\r", "")


@pytest.mark.at_home("a shell knows nothing of stores")
def test_fish_completes(user, shell):
    keep_jobs(user)
    user.write("grid-of-values.csv", "x\n1\n")

    shown = shell(
        "fish", "--no-config", "-c",
        'sparkles completion fish | source; for line in "sparkles explain spec.nodes.maxL" "sparkles get a-" '
        '"sparkles sub --params gri" "sparkles sub echo gri"; complete -C $line; end',
    )  # fmt: skip

    assert shown.splitlines() == [
        "spec.nodes.maxLife", "a-job\tactive", "grid-of-values.csv", "grid-of-values.csv",
    ]  # fmt: skip


def asked(user, line, **environment):
    """Run what a shell runs when a line is completed at its end."""
    user.env.update(COMP_WORDS=line, COMP_CWORD=str(line.count(" ")), **{COMPLETING: "bash_complete"}, **environment)
    return user()


def test_the_names_are_those_of_the_store_that_is_chosen(user):
    keep_jobs(user)
    before = user.everything()

    names = eventually(lambda: asked(user, "sparkles watch ").stdout.split())  # a busy machine may not answer in time

    assert names == ["plain,other", "plain,a-job", "plain,LAST"]
    assert user.everything() == before


@pytest.mark.at_home("the cloud is one that does not answer")
@pytest.mark.parametrize("line", ["sparkles watch ", "sparkles logs a.", "sparkles nonsense ", "sparkles watch --x "])
def test_where_nothing_is_known_nothing_is_said(user, line):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"

        done = asked(
            user, line, SPARKLES_BACKEND="gcp", SPARKLES_PROJECT="p", SPARKLES_BUCKET="b", DATASTORE_EMULATOR_HOST=host
        )

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    assert not user.sparkles_home.exists()


@pytest.mark.at_home("nothing is asked")
def test_help_says_how_each_shell_is_taught(user):
    words = user.ok("completion", "--help")

    for line in (
        'eval "$(sparkles completion bash)"',
        'eval "$(sparkles completion zsh)"',
        "completions/sparkles.fish",
    ):
        assert line in words
    assert "bash, zsh, fish" in user("completion", "sh").stderr.replace("'", "")
