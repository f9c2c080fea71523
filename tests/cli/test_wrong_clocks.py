"""A client whose clock is wrong by an hour, beside nodes and clients whose clocks are right: nothing is lost by it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, User, until
from contracts.nouns import put

from sparkles.model import Applying, Key

pytestmark = pytest.mark.in_cloud  # at home all have one clock

#: What the Python of a client runs before anything else. What grpc does with a clock it does with the machine's own.
SHIFT = """
import sys, time

right = time.time

def wrong():
    is_asked_by = sys._getframe(1).f_globals.get("__name__", "")
    return right() + ({seconds} if is_asked_by.startswith(("sparkles", "google.auth")) else 0)

time.time = wrong
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=[3600, -3600], ids=["an hour ahead", "an hour behind"])
def wrongly(request: pytest.FixtureRequest, user: User, tmp_path: Path) -> Run:
    """Runs a command as somebody else's machine would, whose clock is wrong; only the stores are shared."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(SHIFT.format(seconds=request.param))
    other = replace(
        user, home=tmp_path / "other", env={**user.env, "PYTHONPATH": f"{tmp_path / 'clock'}{os.pathsep}{ROOT}"}
    )

    def wrongly(*words: str) -> subprocess.CompletedProcess[str]:
        process = other.start(*words)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out.decode(), err.decode())

    return wrongly


def test_a_job_goes_on_and_is_followed_to_its_end(user: User, wrongly: Run, tmp_path: Path) -> None:
    go = tmp_path / "go"
    user.write("job.txt", "hello\n")
    user.ok("sub", "-n", "j", "--no-wait", "-u", "job.txt", "--seq", "2", "--slots", "2", f"{until(go)}; cat job.txt")
    user.wait_for("j", claimed=2)

    looked = [
        wrongly(*words) for words in (["status"], ["list", "j"], ["why", "j"], ["gc", "--yes"], ["scale", "j", "1"])
    ]
    go.touch()
    watched = wrongly("watch", "j")

    assert [each.returncode for each in looked] == [0] * len(looked), looked
    assert watched.returncode == 0, watched.stderr
    assert [task["attempts"] for task in user.rows("list", "j")] == [1, 1]


def test_what_it_submits_runs_and_replaces_what_it_had_submitted(user: User, wrongly: Run) -> None:
    user.write("job.txt", "hello\n")

    done = wrongly("sub", "-n", "j", "-u", "job.txt", "cat", "job.txt")
    again = wrongly("sub", "-n", "j", "-u", "job.txt", "cat", "job.txt", "job.txt")

    assert (done.returncode, again.returncode) == (0, 0), done.stderr + again.stderr
    assert user.log("j.1") == "hello\nhello\n"


def test_an_apply_that_is_under_way_is_not_taken_for_one_that_is_stuck(user: User, wrongly: Run) -> None:
    user.ok("sub", "-n", "j", "true")
    with user.stores.state() as state:
        job = state.read([Key.job("j")])[Key.job("j")]
        put(state, replace(job, applying=Applying(token="t", digest="d", generation=2, progress=time.time())))

    refused = wrongly("sub", "-n", "j", "echo", "other")

    assert refused.returncode == 3
    assert "another apply of it is under way" in refused.stderr
