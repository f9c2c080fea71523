"""What a task finds when it runs, how it may end, and what is kept of it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from conftest import User, eventually, lives


@dataclass(frozen=True)
class Ran:
    """A task that has ended, as `sub` and its result folder show it."""

    done: subprocess.CompletedProcess[str]
    #: All files of the result folder.
    kept: Mapping[str, bytes]

    @cached_property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kept["result.json"])
        return found

    @property
    def log(self) -> str:
        return self.kept["stdout.txt"].decode()

    @property
    def seconds(self) -> float:
        seconds: float = self.result["ended"] - self.result["started"]
        return seconds

    def files(self) -> list[str]:
        """Return the files of the result but for those of sparkles."""
        return sorted(self.kept.keys() - {"stdout.txt", "result.json"})


def run(user: User, name: str, *words: str) -> Ran:
    """Submit a job of one task, and wait for it, whatever becomes of it."""
    done = user("sub", "-n", name, *words)
    assert done.returncode in (0, 1), done.stderr
    return Ran(done, user.stores.files(f"{name}/1"))


@pytest.mark.parametrize(
    ("line", "code"),
    [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137)],
)
def test_the_exit_code_is_that_of_the_command(warm: User, line: str, code: int) -> None:
    row = run(warm, "exit", line)

    assert (row.result["exit"], row.result["reason"]) == (code, "exit")
    assert row.done.returncode == int(bool(code))
    assert f"{int(not code)} tasks completed successfully, {int(bool(code))} tasks failed" in row.done.stdout
    assert (f"1 task failed: exit code {code}" in row.done.stderr) == bool(code)


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        pytest.param(["no-such-program", "x"], 127, "no-such-program: command not found", id="not found"),
        pytest.param(["./missing"], 127, "./missing: command not found", id="no such path"),
        pytest.param(["-u", "plain", "./plain"], 126, "./plain: not executable; chmod +x", id="not executable"),
        pytest.param(["-u", "lost", "./lost"], 127, "the interpreter named in its first line", id="no interpreter"),
        pytest.param(["-u", "bytes", "./bytes"], 126, "neither a program of this machine nor", id="no program"),
        pytest.param(["-u", "good", "good"], 127, "to run the uploaded file write ./good", id="not on the path"),
    ],
)
def test_a_command_that_cannot_be_started_says_why(warm: User, words: list[str], code: int, hint: str) -> None:
    warm.write("plain", "echo hi\n")
    warm.write("lost", "#!/no/such/interpreter\n", executable=True)
    warm.write("bytes", b"\x00\x01\x02\x03", executable=True)
    warm.write("good", "#!/bin/sh\necho hi\n", executable=True)

    row = run(warm, "unstartable", *words)

    assert (row.done.returncode, row.result["exit"], row.result["reason"]) == (1, code, "exit")
    assert hint in row.log


def test_a_timeout_ends_the_command_and_all_it_started(warm: User) -> None:
    pid = warm.folder / "pid"

    row = run(warm, "slow", "--timeout", "1s", f"echo before; (sleep 300 & echo $! > {pid}; wait); echo after")

    assert (row.done.returncode, row.result["reason"]) == (1, "timeout")
    assert 1 <= row.seconds < 5
    assert row.log == "before\nsparkles: stopped after 1 s (timeout)\n"
    assert not lives(int(pid.read_text()))


def test_what_a_task_leaves_in_the_background_is_ended_with_it(warm: User) -> None:
    pid = warm.folder / "pid"

    row = run(warm, "background", f"sleep 300 & echo $! > {pid}; echo done")

    assert row.done.returncode == 0
    assert row.seconds < 5
    assert not lives(int(pid.read_text()))


def test_a_failed_task_is_tried_again(warm: User) -> None:
    row = run(warm, "tried", "--retries", "2", "echo attempt $SPARKLES_ATTEMPT; [ $SPARKLES_ATTEMPT = 3 ]")
    given_up = run(warm, "untiring", "--retries", "1", "exit 7")

    assert (row.done.returncode, row.result["attempt"]) == (0, 3)
    assert row.log == "attempt 3\n"
    assert (given_up.done.returncode, given_up.result["attempt"], given_up.result["exit"]) == (1, 2, 7)


def test_only_the_failures_that_the_manifest_names_are_tried_again(warm: User) -> None:
    spec = {"command": "exit 7", "retries": {"limit": 3, "on": ["timeout"]}}
    manifest = {"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "picky"}, "spec": spec}

    done = warm("apply", "--wait", "-f", "-", input=json.dumps(manifest))

    assert done.returncode == 1
    assert warm.rows("list", "picky")[0]["attempts"] == 1


def test_a_killed_task_keeps_what_it_wrote(warm: User) -> None:
    warm.ok("sub", "-n", "killed", "--no-wait",
            f"echo started; trap 'echo bye; exit 0' TERM; touch {warm.folder}/up; while :; do :; done")  # fmt: skip
    eventually((warm.folder / "up").exists)

    assert warm.ok("kill", "killed.1") == "killed: 1 task stopped\n"
    code = warm("wait", "killed").returncode

    (row,) = warm.rows("list", "killed")
    assert (code, row["state"], row["reason"]) == (1, "killed", "killed")
    assert warm.ok("logs", "killed.1") == "started\nbye\n"


def test_stdin_is_empty(warm: User) -> None:
    assert run(warm, "stdin", "cat; wc -c < /dev/stdin; readlink /proc/self/fd/0 || true").log.startswith("0\n")


def test_output_and_errors_are_one_log_as_they_came(warm: User) -> None:
    assert run(warm, "both", "echo 1; echo 2 >&2; echo 3; echo 4 >&2; printf end").log == "1\n2\n3\n4\nend"


def test_a_binary_log_is_not_mangled(warm: User) -> None:
    row = run(warm, "binary", "python3", "-c", "import os; [os.write(1, bytes(range(256))) for _ in range(300)]")
    printed = subprocess.run(
        warm.argv("logs", "binary.1"), cwd=warm.folder, env=warm.environment(), capture_output=True, check=True
    )

    assert row.kept["stdout.txt"] == bytes(range(256)) * 300
    assert printed.stdout == bytes(range(256)) * 300


def environment(row: Ran) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in row.log.split("\0") if entry)


def test_the_environment_is_that_of_the_submitting_shell_and_of_the_job(warm: User) -> None:
    warm.env |= {"MINE": "a  b\nc", "BOTH": "shell"}

    found = environment(run(warm, "env", "--env", "BOTH=job", "--env", "INDEX={index}", "env", "-0"))

    assert found["MINE"] == "a  b\nc"
    assert found["BOTH"] == "job"
    assert found["INDEX"] == "1"
    assert (found["SPARKLES_JOB"], found["SPARKLES_ATTEMPT"]) == ("env", "1")
    assert "SPARKLES_TASK_INDEX" not in found
    assert Path(found["PWD"]).is_absolute()


def test_the_index_is_in_the_environment_of_a_sequence(warm: User) -> None:
    found = environment(run(warm, "seq", "--seq", "1", "env", "-0"))

    assert found["SPARKLES_TASK_INDEX"] == "1"


def test_the_shell_environment_is_kept_for_its_owner_alone(warm: User) -> None:
    warm.env["PASSWORD"] = "a-secret-of-mine"
    row = run(warm, "secret", "echo hi")

    holders = [
        path for path in warm.sparkles_home.rglob("*") if path.is_file() and b"a-secret-of-mine" in path.read_bytes()
    ]

    assert {path.parent.name for path in holders} == {"environments"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in holders} == {0o600}
    assert stat.S_IMODE(warm.sparkles_home.stat().st_mode) == 0o700
    assert "a-secret" not in warm.ok("get", "secret") + json.dumps(row.result)


def test_the_work_directory_is_the_tasks_own_and_is_removed(warm: User) -> None:
    warm.write("in.txt", "x")

    first = run(warm, "work", "-u", "in.txt", "pwd; ls -A; touch left").log.split()
    second = run(warm, "work", "-u", "in.txt", "pwd; ls -A; touch left").log.split()

    assert first[1:] == second[1:] == ["in.txt"]
    assert first[0] != second[0]
    eventually(lambda: not os.path.exists(first[0]) and not os.path.exists(second[0]))


def test_new_and_changed_files_are_results_and_untouched_uploads_are_not(warm: User) -> None:
    warm.write("data/in.txt", "in")
    warm.write("data/edit.txt", "edit")
    warm.write("rewritten.txt", "same")

    row = run(warm, "outputs", "-u", "data", "-u", "rewritten.txt",
              "echo more >> data/edit.txt; mkdir -p new/deep empty; echo n > new/deep/n; echo s > 'a b'; "
              "cp rewritten.txt t; mv t rewritten.txt")  # fmt: skip

    assert row.files() == ["a b", "data/edit.txt", "new/deep/n", "rewritten.txt"]
    assert row.kept["data/edit.txt"] == b"editmore\n"


def test_links_that_lead_outside_are_not_followed(warm: User) -> None:
    secret = warm.write("outside/secret.txt", "secret")

    row = run(warm, "links", f"echo inside > in; ln -s in good; ln -s {secret} bad; ln -s {secret.parent} badfolder; "
              "ln -s nowhere dangling; ln -s . circle; mkfifo pipe")  # fmt: skip

    assert row.done.returncode == 0
    assert row.files() == ["good", "in"]
    assert row.kept["good"] == b"inside\n"
    notes = row.result["notes"]
    assert {note.split(":")[0] for note in notes} == {"bad", "badfolder", "dangling", "circle", "pipe"}


def test_files_named_like_those_of_sparkles_are_kept_under_another_name(warm: User) -> None:
    row = run(
        warm, "clash", "echo mine > stdout.txt; echo '{}' > result.json; mkdir sub; echo 2 > sub/stdout.txt; echo log"
    )

    assert row.log == "log\n"
    assert row.files() == ["result.task.json", "stdout.task.txt", "sub/stdout.txt"]
    assert row.kept["stdout.task.txt"] == b"mine\n"
    assert any("stdout.txt: kept as stdout.task.txt" in note for note in row.result["notes"])
    assert {file["name"] for file in row.result["files"]} == set(row.files())


def test_results_and_ignore_choose_the_files(warm: User) -> None:
    choice = ["--results", "*.csv", "--results", "plots/**", "--ignore", "tmp*", "--ignore", "old/**"]

    row = run(
        warm,
        "chosen",
        *choice,
        "mkdir -p plots/a old sub; touch x.csv x.txt tmp.csv plots/a/p.png plots/tmp1 old/o.csv sub/s.csv",
    )

    assert row.files() == ["plots/a/p.png", "sub/s.csv", "x.csv"]


def test_the_executable_bit_travels(warm: User) -> None:
    warm.write("tool.sh", "#!/bin/sh\necho ran; echo '#!/bin/sh' > made; chmod +x made\n", executable=True)

    row = run(warm, "exec", "-u", "tool.sh:bin/renamed.sh", "bin/renamed.sh")
    warm.ok("fetch", "exec", "results")

    assert row.log == "ran\n"
    assert os.access(warm.folder / "results/1/made", os.X_OK)


def test_a_carried_word_is_uploaded(warm: User) -> None:
    warm.write("tool.sh", "echo ran $1\n")

    assert run(warm, "carried", "sh", "^tool.sh", "^^x").log == "ran ^x\n"


def test_cd_is_where_the_command_starts(warm: User) -> None:
    warm.write("data/in.txt", "in\n")

    row = run(warm, "cd", "-u", "data/in.txt", "--cd", "data/deeper", "cat ../in.txt; basename $PWD; touch out ../up")

    assert row.log == "in\ndeeper\n"
    assert row.files() == ["data/deeper/out", "data/up"]


def test_a_folder_is_uploaded_with_its_structure_and_renamed(warm: User) -> None:
    warm.write("tree/a.txt", "a")
    warm.write("tree/deep/b c.txt", "b")
    outside = warm.write("elsewhere/d.txt", "d")

    row = run(warm, "tree", "-u", "tree:renamed/x", "-u", str(outside), "find . -type f | sort")

    assert row.log.split("\n")[:-1] == ["./d.txt", "./renamed/x/a.txt", "./renamed/x/deep/b c.txt"]


def test_each_row_can_have_its_own_upload(warm: User) -> None:
    warm.write("samples/A.txt", "of A\n")
    warm.write("samples/B.txt", "of B\n")
    warm.write("rows.csv", "sample\nA\nB\n")

    warm.ok("sub", "-n", "own", "--params", "rows.csv", "-u", "samples/{sample}.txt:in.txt", "ls; cat in.txt")

    assert warm.ok("logs", "own.1") == "in.txt\nof A\n"
    assert warm.ok("logs", "own.2") == "in.txt\nof B\n"


def test_a_changed_upload_runs_the_task_again_and_the_same_one_does_not(warm: User) -> None:
    source = warm.write("in.txt", "one\n")
    manifest = warm.ok("sub", "-n", "content", "-u", "in.txt", "--dry-run", "-o", "yaml", "cat", "in.txt")
    warm.ok("apply", "--wait", "-f", "-", input=manifest)

    os.utime(source, (1, 1))
    touched = warm("diff", "-f", "-", input=manifest)
    source.write_text("two\n")
    os.utime(source, (1, 1))
    warm.ok("apply", "--wait", "-f", "-", input=manifest)

    assert touched.returncode == 0
    assert warm.ok("logs", "content.1") == "two\n"


def test_tasks_run_at_the_same_time_up_to_the_slots(warm: User) -> None:
    meet = warm.folder / "meet"
    meet.mkdir()

    line = f"touch {meet}/{{index}}; until [ $(ls {meet} | wc -l) -eq 3 ]; do sleep 0.02; done"
    warm.ok("sub", "-n", "together", "--slots", "3", "--seq", "3", "--timeout", "20s", line)

    assert warm.job("together")["succeeded"] == 3


def test_a_task_runs_with_hostile_names_around(warm: User) -> None:
    name = "a 'b' \"c\" $d;\\e é\n.txt"
    warm.write(name, "content")

    row = run(warm, "hostile", "-u", name, "sh", "-c", 'cp "$1" "copy of $1"', "-", name)
    warm.ok("fetch", "hostile", "results")

    assert [file["name"] for file in row.result["files"]] == [f"copy of {name}"]
    assert (warm.folder / "results/1" / f"copy of {name}").read_text() == "content"


def test_paths_that_are_too_long_cost_the_files_and_not_the_task(warm: User) -> None:
    deep = "import os\nfor _ in range(20):\n    os.mkdir('d' * 250); os.chdir('d' * 250)\nprint('ok')"

    warm.ok("sub", "-n", "deep", "python3", "-c", deep)

    assert warm.log("deep.1").startswith("ok\nsparkles: its files could not be looked through, so none is kept: ")
    assert warm.rows("list", "deep")[0]["attempts"] == 1
    assert json.loads(warm.result("deep", 1, "result.json"))["notes"]
    work = warm.sparkles_home / "work"
    eventually(lambda: not [path for node in work.iterdir() for path in node.iterdir()])
