"""Jobs in images, as a user runs them: the manual's R example, files, memory, digests, and what is left behind."""

from __future__ import annotations

import json
import os
import signal
from itertools import pairwise

import pytest
from conftest import User, eventually
from engine import containers, remove_images

SAMPLE = """
fit <- lm(dist ~ speed, data = cars)
cat(sprintf("slope %.4f\\n", coef(fit)[["speed"]]))
write.csv(data.frame(slope = coef(fit)[["speed"]]), "fit.csv")
"""


def test_the_manuals_r_example(user: User, r_base: str) -> None:
    user.write("sample.R", SAMPLE)

    out = user.ok("sub", "-i", r_base, "-u", "sample.R", "Rscript", "sample.R")

    assert "1 files (" in out
    assert "] slope 3.9324\n" in out
    assert "Job finished. 1 tasks completed successfully, 0 tasks failed" in out
    (name,) = [row["job"] for row in user.rows("status")]
    assert user.result(name, 1, "fit.csv") == b'"","slope"\n"1",3.93240875912409\n'


def test_the_manuals_list_of_files_in_an_image(user: User, r_base: str) -> None:
    user.write("sample.R", 'print(readRDS("data.Rds"))\n')
    user.write("files.txt", "sample.R\ndata.Rds\n")
    user.ok("sub", "-n", "make", "-i", r_base, "Rscript", "-e", 'saveRDS("from a file", "data.Rds")')
    user.write("data.Rds", user.result("make", 1, "data.Rds"))

    user.ok("sub", "-n", "use", "-i", r_base, "-u", "@files.txt", "Rscript", "sample.R")

    assert user.log("use.1") == '[1] "from a file"\n'


@pytest.mark.at_home("is what --local means")
def test_the_manuals_sequence_one_at_a_time(user: User, busybox: str) -> None:
    now = "cut -d ' ' -f 1 /proc/uptime >> times"
    user.write("run.sh", f'#!/bin/sh\necho I am task "$1"\n{now}\nsleep 0.2\n{now}\n', executable=True)

    out = user.ok("sub", "--local", "-n", "three", "-i", busybox, "-u", "run.sh", "--seq", "3", "./run.sh", "{index}")

    assert "Job finished. 3 tasks completed successfully, 0 tasks failed" in out
    assert [user.log(f"three.{n}") for n in (1, 2, 3)] == [f"I am task {n}\n" for n in (1, 2, 3)]
    spans = sorted([float(text) for text in user.result("three", n, "times").split()] for n in (1, 2, 3))
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_what_a_task_in_an_image_is_given(user: User, busybox: str) -> None:
    user.env["OF_THE_SHELL"] = "no"

    user.ok("sub", "-n", "env", "-i", busybox, "--seq", "1", "--env", "MINE=a b", "--cd", "sub", "sh", "-c", "env; pwd")

    lines = user.log("env.1").splitlines()
    assert {"MINE=a b", "SPARKLES_JOB=env", "SPARKLES_ATTEMPT=1", "SPARKLES_TASK_INDEX=1"} <= set(lines)
    assert not [line for line in lines if line.startswith(("OF_THE_SHELL", "SPARKLES_HOME"))]
    assert lines[-1].endswith("/sub")


def test_files_come_back_and_go_away_whatever_their_modes(user: User, busybox: str) -> None:
    line = "mkdir d; echo x > d/f; chmod 000 d/f d; ln -s /etc/passwd out; ln -s d/f in"

    user.ok("sub", "-n", "modes", "-i", busybox, line)
    user.wait_for("modes", succeeded=1)

    assert user.result("modes", 1, "d/f") == b"x\n"
    assert user.result("modes", 1, "in") == b"x\n"
    (node,) = user.nodes()
    eventually(lambda: not list((user.sparkles_home / "work" / node.name).iterdir()))


