"""Whatever dies in the middle of a job, the job ends, and each task has exactly one committed result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from conftest import ROOT, User, eventually, lives, until

#: A task that says when it starts and then waits, but for the first three. It, its child and its grandchild hold a
#: lock; whoever finds the lock taken when it starts says so.
TASK = """
import fcntl, os, subprocess, sys, time
from pathlib import Path

folder, index = Path(sys.argv[1]), sys.argv[2]
lock = open(folder / f"lock.{index}", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    (folder / f"overlap.{index}").touch()
subprocess.Popen(["sh", "-c", "sleep 300 & wait"], pass_fds=[lock.fileno()])
starts = os.open(folder / "starts", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(starts, f"{index:>3}\\n".encode())
before_me = os.lseek(starts, 0, os.SEEK_CUR) // 4 - 1
while before_me >= 3 and not (folder / "go").exists():
    time.sleep(0.02)
print("ok", index)
"""


def starts(user: User) -> list[str]:
    """Return the tasks that were started, in that order."""
    path = user.folder / "starts"
    return path.read_text().split() if path.exists() else []


def results(user: User, job: str) -> list[Mapping[str, Any]]:
    user.ok("fetch", job, "results")
    folders = sorted((user.folder / "results").iterdir(), key=lambda folder: int(folder.name))
    return [json.loads((folder / "result.json").read_text()) for folder in folders]


def the_node(user: User) -> Any:
    """Return the one node, once its process has taken its record."""
    return eventually(lambda: next((node for node in user.nodes() if node.pid), None))


def read_until(process: subprocess.Popen[bytes], words: str) -> str:
    """Read what a command prints up to a line that holds `words`."""
    assert process.stdout
    read = ""
    while words not in read:
        line = process.stdout.readline().decode()
        assert line, f"it ended without {words!r}:\n{read}"
        read += line
    return read


def test_a_killed_worker_costs_no_task(user: User) -> None:
    user.set_timing(heal=0.2)
    user.write("task.py", TASK)
    client = user.start("sub", "-n", "twelve", "--slots", "4", "--seq", "12", "-u", "task.py",
                        "python3", "-S", "task.py", str(user.folder), "{index}")  # fmt: skip
    eventually(lambda: len(starts(user)) == 7)
    user.wait_for("twelve", succeeded=3)
    lost = starts(user)[3:]
    first = the_node(user)

    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: len(starts(user)) == 11)
    (user.folder / "go").touch()
    out, _ = client.communicate(timeout=60)

    assert client.returncode == 0
    assert "Job finished. 12 tasks completed successfully, 0 tasks failed" in out.decode()
    assert not list(user.folder.glob("overlap.*"))
    assert Counter(starts(user)) == Counter([*(str(n) for n in range(1, 13)), *lost])
    assert [result["index"] for result in results(user, "twelve")] == list(range(1, 13))
    assert [user.ok("logs", f"twelve.{n}") for n in (1, 4, 12)] == ["ok 1\n", "ok 4\n", "ok 12\n"]
    assert [node.name for node in user.nodes()] != [first.name]


def test_a_job_ends_without_its_client(user: User) -> None:
    client = user.start("sub", "-n", "alone", "--slots", "1", "--seq", "3", "sh", "-c", "sleep 0.1; echo {index}")
    read_until(client, "staging")

    os.killpg(client.pid, signal.SIGKILL)
    client.communicate()

    user.wait_for("alone", state="finished", succeeded=3)
    assert [result["exit"] for result in results(user, "alone")] == [0, 0, 0]


def test_a_worker_that_hangs_is_killed_and_its_tasks_run_elsewhere(user: User) -> None:
    user.set_timing(hung=1.5, beat=0.2, heal=0.2)
    go = user.folder / "go"
    client = user.start("sub", "-n", "hung", "--slots", "2", "--seq", "2",
                        f"echo {{index}} >> {user.folder}/starts; {until(go)}; echo done")  # fmt: skip
    eventually(lambda: len(starts(user)) >= 2)
    stopped = the_node(user)

    os.kill(stopped.pid, signal.SIGSTOP)
    eventually(lambda: not lives(stopped.pid))
    eventually(lambda: len(starts(user)) >= 4)
    go.touch()
    client.communicate(timeout=60)

    assert client.returncode == 0
    committed = results(user, "hung")
    assert [result["index"] for result in committed] == [1, 2]
    assert all(result["node"] != stopped.name for result in committed)
    assert [(task["attempts"], task["state"]) for task in user.rows("list", "hung")] == [(2, "succeeded")] * 2


def test_a_worker_that_outlived_its_lease_commits_nothing(user: User) -> None:
    user.set_timing(lease=3.0, claim_margin=1.2, term_margin=0.8, kill_margin=0.4, beat=0.2, heal=0.2)
    go = user.folder / "go"
    user.ok("sub", "-n", "late", "--no-wait", f"echo 1 >> {user.folder}/starts; {until(go)}; echo done")
    eventually(lambda: starts(user))
    stopped = the_node(user)
    os.kill(stopped.pid, signal.SIGSTOP)
    since = time.monotonic()
    go.touch()

    eventually(lambda: time.monotonic() - since > 3.0)
    os.kill(stopped.pid, signal.SIGCONT)
    eventually(lambda: not lives(stopped.pid))
    left = user.job("late")
    fetched = user.ok("fetch", "late", "early")
    watched = user.ok("watch", "late")

    assert (left["claimed"], left["succeeded"]) == (1, 0)
    assert fetched == ""
    assert "1 tasks completed successfully" in watched
    (result,) = results(user, "late")
    assert result["node"] != stopped.name


def test_a_terminated_worker_gives_its_tasks_back(user: User) -> None:
    go = user.folder / "go"
    user.ok("sub", "-n", "back", "--no-wait", "--slots", "2", "--seq", "3",
            f"echo {{index}} >> {user.folder}/starts; {until(go)}; echo done")  # fmt: skip
    eventually(lambda: len(starts(user)) == 2)
    node = the_node(user)

    os.kill(node.pid, signal.SIGTERM)
    eventually(lambda: not lives(node.pid))

    assert user.job("back")["pending"] == 3
    assert not user.nodes()
    assert not (user.sparkles_home / "work" / node.name).exists()
    go.touch()
    user.ok("watch", "back")
    tasks = user.rows("list", "back")
    assert [(task["state"], task["attempts"]) for task in tasks] == [("succeeded", 1)] * 3
    assert user.ok("logs", "back.1") == "done\n"


def test_ctrl_c_leaves_the_job_running(user: User) -> None:
    go = user.folder / "go"
    client = user.start("sub", "-n", "mine", f"{until(go)}; echo done")
    read_until(client, "tasks: claimed (1)")

    os.killpg(client.pid, signal.SIGINT)
    _, said = client.communicate(timeout=30)

    assert client.returncode == 130
    assert "job mine goes on" in said.decode()
    assert "'sparkles watch mine'" in said.decode()
    assert "Traceback" not in said.decode()
    go.touch()
    user.ok("wait", "mine")
    assert user.ok("logs", "mine") == "done\n"


def test_clients_at_once_start_one_node(user: User) -> None:
    clients = [user.start("sub", "-n", name, "--seq", "4", "echo", name) for name in ("one", "two", "three")]

    ended = [client.communicate(timeout=60) for client in clients]

    assert [client.returncode for client in clients] == [0, 0, 0], ended
    assert len(user.nodes()) == 1
    assert os.listdir(user.sparkles_home / "nodes") == [user.nodes()[0].name]
    assert [job["succeeded"] for job in user.rows("status")] == [4, 4, 4]


def test_a_node_leaves_after_its_linger_without_a_trace(user: User) -> None:
    spec = {"command": "echo done > out.txt", "nodes": {"linger": "1s"}}
    manifest = {"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "go"}, "spec": spec}
    user.write("job.yaml", json.dumps(manifest))
    user.ok("apply", "--wait", "job.yaml")

    (node,) = user.nodes()
    user.wait_for_nodes_to_leave()
    gone = time.time()

    with user.stores.state() as state:
        (task,) = state.tasks("go")
    assert task.ended is not None
    assert gone - task.ended > 0.9
    eventually(lambda: not lives(node.pid))
    assert os.listdir(user.sparkles_home / "work") == []
    assert "of 1 result copied" in user.ok("fetch", "go", "results")


def test_a_worker_that_cannot_start_is_given_up_with_its_last_words(user: User) -> None:
    broken = "import os, sys\nif '-c' in sys.orig_argv: os.write(2, b'no disk in drive A'); os._exit(1)"
    user.write("broken/sitecustomize.py", broken)
    user.set_timing(heal=0.2)
    user.env["PYTHONPATH"] = f"{user.folder}/broken:{ROOT}"

    done = user("sub", "-n", "never", "echo", "hi")

    assert done.returncode == 3
    assert "3 nodes died before they did anything; the last one said:" in done.stderr
    assert "no disk in drive A" in done.stderr
    assert "Traceback" not in done.stderr
    assert user.job("never")["pending"] == 1
    del user.env["PYTHONPATH"]
    assert "] hi" in user.ok("watch", "never")


def test_a_submission_does_not_count_on_a_dead_node(user: User) -> None:
    user.ok("sub", "-n", "first", "echo", "hi")
    node = the_node(user)
    os.kill(node.pid, signal.SIGKILL)
    eventually(lambda: not lives(node.pid))

    user.ok("sub", "-n", "second", "--no-wait", "echo", "hi")

    eventually(lambda: user.job("second")["succeeded"] == 1)
