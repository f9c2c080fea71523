"""Looking at jobs: what the commands print, where they print it, and how they exit."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import time
from dataclasses import replace

import pytest
import yaml
from conftest import User, until
from contracts.nouns import a_machine
from stores import Stores

from sparkles import __version__
from sparkles.model import Key, Writes


@pytest.fixture(scope="module")
def looker(shared_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user with three finished jobs: fit-a, fit-b and bad, of which the last failed in one of its tasks."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("folder")
    user = User(folder=folder, home=home, stores=shared_stores.another(home / "sparkles"))
    manifest = """
        apiVersion: sparkles/v1
        kind: Job
        metadata: {name: %s}
        spec: {command: "%s", parameters: {rows: [{code: "0", x: "a b"}, {code: "%d", x: "ä,b"}]}, nodes: {linger: 0s}}
    """
    line = "echo {x}; exit {code}"
    jobs = [manifest % (name, line, code) for name, code in (("fit-a", 0), ("fit-b", 0), ("bad", 3))]
    assert user("apply", "--wait", "-f", "-", input="\n---\n".join(jobs)).returncode == 1
    user.wait_for_nodes_to_leave()
    return user


def as_yaml(text: str) -> list[object]:
    return [document for document in yaml.safe_load_all(text) if document is not None]


@pytest.mark.parametrize("words", [("status",), ("list", "bad")], ids=" ".join)
def test_a_list_is_a_table_json_yaml_or_csv(looker: User, words: tuple[str, ...]) -> None:
    table, from_json, from_yaml, from_csv = (looker.ok(*words, "-o", form) for form in ("table", "json", "yaml", "csv"))

    rows = json.loads(from_json)
    assert table == looker.ok(*words)
    header, *lines = table.splitlines()
    # Some things only documents say: of which whole a job is a part, which in a table its name does, and what it holds
    # back, which people are told in words.
    columns = [column for column in rows[0] if column not in ("whole", "held")]
    assert header.split() == [column.upper() for column in columns]
    assert len(lines) == len(rows)
    assert as_yaml(from_yaml) == rows
    read = list(csv.DictReader(io.StringIO(from_csv)))
    assert [list(row) for row in read] == [columns] * len(rows)
    assert [row["state"] for row in read] == [row["state"] for row in rows]


def test_the_rows_of_tasks_are_for_programs(looker: User) -> None:
    first, second = looker.rows("list", "bad")

    assert (first["task"], first["state"], first["exit"], first["reason"]) == ("bad.1", "succeeded", 0, "exit")
    assert (second["task"], second["state"], second["exit"]) == ("bad.2", "failed", 3)
    assert second["parameters"] == {"code": "3", "x": "ä,b"}
    assert isinstance(second["seconds"], float)
    (_, from_csv) = csv.DictReader(io.StringIO(looker.ok("list", "bad", "-o", "csv")))
    assert json.loads(from_csv["parameters"]) == second["parameters"]


def test_a_list_is_filtered(looker: User) -> None:
    def listed(*expressions: str) -> list[str]:
        return [row["task"] for row in looker.rows("list", "bad", *(f"--filter={text}" for text in expressions))]

    assert listed("state=failed") == listed("params.code > 0") == listed("exit != 0", "params.x ~ ä") == ["bad.2"]
    assert listed("seconds < 1m", "started > 2020-01-01") == ["bad.1", "bad.2"]
    assert listed("state=failed", "exit=0") == []
    assert looker.ok("list", "bad", "--filter", "index = 1", "-o", "csv").count("bad.") == 1


def test_a_list_shows_the_fields_that_are_chosen_in_their_order(looker: User) -> None:
    words = ("list", "bad", "--fields", "params.x,exit", "--fields", "index", "--sort", "-params.code")

    assert looker.ok(*words, "-o", "csv") == 'params.x,exit,index\n"ä,b",3,2\na b,0,1\n'
    assert looker.ok(*words).splitlines() == ["PARAMS.X  EXIT  INDEX", "ä,b       3     2", "a b       0     1"]
    assert looker.rows(*words, "--limit", "1") == [{"params.x": "ä,b", "exit": 3, "index": 2}]
    (first, second) = looker.rows("list", "bad", "--fields", "all")
    assert first["waited"] >= 0
    assert (first["node"], first["said"], second["killedBy"]) == (second["node"], None, None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--fields", "task,sate"], "--fields: no field 'sate'; there is: task, index, state, "),
        (["--sort", "-memry"], "did you mean 'memory'?"),
        (["--sort", "params.cod"], "--sort params.cod: no task has a parameter 'cod'; there is: code, x; did you mean"),
        (["--fields", "params.y"], "--fields params.y: no task has a parameter 'y'"),
        (["--params", "--fields", "task"], "--params and --fields exclude each other"),
        (["--params", "-o", "json"], "--params and -o json exclude each other"),
    ],
)
def test_a_wrong_list_is_a_wrong_request(looker: User, words: list[str], says: str) -> None:
    done = looker("list", "bad", *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("failed", "expected FIELD OP VALUE"),
        ("stat=failed", "no field 'stat'; there is: task, index, state, "),
        ("state=faild", "did you mean 'failed'?"),
        ("memory > lots", "expected bytes or a size such as 500MB"),
        ("params.cod = 3", "no task has a parameter 'cod'; there is: code, x; did you mean 'code'?"),
    ],
)
def test_a_wrong_filter_is_a_wrong_request(looker: User, expression: str, says: str) -> None:
    done = looker("list", "bad", "--filter", expression)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: filter {expression!r}: ")
    assert says in done.stderr


def test_the_record_of_a_task_is_a_document(looker: User) -> None:
    from_json = json.loads(looker.ok("get", "bad.2", "-o", "json"))
    from_yaml = looker.ok("get", "bad.2", "-o", "yaml")

    assert as_yaml(from_yaml) == [from_json]
    assert (from_json["exit"], from_json["generation"], bool(from_json["node"])) == (3, 1, True)
    assert (from_json["said"], from_json["killedBy"], from_json["history"]) == ("ä,b", None, [])
    assert from_json["result"] == f"{looker.stores.url('bad')}/2"
    assert looker.stores.file("bad/2/result.json")


def test_the_manifest_of_a_job_is_a_document(looker: User) -> None:
    from_json = json.loads(looker.ok("get", "fit-a", "-o", "json"))

    assert from_json["metadata"]["name"] == "fit-a"
    assert from_json["status"] == {"generation": 1, "indices": "1-2"}
    assert as_yaml(looker.ok("get", "fit-a"))[0]["spec"]["command"] == "echo {x}; exit {code}"  # type: ignore[index]


def test_last_is_the_newest_job_and_patterns_are_globs(looker: User) -> None:
    assert [row["job"] for row in looker.rows("status", "LAST")] == ["bad"]
    assert [row["job"] for row in looker.rows("status", "fit-*")] == ["fit-a", "fit-b"]
    assert [row["job"] for row in looker.rows("status", "fit-[ab]", "LAST", "fit-a")] == ["fit-a", "fit-b", "bad"]
    assert looker.ok("list") == looker.ok("list", "LAST") == looker.ok("list", "bad")
    assert looker.ok("logs", "LAST.2") == "ä,b\n"


def test_stats_say_what_tasks_used_and_what_would_do(looker: User) -> None:
    table, from_csv = looker.ok("status", "--stats", "bad"), looker.ok("status", "--stats", "bad", "-o", "csv")
    (found,) = looker.rows("status", "--stats", "bad")

    assert [found[field]["tasks"] for field in ("seconds", "waited", "attempts")] == [2, 2, 2]
    assert 0 <= found["seconds"]["min"] <= found["seconds"]["p95"] <= found["seconds"]["max"]
    assert as_yaml(looker.ok("status", "--stats", "bad", "-o", "yaml")) == [found]
    assert found["asked"] == {"machineType": None, "slots": None, "memory": None, "timeout": None}
    rows = list(csv.DictReader(io.StringIO(from_csv)))
    assert [row["field"] for row in rows] == ["seconds", "waited", "memory", "attempts"]
    assert float(rows[0]["max"]) == found["seconds"]["max"]
    assert [line.split()[:3] for line in table.splitlines()[1:5]] == [[r["job"], r["field"], r["tasks"]] for r in rows]
    assert [f"{one['flag']} {one['value']}" for one in found["advice"]] == [
        row["advice"] for row in rows if row["advice"]
    ]


@pytest.mark.at_home
def test_stats_compare_with_the_machines_that_a_job_ran_on(warm: User) -> None:
    flags = ("--memory", "4G", "--timeout", "5h", "--backend", "local")
    warm.ok("sub", "-n", "sized", "--seq", "2", *flags, "sh", "-c", "exit 0")
    with warm.stores.state() as state:
        (key,) = {job.cluster for job in state.jobs() if job.name == "sized"}
        machine = a_machine(type="n1-highmem-2", gpu=None, gpus=0)
        state.change(
            [Key.cluster(key)], lambda found: Writes(put=[replace(one, machine=machine) for one in found.values()])
        )
        tasks = [Key.task("sized", index) for index in (1, 2)]
        state.change(tasks, lambda found: Writes(put=[replace(one, peak_memory=10**8) for one in found.values()]))

    (found,) = warm.rows("status", "--stats", "sized")

    assert {**found["asked"], "slots": 0} == {
        "machineType": "n1-highmem-2",
        "slots": 0,
        "memory": 2**32,
        "timeout": 18000,
    }
    assert [(one["flag"], one["value"]) for one in found["advice"]][1:] == [("--memory", "128M"), ("--timeout", "1m")]
    words = warm.ok("status", "--stats", "sized").splitlines()
    assert "sized: tasks used 100.0 MB at most (95 %: 100.0 MB) of 4.3 GB that they may use" in words
    assert "sized: --memory 128M would do" in words


def test_an_unknown_name_leads_to_the_nearest(looker: User) -> None:
    near, far = looker("logs", "fit-s.1"), looker("logs", "elsewhere")

    assert (near.returncode, far.returncode) == (2, 2)
    assert near.stderr.startswith("error: no job 'fit-s' here; did you mean 'fit-")
    assert far.stderr == "error: no job 'elsewhere' here; 'sparkles status' lists the jobs\n"


def test_looking_writes_nothing(looker: User) -> None:
    before = looker.everything()

    for words in ("status", "status --stats", "list", "list bad --params", "logs bad.2", "get bad", "get bad.1",
                  "why bad", "why bad.2", "diff fit-a fit-a", "explain", "version"):  # fmt: skip
        looker.ok(*words.split())

    assert looker.everything() == before


def test_the_exit_code_says_whether_all_tasks_succeeded(looker: User) -> None:
    assert [looker(command, job).returncode for command in ("wait", "watch") for job in ("fit-a", "bad")] == [0, 1] * 2


def test_watching_a_job_that_has_ended_prints_its_end(looker: User) -> None:
    done = looker("watch", "bad")

    assert done.stdout.splitlines() == [
        "Job finished. 1 tasks completed successfully, 1 tasks failed",
        f"Done waiting for job. You can download results via '{looker.stores.download_line('bad')}'",
    ]
    assert done.stderr == (
        "1 task failed: exit code 3, ä,b\n"
        "  sparkles logs bad.2\n"
        "  sparkles retry bad.2\n"
        "What to do about it: sparkles why bad\n"
    )


def test_the_parameters_of_tasks_that_failed_are_what_sub_takes_back(warm: User) -> None:
    header, good, *bad = "code,name:a.b-c d", '0,"a ""b"""', "007,=1+2", '3,"line\n line,\r\tä "', '1e0," "'
    warm.write("grid.csv", "\n".join([header, good, *bad]) + "\n")
    assert warm("sub", "-n", "grid", "--params", "grid.csv", "sh", "-c", "exit ${0%e0}", "{code}").returncode == 1
    rows = [row["parameters"] for row in warm.rows("list", "grid", "--filter", "state=failed")]

    warm.env["PYTHONIOENCODING"] = "ascii"
    again = warm.ok("list", "grid", "--params", "--filter", "state=failed")
    warm.write("again.csv", again)
    assert warm("sub", "-n", "again", "--params", "again.csv", "sh", "-c", "exit ${0%e0}", "{code}").returncode == 1

    assert len(rows) == 3
    assert [row["parameters"] for row in warm.rows("list", "again")] == rows
    largest = warm.ok("list", "grid", "--params", "--sort", "-params.code", "--limit", "1")
    assert largest == f"{header}\n007,=1+2\n"


