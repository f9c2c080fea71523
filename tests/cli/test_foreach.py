"""`sub --foreach`: the manual's sessions, and what becomes of the phases when something goes wrong."""

from __future__ import annotations

import csv
import re
import shutil
import signal
import subprocess
from typing import Any

import engine
import pytest
from conftest import ROOT, User

EXAMPLES = ROOT / "examples" / "foreach"

#: What the manual prints.
RMSE = {
    "Sepal.Length": 0.300626956897024, "Sepal.Width": 0.262392490381384, "Petal.Length": 0.257419025528041,
    "Petal.Width": 0.163249617363952, "setosa": 0.0751863401588153, "versicolor": 0.0818033953243054,
    "virginica": 0.0683978359513745,
}  # fmt: skip

SCATTER = """
import os
import time

def get_foreach_args(*numbers):
    return dict(elements=[int(number) for number in numbers], extra_args=[10])

def foreach(x, scale):
    if os.environ.get("GATE"):
        while not os.path.exists(os.environ["GATE"]):
            time.sleep(0.05)
    return x * scale

def gather(results, scale):
    print(results)
"""

FINISHED = "Job finished. {} tasks completed successfully, 0 tasks failed"


def lines_of(output: str) -> list[str]:
    """Return the lines without times, and without those about tasks and nodes, which depend on how quick they are."""
    lines = (re.sub(r"^\[\d\d:\d\d:\d\d\] ", "", line) for line in output.splitlines())
    return [line for line in lines if not line.startswith(("tasks: ", "[starting tail", "Processes running"))]


def phase(purpose: str, *, job: str, done: int, files: int = 3, log: list[str] | None = None) -> list[str]:
    """Return the lines of a phase that uploads nothing."""
    return [
        f"Submitting job named {job} to {purpose}",
        f"0 files (0 bytes) out of {files} files will be uploaded",
        *(log or []),
        FINISHED.format(done),
    ]


def table(content: bytes) -> dict[str, float]:
    """Return what the manual's R example has written."""
    return {row["target"]: float(row["rmse"]) for row in csv.DictReader(content.decode().splitlines())}


def started(user: User, name: str) -> dict[str, str]:
    return {row["task"]: row["started"] for row in user.rows("list", name)}


def again(user: User, name: str, before: dict[str, str]) -> list[str]:
    """Return which tasks have run since."""
    return [task for task, at in started(user, name).items() if before.get(task) != at]


def read_until(text: bytes, client: subprocess.Popen[bytes]) -> None:
    """Read what a command prints, to the line that has a text."""
    assert client.stdout
    while text not in client.stdout.readline():
        assert client.poll() is None, f"{text!r} was not printed"


@pytest.fixture
def scatter(warm: User) -> User:
    """Someone who has a script, and the manual's."""
    warm.write("scatter.py", SCATTER)
    for example in EXAMPLES.glob("sample-scatter.*"):
        shutil.copy(example, warm.folder)
    return warm


# The manual


def test_the_python_example_prints_the_lines_of_the_manual(scatter: User) -> None:
    scatter.ok("sub", "-n", "sample", "--foreach", "sample-scatter.py", "2.0")

    ran = scatter("sub", "-n", "sample", "--foreach", "sample-scatter.py", "2.0")

    assert lines_of(ran.stdout) == [
        *phase("execute sample-getargs('2.0')", job="sample-getargs", done=1),
        *phase("evaluate foreach on 4 elements", job="sample", done=4),
        *phase("evaluate gather", job="sample-gather", done=1, log=["[2.0, 4.0, 6.0, 8.0]"]),
    ]
    assert ran.stdout.splitlines()[2].startswith("tasks: pending (1), worker nodes:")
    assert ran.returncode == 0
    assert f"'{scatter.stores.download_line('sample-gather')}'" in ran.stderr


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_the_r_example_writes_the_table_of_the_manual(scatter: User) -> None:
    printed = scatter.ok("sub", "--foreach", "-n", "sample-r", "sample-scatter.r", timeout=200)
    assert table(scatter.result("sample-r-gather", 1, "results.csv")) == pytest.approx(RMSE, rel=1e-12)
    assert "Submitting job named sample-r to evaluate foreach on 7 elements\n" in printed
    assert '] [1] "results"\n' in printed


