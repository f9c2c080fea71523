"""The manual's sessions, line by line."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path
from zlib import crc32

import pytest
from conftest import User, eventually, until


def done(user: User, job: str) -> str:
    """Return the last line about a job."""
    return f"Done waiting for job. You can download results via '{user.stores.download_line(job)}'"


def shown(output: str) -> list[str]:
    """Return the lines of a session without those that only show on a slow machine."""
    return [line for line in output.splitlines() if not line.startswith("tasks: claimed")]


def logs_of(folder: Path) -> dict[str, str]:
    """Return the stdout.txt of each numbered folder."""
    return {path.name: (path / "stdout.txt").read_text() for path in sorted(folder.iterdir())}


def test_hello_world_prints_the_lines_of_the_manual(user: User) -> None:
    ran = user("sub", "echo", "hello", "world")

    *lines, last = shown(ran.stdout)
    assert lines[:3] == [
        "0 files (0 bytes) out of 1 files will be uploaded",
        "tasks: pending (1), worker nodes:",
        "tasks: pending (1), worker nodes: staging (1)",
    ]
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\] hello world", lines[3])
    assert lines[4:] == ["Job finished. 1 tasks completed successfully, 0 tasks failed"]
    assert re.fullmatch(done(user, r"\d{8}-\d{6}-[0-9a-f]{4}"), last)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_sequence_makes_numbered_folders(warm: User) -> None:
    lines = shown(warm.ok("sub", "-n", "three", "--seq", "3", "echo", "I", "am", "task", "{index}"))
    warm.ok("fetch", "three", "results")

    assert lines[:2] == [
        "0 files (0 bytes) out of 1 files will be uploaded",
        "tasks: pending (3), worker nodes:",
    ] or lines[1].startswith("tasks: pending (3), worker nodes: running (1)")
    assert lines[-2:] == ["Job finished. 3 tasks completed successfully, 0 tasks failed", done(warm, "three")]
    assert logs_of(warm.folder / "results") == {str(n): f"I am task {n}\n" for n in (1, 2, 3)}


TABLE = "lambda,size\n0.1,small\n1.0,large\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(TABLE.encode(), id="plain"),
        pytest.param(codecs.BOM_UTF8 + TABLE.encode(), id="with a byte order mark"),
        pytest.param(TABLE.replace("\n", "\r").encode(), id="CR"),
        pytest.param(TABLE.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(TABLE.encode("utf-16"), id="UTF-16"),
        pytest.param(b'"lambda","size"\n"0.1","small"\n"1.0","large"\n', id="quoted"),
        pytest.param(b" lambda , size \n0.1,small\n\n1.0,large", id="spaced header, blank line, no last newline"),
    ],
)
def test_a_csv_file_makes_a_task_of_each_row(warm: User, content: bytes) -> None:
    warm.write("parameters.csv", content)
    name = f"csv-{crc32(content)}"

    lines = warm.ok("sub", "-n", name, "--params", "parameters.csv", "echo", "{lambda}", "{size}").splitlines()
    warm.ok("fetch", name, "results")

    assert lines[0] == f"1 files ({len(content)} bytes) out of 2 files will be uploaded"
    assert logs_of(warm.folder / "results") == {"1": "0.1 small\n", "2": "1.0 large\n"}


def test_an_uploaded_script_is_there_when_the_command_runs(warm: User) -> None:
    script = warm.write("sample.sh", "echo from the script\n")

    first = warm.ok("sub", "-n", "script", "-u", "sample.sh", "sh", "sample.sh").splitlines()
    again = warm.ok("sub", "-n", "script", "-u", "sample.sh", "sh", "sample.sh").splitlines()

    assert first[0] == f"1 files ({script.stat().st_size} bytes) out of 2 files will be uploaded"
    assert again[0] == "0 files (0 bytes) out of 2 files will be uploaded"
    assert any(line.endswith("] from the script") for line in again)


def test_a_list_of_files_is_uploaded(warm: User) -> None:
    warm.write("data/one.txt", "one\n")
    warm.write("two.txt", "two\n")
    warm.write("files.txt", "# what the task reads\ndata/one.txt\n\ntwo.txt:renamed.txt\n")

    lines = warm.ok("sub", "-n", "listed", "-u", "@files.txt", "cat", "data/one.txt", "renamed.txt").splitlines()

    assert lines[0] == "2 files (8 bytes) out of 3 files will be uploaded"
    assert [line[11:] for line in lines if line.startswith("[")] == ["one", "two"]


def test_a_named_job_is_submitted_again_to_the_node_that_is_up(user: User) -> None:
    user.ok("sub", "-n", "fit", "--seq", "2", "echo", "first")
    nodes = user.nodes()

    lines = user.ok("sub", "-n", "fit", "echo", "second").splitlines()

    assert lines[1] == "tasks: pending (1), worker nodes: running (1)"
    assert lines[-1] == done(user, "fit")
    assert [node.name for node in user.nodes()] == [node.name for node in nodes]
    user.ok("fetch", "fit", "results")
    assert logs_of(user.folder / "results") == {"1": "second\n"}


def test_a_job_is_watched_to_its_end(warm: User) -> None:
    go = warm.folder / "go"
    warm.ok("sub", "-n", "long", "--no-wait", f"echo begins; {until(go)}; echo ends")

    watching = warm.start("watch", "long")
    assert watching.stdout
    lines = [watching.stdout.readline().decode().rstrip()]
    while "begins" not in lines[-1]:
        lines.append(watching.stdout.readline().decode().rstrip())
    go.touch()
    rest = watching.communicate(timeout=30)[0].decode().splitlines()

    assert "tasks: claimed (1), worker nodes: running (1)" in lines
    assert [line[11:] for line in lines[-2:]] == ["[starting tail of log long.1]", "begins"]
    assert any(line.endswith("] ends") for line in rest)
    assert rest[-2:] == ["Job finished. 1 tasks completed successfully, 0 tasks failed", done(warm, "long")]
    assert watching.returncode == 0


def test_a_killed_job_stops_at_once_and_keeps_what_had_ended(warm: User) -> None:
    first = f"mkdir {warm.folder}/first || sleep 300"  # one of them ends, whichever it is
    warm.ok("sub", "-n", "doomed", "--no-wait", "--slots", "1", "--seq", "3", first)
    eventually(lambda: warm.job("doomed")["succeeded"] == 1)

    stopped = warm.ok("kill", "doomed")
    waited = warm("wait", "doomed")

    assert stopped == "doomed: 2 tasks stopped\n"
    assert waited.returncode == 1
    job = warm.job("doomed")
    assert (job["state"], job["succeeded"], job["killed"], job["failed"]) == ("killed", 1, 2, 0)


def test_a_job_is_inspected(warm: User) -> None:
    warm.ok("sub", "-n", "seen", "--seq", "2", "echo", "line", "{index}")

    assert warm.ok("logs", "seen.2") == "line 2\n"
    assert warm.ok("logs", "seen") == "==> seen.1 <==\nline 1\n==> seen.2 <==\nline 2\n"
    assert [line.split()[:2] for line in warm.ok("list", "seen").splitlines()] == [
        ["TASK", "STATE"],
        ["seen.1", "succeeded"],
        ["seen.2", "succeeded"],
    ]
    header, row = warm.ok("status", "seen").splitlines()
    assert header.split()[:5] == ["JOB", "STATE", "PENDING", "CLAIMED", "SUCCEEDED"]
    assert row.split()[:5] == ["seen", "finished", "0", "0", "2"]


def test_results_are_fetched_with_the_files_the_tasks_wrote(warm: User) -> None:
    warm.ok("sub", "-n", "files", "--seq", "2", "mkdir out && echo {index} > out/n.txt && echo done")

    said = warm.ok("fetch", "files", "all")
    warm.ok("fetch", "files.2", "one")
    again = warm.ok("fetch", "files", "all")

    assert re.fullmatch(r"files: 6 files \(.*\) of 2 results copied to all\n", said)
    assert again == "files: all 6 files of 2 results are in all already\n"
    assert (warm.folder / "all/2/out/n.txt").read_text() == "2\n"
    assert logs_of(warm.folder / "all") == {"1": "done\n", "2": "done\n"}
    assert os.listdir(warm.folder / "one") == ["2"]


@pytest.mark.at_home("is what --local means")
def test_with_local_one_task_runs_at_a_time(user: User) -> None:
    line = f"mkdir {user.folder}/alone && sleep 0.1 && rmdir {user.folder}/alone"

    user.ok("sub", "--local", "--seq", "3", line)

    assert user.rows("status", "LAST")[0]["succeeded"] == 3