def test_there_are_no_parameters_where_there_are_none(warm: User) -> None:
    warm.ok("sub", "-n", "numbered", "--seq", "2", "true")

    done = warm("list", "numbered", "--params", "--filter", "state=failed")

    assert (done.returncode, done.stdout) == (2, "")
    assert "job numbered has no parameters, its tasks differ in their index at most; 'sparkles retry" in done.stderr


def test_no_wait_says_how_to_come_back(warm: User) -> None:
    done = warm("sub", "-n", "later", "--no-wait", "echo", "hi")

    assert done.returncode == 0
    assert "Job finished" not in done.stdout
    assert "'sparkles watch later'" in done.stderr


def test_waiting_is_silent_and_may_be_too_long(warm: User) -> None:
    warm.ok("sub", "-n", "slow", "--no-wait", until(warm.folder / "go"))

    started = time.monotonic()
    late = warm("wait", "--timeout", "1s", "slow")
    took = time.monotonic() - started
    (warm.folder / "go").touch()
    done = warm("wait", "--timeout", "1m", "slow")

    assert (late.returncode, late.stdout) == (124, "")
    assert late.stderr == "job slow has not ended after 1s; it goes on\n"
    assert 1 <= took < 10
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_log_is_followed_to_its_end(warm: User) -> None:
    go = warm.folder / "go"
    warm.ok("sub", "-n", "tail", "--no-wait", f"echo first; {until(go)}; printf last")

    following = warm.start("logs", "-f", "tail.1")
    assert following.stdout
    first = following.stdout.readline()
    go.touch()
    rest, said = following.communicate(timeout=30)

    assert (first, rest, said) == (b"first\n", b"last", b"")
    assert following.returncode == 0