@pytest.mark.parametrize("image", ["sparkles-test/python2", "sparkles-test/python"])
def test_the_python_example_runs_in_images_of_python_2_and_3(scatter: User, api: Any, image: str) -> None:
    if not engine.has_image(api, image):
        pytest.skip(f"needs the image {image}: bash tests/images/{image.rpartition('/')[2]}")

    printed = scatter.ok("sub", "-i", image, "-n", "inside", "--foreach", "sample-scatter.py", "2.0", timeout=200)

    assert lines_of(printed)[-2:] == ["[2.0, 4.0, 6.0, 8.0]", FINISHED.format(1)]
    assert scatter.rows("status", "inside")[1]["succeeded"] == 4


def test_the_r_example_runs_in_an_image(scatter: User, r_base: str) -> None:
    scatter.ok("sub", "--foreach", "-i", r_base, "-n", "inside-r", "sample-scatter.r", timeout=300)

    assert table(scatter.result("inside-r-gather", 1, "results.csv")) == pytest.approx(RMSE, rel=1e-12)


# What is run


def test_only_the_first_phase_uploads_and_files_are_there_in_all_phases(scatter: User) -> None:
    scatter.write("words.txt", "hello")
    script = scatter.write(
        "reads.py",
        "def get_foreach_args(): return dict(elements=[open('words.txt').read()])\n"
        "def foreach(x): return x + open('words.txt').read()\n"
        "def gather(found): print(found, open('words.txt').read())\n",
    )

    lines = lines_of(scatter.ok("sub", "-n", "reads", "-u", "words.txt", "--foreach", "reads.py"))

    runner = (ROOT / "templates/foreach.py").stat().st_size
    known = lines[1] == f"2 files ({script.stat().st_size + 5} bytes) out of 4 files will be uploaded"
    assert known or lines[1] == f"3 files ({script.stat().st_size + 5 + runner} bytes) out of 4 files will be uploaded"
    assert lines[4] == lines[7] == "0 files (0 bytes) out of 4 files will be uploaded"
    assert lines[8] == "['hellohello'] hello"


def test_functions_are_chosen_elements_batched_and_nothing_need_be_gathered(scatter: User) -> None:
    scatter.write("score.py", "def rows(*n): return dict(elements=list(n))\ndef score(x): return x\n")

    lines = lines_of(
        scatter.ok(
            "sub", "-n", "score", "--getargs-function", "rows", "--foreach-function", "score", "--no-gather",
            "--foreach-batch-size", "2", "--interpreter", "python3 -E", "--foreach", "score.py", "--seq", "{b}", "c d",
        )
    )  # fmt: skip

    assert lines == [
        "Submitting job named score-getargs to execute score-getargs('--seq', '{b}', 'c d')",
        lines[1],
        FINISHED.format(1),
        *phase("evaluate score on 2 batches of up to 2 elements", job="score", done=2),
    ]


def test_a_foreach_that_is_saved_and_applied_is_the_one_that_sub_runs(scatter: User) -> None:
    flags = ["-n", "saved", "--foreach", "scatter.py", "1", "2"]
    scatter.ok("sub", *flags)

    scatter.ok("sub", "--save", "jobs/saved.yaml", *flags)
    planned = scatter.ok("apply", "jobs/saved.yaml")

    assert "script: ../scatter.py" in (scatter.folder / "jobs/saved.yaml").read_text()
    assert [line for line in planned.splitlines() if line.startswith("Plan:")] == [
        "Plan: 0 to run, 1 kept, 0 removed.",
        "Plan: 0 to run, 2 kept, 0 removed.",
        "Plan: 0 to run, 1 kept, 0 removed.",
    ]


