"""Comparing two jobs: what they are, and what became of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import User
from contracts.nouns import a_job, put
from stores import Stores


@pytest.fixture(scope="module")
def sweeper(shared_stores: Stores, shared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user with two runs of one sweep: the second with another command, another file, and a task that fails."""
    user = User(folder=tmp_path_factory.mktemp("folder"), home=shared_home, stores=shared_stores)
    user.write("fit.sh", "echo $1")
    user.write("rows.csv", "x,size\n1,small\n2,small\n3,large\n")
    words = ["-u", "fit.sh", "--params", "rows.csv"]
    user.ok("sub", "-n", "monday", *words, "sh", "fit.sh", "{x}")
    user.ok("sub", "-n", "again", *words, "sh", "fit.sh", "{x}")
    user.write("fit.sh", "test $1 != 2")
    user.write("rows.csv", "size,x\nhuge,4\nsmall,2\nsmall,1\n")
    done = user("sub", "-n", "tuesday", "--env", "A=1", *words, "sh", "-e", "fit.sh", "{x}")
    assert done.returncode == 1
    with user.stores.state() as state:
        put(state, a_job("begun", generation=0, submitted=1.0))
    user.stop_nodes()
    return user


def test_two_runs_of_a_sweep_are_compared(sweeper: User) -> None:
    done = sweeper("diff", "monday", "tuesday")

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "job monday ↔ job tuesday",
        "  ~ command sh fit.sh '{x}' → sh -e fit.sh '{x}'",
        "  ~ env.A unset → 1",
        "  ~ 1 file differs            fit.sh",
        "  = 1 task alike",
        "  ~ 1 task ended differently  2: succeeded → failed (exit 1)",
        "  - 1 task only in monday",
        "      3: size=large x=3",
        "  + 1 task only in tuesday",
        "      1: size=huge x=4",
        "Diff: 2 rows in both, 1 of them ended differently; 1 only in monday, 1 only in tuesday.",
    ]


def test_a_comparison_is_a_document(sweeper: User) -> None:
    from_json = json.loads(sweeper("diff", "monday", "tuesday", "-o", "json").stdout)

    assert (from_json["version"], from_json["jobs"], from_json["changes"]) == (1, ["monday", "tuesday"], True)
    assert from_json["turns"][0]["indices"] == ["2", "2"]
    assert "jobs: [monday, again]\nchanges: false\n" in sweeper.ok("diff", "-o", "yaml", "monday", "again")


@pytest.mark.parametrize("words", [("monday", "again"), ("mon*", "ag?in"), ("LAST", "tuesday"), ("-v", "LAST", "LAST")])
def test_the_same_is_one_line_and_no_error(sweeper: User, words: tuple[str, ...]) -> None:
    (line,) = sweeper.ok("diff", *words).splitlines()

    assert line.endswith(": they are the same, and so is what became of their tasks")


def test_a_file_and_a_name_are_no_pair(sweeper: User) -> None:
    sweeper.write("job.yaml", sweeper.ok("get", "monday"))
    (sweeper.folder / "here").mkdir(exist_ok=True)

    for words in (("job.yaml", "monday"), ("monday", "job.yaml"), ("here", "monday")):
        done = sweeper("diff", *words)

        there = next(word for word in words if word != "monday")
        assert (done.returncode, done.stdout) == (2, "")
        assert (
            f"{there!r} is here as a file or folder, and 'monday' is not; write 'sparkles diff {there}'" in done.stderr
        )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param("mondai again", "no job 'mondai' here; did you mean 'monday'?", id="a typo"),
        pytest.param("*day again", "'*day' stands for 2 jobs; name one: monday, tuesday", id="a glob of two"),
        pytest.param("begun again", "job begun is still being applied for the first time", id="begun"),
        pytest.param("--rerun all monday again", "--rerun goes with a manifest", id="rerun"),
        pytest.param("monday", "no file 'monday' in ", id="one name"),
        pytest.param("monday again tuesday", "no file 'monday' in ", id="three names"),
        pytest.param("-f monday again", "no file 'again' in ", id="a name as -f"),
        pytest.param("no.yaml again", "no file 'no.yaml' in ", id="a file that is not there"),
        pytest.param("./monday ./again", "no file 'monday' in ", id="paths"),
    ],
)
def test_a_wrong_comparison_is_a_wrong_request(sweeper: User, words: str, says: str) -> None:
    done = sweeper("diff", *words.split())

    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