@pytest.mark.at_home("objects of a bucket are no files of anybody's")
def test_what_a_task_in_an_image_leaves_is_the_submitters(user: User, busybox: str) -> None:
    user.ok("sub", "-n", "mine", "-i", busybox, "mkdir d; echo x > d/f")

    assert (user.sparkles_home / "objects" / "mine" / "1" / "d" / "f").stat().st_uid == os.getuid()


def test_too_much_memory_is_named_and_can_be_retried(user: User, busybox: str) -> None:
    line = "x=$(head -c 99999999 /dev/zero | tr '\\0' x); echo never"
    manifest = {"limit": 1, "on": ["out-of-memory"]}
    user.write("job.yaml", json.dumps({
        "apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "big"},
        "spec": {"image": busybox, "command": line, "resources": {"memory": "16M"}, "retries": manifest},
    }))  # fmt: skip

    done = user("apply", "--wait", "job.yaml")

    assert done.returncode == 1
    (task,) = user.rows("list", "big")
    assert (task["state"], task["reason"], task["attempts"]) == ("failed", "out-of-memory", 2)
    assert "needed more than 16M of memory; --memory allows it more" in user.log("big.1")
    assert "1 task failed: out of memory\n" in done.stderr
    now, _, before = user.ok("why", "big.1").partition("big.1: attempt 1 on node ")
    assert now.startswith("big.1: it failed: it needed more memory than it may use; ")
    assert "\n  give it more (--memory, " in now
    assert "it needed more memory than it may use; it last wrote: sparkles: stopped because" in before
    assert before.endswith("\n  sparkles logs big.1 --attempt 1\n")


def test_a_running_container_can_be_killed(user: User, busybox: str, api) -> None:
    user.ok(
        "sub",
        "-n",
        "long",
        "--no-wait",
        "-i",
        busybox,
        "sh",
        "-c",
        "trap 'echo bye; exit' TERM; echo up; sleep 600 & wait",
    )
    (container,) = eventually(lambda: containers(api, sparkles_task="long.1"))
    eventually(lambda: user("logs", "long.1").stdout == "up\n")

    user.ok("kill", "long", "--yes")

    user.wait_for("long", killed=1)
    eventually(lambda: container not in containers(api, sparkles_task="long.1"))


def test_a_time_out_ends_a_container(user: User, busybox: str, api) -> None:
    user.set_timing(grace=0.2)

    done = user("sub", "-n", "slow", "-i", busybox, "--timeout", "1s", "sh", "-c", "trap '' TERM; while :; do :; done")

    assert done.returncode == 1
    assert user.rows("list", "slow")[0]["reason"] == "timeout"
    assert containers(api, sparkles_task="slow.1") == []


def test_apply_keeps_the_image_until_it_is_told_to_refresh(user: User, make_image, api) -> None:
    old = make_image("moves")
    user.write("job.yaml", json.dumps({
        "apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "pinned"},
        "spec": {"image": "sparkles-test/moves", "command": ["true"]},
    }))  # fmt: skip
    user.ok("apply", "--wait", "job.yaml")
    new = make_image("moves", None, "LABEL other=one")

    kept = user("apply", "job.yaml")
    diff = user("diff", "--refresh-image", "job.yaml")
    user.ok("apply", "--wait", "--refresh-image", "--yes", "job.yaml")
    again = user("apply", "job.yaml")

    assert "nothing to do" in kept.stdout
    assert "this job keeps the one that it has: --refresh-image takes the new one" in kept.stderr
    assert diff.returncode == 1
    assert json.loads(user.result("pinned", 1, "result.json"))["image"] == new != old
    assert "nothing to do" in again.stdout
    assert again.stderr == ""
    remove_images(api, old)


def test_a_job_whose_image_stays_can_be_changed_without_an_engine(user: User, busybox: str) -> None:
    user.write("job.yaml", json.dumps({
        "apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "kept"},
        "spec": {"image": busybox, "command": ["true"]},
    }))  # fmt: skip
    user.ok("apply", "--wait", "job.yaml")
    user.env["DOCKER_HOST"] = f"unix://{user.folder}/none.sock"

    assert "nothing to do" in user.ok("apply", "job.yaml")