def test_an_element_that_changes_runs_again_with_the_gather_and_a_script_that_is_edited_with_all(
    scatter: User,
) -> None:
    scatter.ok("sub", "-n", "few", "--foreach", "scatter.py", "1", "2", "3")
    before = started(scatter, "few")

    scatter.ok("sub", "-n", "few", "--rerun", "none", "--yes", "--foreach", "scatter.py", "1", "5", "3")
    one = again(scatter, "few", before)
    before = started(scatter, "few")
    scatter.write("scatter.py", SCATTER + "\n# edited\n")
    scatter.ok("sub", "-n", "few", "--rerun", "none", "--yes", "--foreach", "scatter.py", "1", "5", "3")

    assert one == ["few-getargs.1", "few.2", "few-gather.1"]
    assert again(scatter, "few", before) == ["few-getargs.1", "few.1", "few.2", "few.3", "few-gather.1"]
    assert scatter.log("few-gather.1") == "[10, 50, 30]\n"


def test_a_script_from_another_folder_runs_too(scatter: User) -> None:
    scatter.write("../scripts/far.py", SCATTER)

    scatter.ok("sub", "-n", "far", "--foreach", "../scripts/far.py", "4")

    assert scatter.log("far-gather.1") == "[40]\n"


def test_a_later_phase_runs_with_what_the_earlier_ones_left(scatter: User) -> None:
    scatter.ok("sub", "-n", "later", "--foreach", "scatter.py", "1", "2")
    before = started(scatter, "later")
    scatter.write("scatter.py", SCATTER.replace("print(results)", "print(sum(results))"))

    gathered = lines_of(scatter.ok("sub", "-n", "later", "--start-at", "gather", "--foreach", "scatter.py"))
    after_gather = again(scatter, "later", before)
    worked = lines_of(scatter.ok("sub", "-n", "later", "--start-at", "foreach", "--foreach", "scatter.py"))

    assert (after_gather, gathered[2]) == (["later-gather.1"], "30")
    assert worked[0] == "Submitting job named later to evaluate foreach on 2 elements"
    assert started(scatter, "later")["later-getargs.1"] == before["later-getargs.1"]


def test_nothing_begins_with_a_later_phase_if_there_is_no_earlier_one(scatter: User) -> None:
    done = scatter("sub", "-n", "never", "--start-at", "gather", "--foreach", "scatter.py")

    assert (done.returncode, done.stdout) == (2, "")
    assert "--start-at: it begins with what job never-getargs left, but there is no such job" in done.stderr


# Clients that go


def test_the_rest_happens_after_the_client_was_killed_and_watch_picks_it_up(scatter: User) -> None:
    gate = scatter.folder / "gate"
    with scatter.start("sub", "-n", "left", "--env", f"GATE={gate}", "--foreach", "scatter.py", "1", "2") as client:
        read_until(b"evaluate foreach", client)
        client.send_signal(signal.SIGKILL)

    with scatter.start("watch", "left") as watching:
        assert watching.stdout
        first = watching.stdout.readline().decode()
        gate.touch()
        rest = watching.stdout.read().decode()

    assert lines_of(first + rest) == [
        *phase("evaluate foreach on 2 elements", job="left", done=2),
        *phase("evaluate gather", job="left-gather", done=1, log=["[10, 20]"]),
    ]
    assert watching.returncode == 0


def test_ctrl_c_leaves_the_phases_running_and_says_how_to_come_back(scatter: User) -> None:
    gate = scatter.folder / "gate"
    client = scatter.start("sub", "-n", "on", "--env", f"GATE={gate}", "--foreach", "scatter.py", "1")
    read_until(b"evaluate foreach", client)

    client.send_signal(signal.SIGINT)
    _, errors = client.communicate(timeout=60)
    gate.touch()
    scatter.ok("wait", "on")

    assert client.returncode == 130
    assert b"job on goes on; come back to it with 'sparkles watch on'" in errors
    assert scatter.log("on-gather.1") == "[10]\n"


def test_a_foreach_that_runs_is_not_replaced_and_no_wait_says_what_is_known(scatter: User) -> None:
    gate = scatter.folder / "gate"
    flags = ["-n", "busy", "--env", f"GATE={gate}", "--no-wait", "--foreach", "scatter.py", "1", "x y"]

    submitted = scatter("sub", *[flag.replace("x y", "2") for flag in flags])
    refused = scatter("sub", *flags)
    gate.touch()
    scatter.ok("wait", "busy")

    assert lines_of(submitted.stdout)[0] == "Submitting job named busy-getargs to execute busy-getargs('1', '2')"
    assert "see it with 'sparkles watch busy'" in submitted.stderr
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.search(
        r"foreach busy has not ended: busy.* 'sparkles watch busy'.* 'sparkles kill busy'.* -n", refused.stderr
    )
    assert scatter.log("busy-gather.1") == "[10, 20]\n"