def test_documents_are_alone_on_stdout(warm: User) -> None:
    warm.write("in.txt", "")

    done = warm("sub", "-n", "alone", "--dry-run", "-o", "json", "cat", "in.txt")
    plan = warm("apply", "-o", "json", "--wait", "-f", "-", input=done.stdout)

    assert json.loads(done.stdout)["spec"]["command"] == ["cat", "in.txt"]
    assert json.loads(plan.stdout)["actions"][0]["verb"] == "add"
    assert "warning: 'in.txt' is a file here but is not uploaded; if the task needs it, add -u in.txt" in plan.stderr
    assert "Job finished. 0 tasks completed successfully, 1 tasks failed" in plan.stderr
    assert plan.returncode == 1


def test_a_reader_that_has_enough_is_no_error(warm: User) -> None:
    warm.ok("sub", "-n", "many", "--seq", "2", "head -c 300000 /dev/zero | tr '\\0' '\\n'")

    for words in ("logs many.1", "logs many --all", "explain", "status", "list many"):
        line = " ".join(warm.argv(*words.split()))
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {line} | head -1"],
            cwd=warm.folder, env=warm.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert done.stderr == "", words
        assert len(done.stdout.splitlines()) == 1, words


def test_a_traceback_is_only_for_those_who_ask(looker: User) -> None:
    without, asked = looker("logs", "nope"), looker("--debug", "logs", "nope")

    assert "Traceback" not in without.stderr
    assert "Traceback (most recent call last)" in asked.stderr
    assert "no job 'nope' here" in asked.stderr


