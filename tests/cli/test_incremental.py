"""What changes runs, and nothing else: the habits of people who keep manifests in git and edit spreadsheets."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import User
from stores import Stores

JOB = """\
apiVersion: sparkles/v1
kind: Job
metadata: {name: sweep}
spec:
  command: [cat, in.txt]
  parameters: {csv: ../data/rows.csv}
  uploads: [{src: "../data/{file}", dest: in.txt}]
  env: {SIZE: "{size}"}
"""


def table(rows: list[list[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in [["number", "size", "file"], *rows])


@pytest.fixture(scope="module")
def project(shared_home: Path, shared_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> User:
    """Someone with a job of many rows, which has run; tasks 3 and 4 have a file of their own."""
    user = User(folder=tmp_path_factory.mktemp("project"), home=shared_home, stores=shared_stores)
    rows = [[str(n), "small", "own.txt" if n in (3, 4) else "all.txt"] for n in range(1, user.stores.many + 1)]
    user.write("data/rows.csv", table(rows))
    user.write("data/all.txt", "all")
    user.write("data/own.txt", "own")
    user.write("jobs/sweep.yaml", JOB)
    user.ok("apply", "--wait", "jobs/sweep.yaml", timeout=120)
    return user


@pytest.fixture
def sweep(project: User, tmp_path: Path) -> Iterator[User]:
    """The same project, in a home of its own: a copy, so that each test begins with what has run."""
    shutil.copytree(project.folder, tmp_path / "project")
    user = project.copy(tmp_path / "home", folder=tmp_path / "project")
    yield user
    user.stop_nodes()


def rows_of(user: User) -> list[list[str]]:
    lines = (user.folder / "data" / "rows.csv").read_text().splitlines()[1:]
    return [line.split(",") for line in lines]


def actions(plan: str) -> list[str]:
    """Return the lines of a plan below its first, without the spaces that make columns of them."""
    return [" ".join(line.split()) for line in plan.splitlines()[1:]]


def runs(user: User) -> dict[str, str]:
    """Apply, wait, and return which tasks ran: their parameters by index."""
    before = {row["task"]: row["started"] for row in user.rows("list", "sweep")}
    user.ok("apply", "--wait", "jobs/sweep.yaml")
    after = user.rows("list", "sweep")
    assert all(row["state"] == "succeeded" for row in after)
    return {
        row["task"].removeprefix("sweep."): row["parameters"]["number"]
        for row in after
        if before.get(row["task"]) != row["started"]
    }


def test_editing_a_row_runs_its_task_in_its_folder(sweep: User) -> None:
    rows = rows_of(sweep)
    rows[49] = ["50", "large", "all.txt"]
    sweep.write("data/rows.csv", table(rows))

    shown = sweep("diff", "jobs/sweep.yaml")

    assert actions(shown.stdout)[:2] == [
        f"= {len(rows) - 1} tasks unchanged",
        "~ 1 task change 50: parameters.size small → large",
    ]
    assert runs(sweep) == {"50": "50"}
    assert sweep.result("sweep", 50) == b"all"


def test_a_row_inserted_on_top_is_the_only_one_to_run_and_gets_the_next_index(sweep: User) -> None:
    rows = rows_of(sweep)
    sweep.write("data/rows.csv", table([["0", "small", "own.txt"], *rows]))

    assert runs(sweep) == {str(len(rows) + 1): "0"}
    assert sweep.result("sweep", len(rows) + 1) == b"own"
    assert sweep.result("sweep", 1) == b"all"


def test_sorting_the_file_runs_nothing(sweep: User) -> None:
    rows = rows_of(sweep)
    random.Random(1).shuffle(rows)
    sweep.write("data/rows.csv", table(rows))

    assert runs(sweep) == {}
    assert sweep("diff", "jobs/sweep.yaml").returncode == 0


def test_touching_a_file_runs_nothing(sweep: User) -> None:
    (sweep.folder / "data" / "all.txt").write_text("all")
    os.utime(sweep.folder / "data" / "own.txt", (1, 1))

    assert sweep("diff", "jobs/sweep.yaml").returncode == 0
    assert runs(sweep) == {}


def test_a_byte_of_a_file_that_two_tasks_use_runs_these_two(sweep: User) -> None:
    sweep.write("data/own.txt", "oWn")

    shown = sweep("diff", "jobs/sweep.yaml")

    assert "~ 2 tasks change 3\u20134: uploads: ../data/own.txt changed" in actions(shown.stdout)
    assert runs(sweep) == {"3": "3", "4": "4"}
    assert [sweep.result("sweep", index) for index in (2, 3, 4, 5)] == [b"all", b"oWn", b"oWn", b"all"]


def test_a_manifest_in_git_is_applied_from_any_folder(sweep: User) -> None:
    elsewhere = replace(sweep, folder=sweep.folder / "data")

    assert elsewhere("diff", "../jobs/sweep.yaml").returncode == 0
    assert elsewhere("diff", str(sweep.folder / "jobs")).returncode == 0
    assert elsewhere("apply", "-f", "../jobs/sweep.yaml").stdout.endswith("all is as the manifest says\n")


def test_what_get_prints_can_be_applied_and_changes_nothing(sweep: User) -> None:
    pinned = sweep.ok("get", "sweep", "-o", "yaml")
    document = sweep.ok("get", "sweep", "-o", "json")

    assert sweep("diff", "-f", "-", input=pinned).returncode == 0
    assert sweep("apply", "-f", "-", input=document).stdout.endswith("all is as the manifest says\n")


def test_a_script_can_tell_nothing_to_do_from_changes_from_trouble(sweep: User) -> None:
    codes = [sweep("diff", "jobs/sweep.yaml").returncode]
    sweep.write("data/rows.csv", table(rows_of(sweep)[:-1]))
    codes += [sweep("diff", "jobs/sweep.yaml").returncode, sweep("apply", "jobs/sweep.yaml").returncode]
    plan = json.loads(sweep("diff", "jobs/sweep.yaml", "-o", "json").stdout)
    codes += [sweep("apply", "--yes", "jobs/sweep.yaml").returncode, sweep("diff", "jobs/sweep.yaml").returncode]

    assert codes == [0, 1, 2, 0, 0]
    assert plan["actions"][-1] == {
        "verb": "remove", "count": 1, "indices": str(sweep.stores.many), "cause": "no longer in ../data/rows.csv",
        "loses": "result",
    }  # fmt: skip


def test_a_pinned_manifest_runs_again_elsewhere_when_the_files_are_gone(user: User, tmp_path: Path) -> None:
    """On another store all that it takes is the content: the CAS."""
    user.write("data/rows.csv", table([["1", "s", "all.txt"], ["2", "s", "own.txt"], ["3", "m", "all.txt"]]))
    user.write("data/all.txt", "all")
    user.write("data/own.txt", "own")
    user.write("jobs/sweep.yaml", JOB)
    user.ok("apply", "--wait", "jobs/sweep.yaml")
    pinned = user.ok("get", "sweep")
    (tmp_path / "empty").mkdir()
    other, third = (user.another(tmp_path / name, folder=tmp_path / "empty") for name in ("other", "third"))
    user.stores.copy_blobs(other.stores)
    shutil.rmtree(user.folder)

    missing = third("apply", "-f", "-", input=pinned)
    done = other("apply", "--wait", "-f", "-", input=pinned)

    assert missing.returncode == 2
    assert "is neither stored nor at" in missing.stderr
    assert done.returncode == 0, done.stderr
    assert other.ok("get", "sweep") == pinned
    assert [other.result("sweep", index) for index in (1, 2, 3)] == [b"all", b"own", b"all"]
    other.stop_nodes()