def test_no_job_is_changed_if_the_image_of_another_cannot_be_had(user: User) -> None:
    gone = f"sha256:{'0' * 64}"
    documents = [
        {"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"command": ["true"], **spec}}
        for name, spec in (("first", {}), ("second", {"image": gone}))
    ]
    user.write("jobs.yaml", "---\n".join(json.dumps(document) + "\n" for document in documents))

    done = user("apply", "jobs.yaml")

    assert done.returncode == 3
    assert f"job second, image '{gone}'" in done.stderr
    assert "build it anew" in done.stderr
    assert user.rows("status") == []


def test_a_submission_takes_the_image_that_the_name_means_now(user: User, make_image, api) -> None:
    old = make_image("anew")
    user.ok("sub", "-n", "anew", "-i", "sparkles-test/anew", "true")
    new = make_image("anew", None, "LABEL other=one")

    user.ok("sub", "-n", "anew", "-i", "sparkles-test/anew", "true")

    assert json.loads(user.result("anew", 1, "result.json"))["image"] == new != old
    assert f"image: {new}" in user.ok("get", "anew")
    remove_images(api, old)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        pytest.param(["-i", "Not An Image"], 2, "'Not An Image' is not the name of an image", id="no name"),
        pytest.param(["-i", "Alpine"], 2, "did you mean 'alpine'?", id="capitals"),
        pytest.param(["-i", "127.0.0.1:1/x"], 3, "not on this machine, and 127.0.0.1:1 cannot be asked", id="silence"),
        pytest.param(["-i", "BUSYBOX", "--memory", "64k"], 2, "the least is 6M", id="too little memory"),
        pytest.param(["-i", "BUSYBOX", "--memory", "8388608T"], 2, "more than any machine has", id="too much memory"),
        pytest.param(["-i", "BUSYBOX", "--memory", "lots"], 2, "a number and a unit such as 512M, 4G", id="no size"),
    ],
)
def test_a_bad_image_changes_nothing(user: User, busybox: str, words, code, message) -> None:
    words = [busybox if word == "BUSYBOX" else word for word in words]

    done = user("sub", *words, "echo")

    assert done.returncode == code
    assert message in done.stderr
    assert done.stdout == ""
    assert user.rows("status") == []


def test_without_an_engine_both_ways_out_are_named(user: User) -> None:
    user.env["DOCKER_HOST"] = f"unix://{user.folder}/none.sock"

    done = user("sub", "-i", "alpine", "echo")

    assert done.returncode == 3
    assert "no docker engine answers" in done.stderr
    assert "leave the image out" in done.stderr


def test_memory_without_an_image_is_said_to_hold_nothing(user: User) -> None:
    assert "nothing keeps a task from using more" in user("sub", "--memory", "4G", "true").stderr


def test_a_killed_worker_leaves_no_container_after_the_next_sweep(user: User, busybox: str, api) -> None:
    user.set_timing(heal=0.2)
    line = "echo start >> log; [ $SPARKLES_ATTEMPT = 2 ] || sleep 600; echo end"
    user.ok("sub", "-n", "left", "--no-wait", "-i", busybox, "--seq", "2", "--slots", "2", "sh", "-c", line)
    eventually(lambda: len(containers(api, sparkles_task="left.1") + containers(api, sparkles_task="left.2")) == 2)
    (node,) = user.nodes()
    eventually(lambda: user.job("left")["claimed"] == 2)

    os.kill(node.pid, signal.SIGKILL)
    out = user.ok("watch", "left")

    assert "Job finished. 2 tasks completed successfully, 0 tasks failed" in out
    assert containers(api, sparkles_node=node.name) == []
    assert [user.result("left", n, "log") for n in (1, 2)] == [b"start\n"] * 2