# What fails


def test_if_an_element_fails_nothing_is_gathered_and_retry_runs_that_element_and_the_gather(scatter: User) -> None:
    gate = scatter.folder / "gate"
    scatter.write(
        "fails.py",
        SCATTER.replace("def foreach(x, scale):\n", f"def foreach(x, scale):\n    if x == 2: open({str(gate)!r})\n"),
    )

    done = scatter("sub", "-n", "fails", "--foreach", "fails.py", "1", "2", "3")
    before = started(scatter, "fails")
    gate.touch()
    retried = scatter.ok("retry", "--wait", "fails")

    assert done.returncode == 1
    assert "evaluate gather" not in done.stdout
    assert lines_of(done.stdout)[-1] == "Job finished. 2 tasks completed successfully, 1 tasks failed"
    assert f"1 task failed: exit code 1, FileNotFoundError: [Errno 2] No such file or directory: {str(gate)!r}" in (
        done.stderr
    )
    assert "  sparkles logs fails.2\n  sparkles retry fails.2\n" in done.stderr
    assert (
        "fails-gather waits for that: 'sparkles retry fails' runs what failed again, as it was, and then the rest; "
        "if you change the script or its files, use sub again\n" in done.stderr
    )
    assert again(scatter, "fails", before) == ["fails.2", "fails-gather.1"]
    assert lines_of(retried)[-7:] == [
        *phase("evaluate foreach on 3 elements", job="fails", done=3),
        *phase("evaluate gather", job="fails-gather", done=1, log=["[10, 20, 30]"]),
    ]
    assert scatter.log("fails-gather.1") == "[10, 20, 30]\n"


def test_a_foreach_that_has_failed_is_replaced(scatter: User) -> None:
    scatter("sub", "-n", "twice", "--foreach", "scatter.py", "one")

    scatter.ok("sub", "-n", "twice", "--foreach", "scatter.py", "1")

    assert scatter.log("twice-gather.1") == "[10]\n"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("def get_foreach_args(x): pass", "get_foreach_args() missing 1 required positional argument"),
        ("def other(): pass", "no function 'get_foreach_args'"),
        ("def get_foreach_args(): return dict(elements=[1, lambda: 2])", "cannot be pickled"),
        ("def get_foreach_args(): return dict(elements=[])", "returned no elements"),
        ("def get_foreach_args(): return dict(elements=[1])", "no function 'foreach'"),
    ],
)  # fmt: skip
@pytest.mark.at_home("is about the script, and not about where it runs")
def test_what_is_wrong_with_a_script_is_printed(warm: User, script: str, says: str) -> None:
    warm.write("bad.py", script)

    done = warm("sub", "-n", "bad", "--foreach", "bad.py")

    assert done.returncode == 1
    assert says in done.stdout


def test_a_gather_that_waits_and_is_left_out_does_not_begin_and_is_not_followed(scatter: User) -> None:
    scatter("sub", "-n", "left-out", "--foreach", "scatter.py", "no-number")

    ran = scatter("sub", "-n", "left-out", "--no-gather", "--foreach", "scatter.py", "1")
    watched = scatter("watch", "left-out")
    nothing = scatter.ok("retry", "left-out")
    states = [row["state"] for row in scatter.rows("status", "left-out")]
    back = scatter("sub", "-n", "left-out", "--foreach", "scatter.py", "2")

    assert (ran.returncode, watched.returncode, back.returncode) == (0, 0, 0)
    assert (
        "hint: job left-out-gather is no part of left-out any more, and will not begin; remove it with "
        "'sparkles delete left-out-gather'\n" in ran.stderr
    )
    assert "gather" not in watched.stdout
    assert "there is nothing to retry" in nothing
    assert states == ["finished", "finished", "killed"]
    assert scatter.log("left-out-gather.1") == "[20]\n"