def test_help_names_every_command_and_what_it_does(user: User) -> None:
    text = user.ok("--help")

    for command in ("sub", "apply", "diff", "get", "list", "status", "logs", "watch", "kill", "delete", "fetch"):
        assert f"\n  {command} " in text
    assert user.ok("-h") == text
    assert "sparkles sub --seq 3 echo I am task '{index}'" in user.ok("sub", "--help")


def test_version_and_explain_need_no_home(user: User) -> None:
    assert user.ok("version") == f"sparkles {__version__}\n"
    text = user.ok("explain", "spec.nodes.max")
    assert "Largest number of nodes" in text
    assert "Default:  1" in text
    assert os.listdir(user.home) == []


def test_nothing_is_listed_where_there_is_nothing(user: User) -> None:
    assert user.ok("status", "-o", "json") == "[]\n"
    assert user.ok("status").split()[:2] == ["JOB", "STATE"]
    assert user.ok("status", "-o", "yaml") == ""
    assert user("logs").stderr == "error: no job 'LAST' here; there are no jobs\n"
    assert os.listdir(user.home) == []


def test_a_deleted_job_is_gone_and_its_results_are_kept_until_they_are_too(warm: User) -> None:
    warm.ok("sub", "-n", "old", "echo", "hi")

    kept = warm.ok("delete", "old")
    warm.ok("fetch", "old", "results")
    removed = warm.ok("delete", "--results", "old")

    assert kept == "old: removed; its results are kept\n"
    assert removed == "old: results removed\n"
    assert (warm.folder / "results/1/stdout.txt").read_text() == "hi\n"
    assert warm("fetch", "old", "again").returncode == 2
    assert "] new" in warm.ok("sub", "-n", "old", "echo", "new")


def test_a_job_with_open_tasks_is_deleted_only_if_told_to(warm: User) -> None:
    warm.ok("sub", "-n", "open", "--no-wait", "sleep 300")
    warm.wait_for("open", claimed=1)

    refused = warm("delete", "open")
    done = warm("delete", "--yes", "--results", "open")

    assert refused.returncode == 2
    assert "tasks have not ended" in refused.stderr
    assert (done.returncode, done.stdout) == (0, "open: removed\n")
    assert "open" not in [job["job"] for job in warm.rows("status")]


def test_results_that_outlive_their_job_are_named_and_can_be_removed(user: User) -> None:
    user.ok("sub", "-n", "gone", "echo", "hi")
    user.ok("delete", "gone")

    again = user("delete", "gone")

    assert again.returncode == 2
    assert "results are still there; remove them with --results" in again.stderr
    user.ok("delete", "--results", "gone")
    assert "no job 'gone' here" in user("delete", "gone").stderr


def test_a_disk_that_is_full_is_no_success(warm: User) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            warm.argv("version"), env=warm.environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 3
    assert "No space left on device" in done.stderr
