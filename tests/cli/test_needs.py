"""Jobs that need jobs, and asking more of jobs that are there: the real commands, the real nodes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from conftest import User, eventually, until

TWO = """
apiVersion: sparkles/v1
kind: Job
metadata: {{name: use{n}}}
spec:
  needs: [make{n}]
  command: "cat in.txt; echo {{y}}"
  parameters: {{csv: "{{results.make{n}}}/1/rows.csv"}}
  uploads: ["{{results.make{n}}}/1/in.txt:in.txt"]
---
apiVersion: sparkles/v1
kind: Job
metadata: {{name: make{n}}}
spec:
  command: "{line}"
"""
LINE = "printf 'y\\\\na\\\\nb\\\\n' > rows.csv; echo data > in.txt"


def two(n: str, line: str = LINE) -> str:
    """Return two jobs: the first in the file needs the second."""
    return TWO.format(n=n, line=line)


def test_two_jobs_are_applied_at_once_and_the_second_waits(warm: User) -> None:
    warm.write("two.yaml", two("1"))

    before = warm("diff", "two.yaml")
    done = warm.ok("apply", "--wait", "two.yaml")

    assert before.returncode == 1
    assert "  ? tasks known after make1\n" in before.stdout
    assert done.index("job make1 ") < done.index("job use1 ")
    assert [warm.log(f"use1.{index}") for index in (1, 2)] == ["data\na\n", "data\nb\n"]
    assert warm("diff", "two.yaml").returncode == 0
    assert warm.ok("apply", "--wait", "two.yaml").count("nothing to do") == 2


def test_the_second_job_begins_without_a_client(warm: User) -> None:
    gate = warm.folder / "gate"
    warm.write("two.yaml", two("2", f"{until(gate)}; {LINE}"))

    warm.ok("apply", "two.yaml")
    waiting = warm.job("use2")
    gate.touch()

    assert waiting["state"] == "waiting"
    warm.wait_for("use2", state="finished", succeeded=2)


def test_a_client_that_waits_for_a_job_says_what_that_waits_for_and_sees_it_through(warm: User) -> None:
    gate = warm.folder / "gate"
    warm.write("two.yaml", two("3", f"{until(gate)}; {LINE}"))
    warm.ok("apply", "two.yaml")

    watching = warm.start("watch", "use3")
    assert watching.stdout is not None
    first = watching.stdout.readline()
    gate.touch()
    rest, _ = watching.communicate(timeout=60)

    assert first == b"waiting for make3\n"
    assert watching.returncode == 0
    assert b"Job finished. 2 tasks completed successfully, 0 tasks failed\n" in rest


def test_a_job_whose_need_failed_waits_for_a_retry(warm: User) -> None:
    gate = warm.folder / "gate"
    warm.write("two.yaml", two("4", f"[ -e {gate} ] || exit 3; {LINE}"))

    done = warm("apply", "--wait", "two.yaml")
    gate.touch()
    again = warm.ok("retry", "--wait", "make4")
    through = warm("wait", "--timeout", "30s", "use4")

    assert done.returncode == 1
    assert "job use4 waits for job make4, which has ended, but not all of its tasks succeeded" in done.stderr
    assert "'sparkles retry make4'" in done.stderr
    assert "  ~ 1 task run again      1: retry\n" in again
    assert through.returncode == 0
    assert warm.log("use4.2") == "data\nb\n"


def test_a_wait_can_be_killed_and_the_job_deleted(warm: User) -> None:
    gate = warm.folder / "gate"
    warm.write("two.yaml", two("5", f"{until(gate)}; {LINE}"))
    warm.ok("apply", "two.yaml")

    refused = warm("sub", "-n", "use5", "true")
    warm.ok("kill", "use5")
    gate.touch()
    warm.wait_for("make5", state="finished")

    assert refused.returncode == 2
    assert "job use5 waits for others; follow it with" in refused.stderr
    assert warm.job("use5")["state"] == "killed"
    assert warm.rows("list", "use5") == []
    warm.ok("delete", "use5")


def test_a_job_that_others_wait_for_is_not_deleted_without_a_question(warm: User) -> None:
    warm.write("two.yaml", two("9", "exit 1"))
    warm("apply", "--wait", "two.yaml")

    refused = warm("delete", "make9")
    both = warm.ok("delete", "make9", "use9")

    assert refused.returncode == 2
    assert "job use9 waits for make9; it would wait for ever" in refused.stderr
    assert both.count("removed") == 2


def test_apply_follows_the_other_jobs_when_one_is_blocked(warm: User) -> None:
    other = "---\napiVersion: sparkles/v1\nkind: Job\nmetadata: {name: other10}\nspec: {command: echo other}\n"
    warm.write("two.yaml", two("10", "exit 1") + other)

    done = warm("apply", "--wait", "two.yaml")

    assert done.returncode == 1
    assert "error: job use10 waits for job make10" in done.stderr
    assert "] other10: other\n" in done.stdout


def test_what_is_wrong_with_rows_that_a_job_made_is_said(warm: User) -> None:
    warm.write("two.yaml", two("6", "printf 'y,y\\\\n1,2\\\\n' > rows.csv; echo data > in.txt"))

    done = warm("apply", "--wait", "two.yaml")

    assert done.returncode == 1
    assert "job use6 cannot begin: {results.make6}/1/rows.csv:1: 2 columns are named 'y'" in done.stderr


def test_jobs_in_a_circle_are_refused(warm: User) -> None:
    warm.write("two.yaml", two("7").replace('  command: "printf', '  needs: [use7]\n  command: "printf'))

    done = warm("apply", "two.yaml")

    assert (done.returncode, done.stdout) == (2, "")
    assert "need each other in a circle: " in done.stderr
    assert not {"make7", "use7"}.intersection(job["job"] for job in warm.rows("status"))


def test_sub_can_wait_for_a_job_too(warm: User) -> None:
    gate = warm.folder / "gate"
    warm.ok("sub", "-n", "make8", "--no-wait", "sh", "-c", f"{until(gate)}; echo made > out.txt")
    waiting = warm.start(
        "sub", "-n", "use8", "--needs", "make8", "-u", "{results.make8}/1/out.txt:in.txt", "cat", "in.txt"
    )
    eventually(lambda: any(job["job"] == "use8" for job in warm.rows("status")))
    gate.touch()
    printed, errors = waiting.communicate(timeout=60)

    assert waiting.returncode == 0, errors
    assert b"waiting for make8\n" in printed
    assert b"] made\n" in printed


def test_a_job_that_was_killed_while_it_waited_has_not_succeeded_and_can_be_tried_again(warm: User) -> None:
    gate = warm.folder / "gate"
    warm.write("two.yaml", two("11", f"{until(gate)}; {LINE}"))
    warm.ok("apply", "two.yaml")

    killed = warm.ok("kill", "use11")
    watched = warm("watch", "use11")
    waited = warm("wait", "use11")
    again = warm.ok("retry", "use11")
    gate.touch()
    through = warm("wait", "--timeout", "30s", "use11")

    assert killed == "use11: 0 tasks stopped; it waits no longer\n"
    assert (watched.returncode, waited.returncode, through.returncode) == (1, 1, 0)
    assert watched.stdout.startswith("Job use11 was killed while it waited.\n")
    assert "  ? tasks known after make11\n" in again


def test_looking_at_a_job_that_waits_says_for_what(warm: User) -> None:
    warm.write("two.yaml", two("12", "exit 1"))
    warm("apply", "--wait", "two.yaml")

    for words in (["status", "use12"], ["list", "use12"], ["logs", "use12"]):
        done = warm(*words)
        assert done.returncode == 0
        assert "hint: job use12 waits for job make12, which has ended, but not all of its tasks" in done.stderr
    assert warm("apply", "two.yaml").stderr.count("hint:") == 0
    assert json.loads(warm.ok("status", "use12", "-o", "json"))[0]["state"] == "waiting"


def test_which_tasks_run_again_can_be_said_of_a_job_that_waits_already(warm: User) -> None:
    warm.write("two.yaml", two("13"))
    warm.ok("apply", "--wait", "two.yaml")
    gate = warm.folder / "gate"
    warm.write("two.yaml", two("13", f"{until(gate)}; {LINE}"))
    warm.ok("apply", "two.yaml")
    before = warm.rows("list", "use13")

    planned = warm.ok("apply", "--rerun", "all", "--yes", "two.yaml")
    gate.touch()
    warm.ok("wait", "--timeout", "30s", "use13")
    after = warm.rows("list", "use13")

    assert "  ~ --rerun all when it begins\n" in planned
    assert all(old["started"] != new["started"] for old, new in zip(before, after, strict=True))


def test_plans_of_several_jobs_are_one_json_document(warm: User) -> None:
    warm.write("two.yaml", two("14"))

    plans = json.loads(warm("diff", "two.yaml", "-o", "json").stdout)

    assert [(plan["job"], plan["waits"]) for plan in plans] == [("make14", []), ("use14", ["make14"])]


def test_a_reference_where_it_is_not_filled_in_is_warned_of(warm: User) -> None:
    done = warm("sub", "-n", "stray", "--dry-run", "cat", "{results.make14}/1/in.txt")

    assert "warning: '{results.make14}/1/in.txt': {results.JOB} is only filled in in uploads" in done.stderr


def test_the_flags_of_other_schedulers_are_known(warm: User) -> None:
    for flag in ("-hold_jid", "--dependency"):
        done = warm("sub", flag, "x", "true")
        assert (done.returncode, "here it is --needs JOB" in done.stderr) == (2, True)


# retry


@pytest.fixture
def failures(warm: User) -> User:
    """Someone with a job of five tasks: two failed with 3, one with 4, one was killed, one succeeded."""
    warm.write("rows.csv", "x,code\na,0\nb,3\nc,3\nd,4\n")
    warm("sub", "-n", "bad", "--yes", "--params", "rows.csv", "sh", "-c", "exit $1", "sh", "{code}")
    return warm


@pytest.mark.parametrize(
    ("words", "indices"),
    [
        pytest.param([], "2-4", id="all of them"),
        pytest.param(["--failed"], "2-4", id="failed"),
        pytest.param(["--killed"], None, id="killed"),
        pytest.param(["--filter", "exit=3"], "2-3", id="a filter"),
        pytest.param(["--filter", "exit=3", "--filter", "params.x!=b"], "3", id="two filters"),
        pytest.param(["--filter", "state=succeeded"], None, id="none that failed"),
    ],
)
def test_retry_runs_what_was_chosen(failures: User, words: list[str], indices: str | None) -> None:
    done = failures("retry", "bad", "--dry-run", *words, "-o", "json")

    assert done.returncode == 0
    if indices is None:
        assert "nothing to retry" in done.stdout
    else:
        actions = json.loads(done.stdout)["actions"]
        assert [(a["indices"], a["cause"]) for a in actions if a["verb"] == "rerun"] == [(indices, "retry")]


def test_retry_of_one_task_runs_it_however_it_ended(failures: User) -> None:
    before = failures.rows("list", "bad")

    done = failures("retry", "--wait", "bad.1")
    after = failures.rows("list", "bad")

    assert done.returncode == 1  # the others have failed
    assert "  ~ 1 task run again" in done.stdout
    assert [old["started"] == new["started"] for old, new in zip(before, after, strict=True)] == [
        False,
        True,
        True,
        True,
    ]


def test_a_retry_says_that_a_script_was_edited_which_it_does_not_run(warm: User) -> None:
    warm.write("edited.sh", "exit 3\n")
    warm.write("same.txt", "same\n")
    warm("sub", "-n", "edited", "-u", "edited.sh", "-u", "same.txt", "sh", "edited.sh")
    as_it_was = warm("retry", "edited", "--dry-run")
    warm.write("edited.sh", "exit 0\n")

    edited = warm("retry", "edited", "--dry-run")
    (warm.folder / "elsewhere").mkdir()
    elsewhere = replace(warm, folder=warm.folder / "elsewhere")("retry", "edited", "--dry-run")

    assert edited.stderr == (
        "hint: edited.sh in this folder is another file by now; retry runs what was submitted: to run this, use sub or "
        "apply\n"
    )
    assert as_it_was.stderr == elsewhere.stderr == ""
    assert as_it_was.stdout == elsewhere.stdout == edited.stdout


def test_a_retry_runs_in_the_environment_that_the_job_was_submitted_in(warm: User) -> None:
    warm.env["COLOUR"] = "red"
    warm("sub", "-n", "coloured", "sh", "-c", "echo $COLOUR; exit 3")
    warm.env["COLOUR"] = "blue"

    warm("retry", "--wait", "coloured")

    assert warm.rows("list", "coloured")[0]["attempts"] == 1
    assert warm.log("coloured.1") == "red\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["bad.9"], "job bad has no task 9"),
        (["bda"], "no job 'bda' here; did you mean 'bad'?"),
        (["bad", "--filter", "exit"], "expected FIELD OP VALUE"),
        (["bad", "--filter", "params.y=1"], "no task has a parameter 'y'; there is: code, x"),
    ],
)
def test_a_wrong_retry_is_refused(failures: User, words: list[str], says: str) -> None:
    done = failures("retry", *words)

    assert done.returncode == 2
    assert says in done.stderr


# scale, generations


def test_a_scale_holds_until_the_manifest_says_something_else(warm: User) -> None:
    warm.write(
        "j.yaml", "apiVersion: sparkles/v1\nkind: Job\nmetadata: {name: sc}\nspec: {command: 'true', nodes: {max: 2}}\n"
    )
    warm.ok("apply", "--wait", "j.yaml")

    said = warm.ok("scale", "sc", "5")
    same = warm("diff", "j.yaml")
    plan = json.loads(warm.ok("diff", "j.yaml", "-o", "json"))
    (warm.folder / "j.yaml").write_text((warm.folder / "j.yaml").read_text().replace("max: 2", "max: 3"))
    other = warm("apply", "j.yaml")

    assert said == f"job sc: at most 5 nodes{warm.stores.limit}\n"
    assert (same.returncode, plan["nodes"]["scaled"]) == (0, 5)
    assert "hint: it is scaled to 5 nodes" in same.stdout
    assert "  ~ nodes.max 2 → 3\n  ~ no longer scaled to 5 nodes\n" in other.stdout
    assert json.loads(warm.ok("diff", "j.yaml", "-o", "json"))["nodes"]["scaled"] is None


def test_an_apply_can_insist_on_the_generation_it_was_written_for(warm: User) -> None:
    text = "apiVersion: sparkles/v1\nkind: Job\nmetadata: {name: gen}\nspec: {command: 'true', timeout: TIME}\n"
    warm.write("a.yaml", text.replace("TIME", "1h"))
    warm.write("b.yaml", text.replace("TIME", "2h"))

    new = warm("apply", "--check-generation", "0", "a.yaml")
    late = warm("apply", "--check-generation", "0", "b.yaml")
    right = warm("apply", "--check-generation", "1", "b.yaml")
    many = warm("apply", "--check-generation", "1", ".")

    assert (new.returncode, late.returncode, right.returncode) == (0, 3, 0)
    assert "somebody has changed it: it is at generation 1, not 0" in late.stderr
    assert many.returncode == 2
    assert warm.ok("get", "gen").splitlines()[-2] == "  generation: 2"
