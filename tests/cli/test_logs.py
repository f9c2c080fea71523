"""`logs`: of thousands of tasks what matters, of one each byte."""

from __future__ import annotations

import subprocess

import pytest
from conftest import User, eventually, until
from stores import Stores

JOBS = r"""
apiVersion: sparkles/v1
kind: Job
metadata: {name: fit}
spec:
  command: |
    echo try $SPARKLES_ATTEMPT; seq 30; printf 'loss: \377%s' {loss}
    test {loss} != nan && test $SPARKLES_ATTEMPT != {fails}
  parameters: {rows: [{loss: "0.5", fails: "0"}, {loss: nan, fails: "0"}, {loss: "0.7", fails: "1"}]}
  retries: {limit: 1}
  nodes: {linger: 0s}
---
apiVersion: sparkles/v1
kind: Job
metadata: {name: fine}
spec: {command: "seq {index}", parameters: {seq: 12}, nodes: {linger: 0s}}
"""


@pytest.fixture(scope="module")
def reader(shared_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user with two finished jobs: of `fit` a task failed twice and one once; of `fine` none did."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("folder")
    user = User(folder=folder, home=home, stores=shared_stores.another(home / "sparkles"))
    assert user("apply", "--wait", "-f", "-", input=JOBS).returncode == 1
    user.wait_for_nodes_to_leave()
    return user


def printed(user: User, *words: str, code: int = 0) -> bytes:
    """Return what `logs` prints, byte for byte."""
    done = subprocess.run(
        user.argv("logs", *words), cwd=user.folder, env=user.environment(), capture_output=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def log(attempt: int, loss: str) -> bytes:
    lines = b"".join(b"%d\n" % number for number in range(1, 31))
    return b"try %d\n%sloss: \xff%s" % (attempt, lines, loss.encode())


def test_of_a_job_the_end_of_each_failed_task_is_shown(reader: User) -> None:
    done = reader("logs", "fine")

    assert printed(reader, "fit") == b"==> fit.2 <==\n" + b"\n".join(log(2, "nan").split(b"\n")[-20:]) + b"\n"
    assert done.stdout.startswith("==> fine.1 <==\n1\n==> fine.2 <==\n1\n2\n==> fine.3 <==\n1\n2\n3\n")
    assert done.stdout.count("==>") == 10
    assert done.stderr == (
        "hint: no task of fine has failed; the last 20 lines of its first tasks; "
        "'sparkles logs fine.1' prints all of one, --all those of all tasks, --grep RE looks through all\n"
    )


def test_each_attempt_of_a_task_can_be_read(reader: User) -> None:
    assert printed(reader, "fit.2") == printed(reader, "fit.2", "--attempt", "2") == log(2, "nan")
    assert printed(reader, "fit.2", "--attempt", "1") == log(1, "nan")
    assert printed(reader, "fit.3", "--attempt", "1", "--tail", "1") == b"loss: \xff0.7"
    assert reader("logs", "fit.3", "--attempt", "3").stderr == (
        "error: task fit.3 has no attempt 3 whose log is known; it has 1, 2\n"
    )


def test_lines_are_found_in_all_tasks(reader: User) -> None:
    assert printed(reader, "fit", "--grep", "loss: .(nan|0.7)$|^30") == (
        b"fit.1:31:30\nfit.2:31:30\nfit.2:32:loss: \xffnan\nfit.3:31:30\nfit.3:32:loss: \xff0.7\n"
    )
    assert printed(reader, "fit", "--grep", "^loss", "--filter", "state=failed") == b"fit.2:32:loss: \xffnan\n"
    assert printed(reader, "fit.1", "--grep", "^loss") == b"fit.1:32:loss: \xff0.5\n"
    assert printed(reader, "fit.3", "--grep", "^try", "--attempt", "1") == b"fit.3:1:try 1\n"
    assert printed(reader, "fit", "--grep", "nowhere", code=1) == b""


def test_the_ends_or_all_of_many_logs_are_shown(reader: User) -> None:
    last, failed = printed(reader, "fit", "--all", "--tail", "1"), printed(reader, "fit", "--tail", "1")
    whole = printed(reader, "fine", "--all", "--filter", "index<3")

    assert last == b"".join(b"==> fit.%d <==\nloss: \xff%s\n" % row for row in ((1, b"0.5"), (2, b"nan"), (3, b"0.7")))
    assert failed == b"==> fit.2 <==\nloss: \xffnan\n"
    assert whole == b"==> fine.1 <==\n1\n==> fine.2 <==\n1\n2\n"


@pytest.mark.parametrize("flags", [[], ["-f"]])
@pytest.mark.at_home("is said of what the store knows")
def test_of_a_task_that_wrote_nothing_that_is_said(warm: User, flags: list[str]) -> None:
    warm.ok("sub", "-n", "quiet", "true")

    done = warm("logs", *flags, "quiet.1")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "hint: quiet.1 has written nothing\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("fit --grep x --tail 1", "--grep and --tail exclude each other: --grep looks at whole logs, as they are now"),
        ("fit --attempt 1", "--attempt is of one task: 'sparkles logs fit.N --attempt 1'"),
        ("fit.1 --all", "fit.1 is one task; --all and --filter are for those of a job"),
        ("-f fit.1 --attempt 1", "--follow and --attempt exclude each other: an earlier attempt has ended"),
        ("fit --filter stat=x", "filter 'stat=x': no field 'stat'; "),
    ],
)
@pytest.mark.at_home("is refused before a store is asked")
def test_what_makes_no_sense_is_refused(reader: User, words: str, error: str) -> None:
    refused = reader("logs", *words.split())

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: {error}")


def test_all_tasks_that_run_are_followed_line_by_line(warm: User) -> None:
    go = warm.folder / "go"
    warm.ok("sub", "-n", "duet", "--seq", "2", "--no-wait", f"seq 15; {until(go)}; printf last.%s {{index}}")
    warm.wait_for("duet", claimed=2)
    eventually(lambda: all(warm.ok("logs", f"duet.{index}").endswith("15\n") for index in (1, 2)))

    following = warm.start("logs", "-f", "duet")
    assert following.stdout
    first = [following.stdout.readline() for _ in range(20)]
    go.touch()
    rest, said = following.communicate(timeout=30)

    assert first == [b"duet.%d: %d\n" % (index, number) for index in (1, 2) for number in range(6, 16)]
    assert sorted(rest.splitlines()) == [b"duet.1: last.1", b"duet.2: last.2"]
    assert (following.returncode, said) == (0, b"")
