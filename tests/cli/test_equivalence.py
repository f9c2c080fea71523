"""`sub F…` and `sub F… --dry-run -o yaml | apply --rerun all --wait -f -` as processes, on two homes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from subprocess import CompletedProcess
from typing import Any

import pytest
from conftest import User
from stores import Stores

REQUESTS = [
    pytest.param(["--seq", "3", "echo", "I am", "{index}", "{{index}}"], id="a sequence"),
    pytest.param(["--params", "t.csv", "--env", "V={y z}", "sh", "-c", 'echo "$V" "$1"', "-", "{x}"], id="a table"),
    pytest.param(["-u", "@list.txt", "--cd", "data", "--ignore", "*.log", "cat ../f.txt > a.txt; ls"], id="files"),
    pytest.param(["--label", "a=0.10", "sh", "^run it's.sh", "  a  b", "", "'\"\\ #: \x85\u2028"], id="odd words"),
    pytest.param(["--matrix", "x=1,2", "--retries", "1", "[ {x} = 1 ] && echo one"], id="one that fails"),
    pytest.param(["-u", "missing", "-u", "f.txt:../up", "true"], id="files that cannot be had"),
    pytest.param(["--timeout", "soon", "--env", "SPARKLES_X=1", "true"], id="bad values"),
    pytest.param(["echo", "{nothing}"], id="an unknown parameter"),
]


@pytest.fixture(scope="module")
def second(shared_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Someone with a home of their own, beside the one of `warm`."""
    home = tmp_path_factory.mktemp("home")
    user = User(folder=home, home=home, stores=shared_stores.another(home / "sparkles"))
    yield user
    user.stop_nodes()


@pytest.fixture
def users(warm: User, second: User) -> tuple[User, User]:
    """Two users in the same folder, each with a home."""
    one, other = warm, replace(second, folder=warm.folder)
    one.write("t.csv", 'x,y z\n1,a  b\n2,"it\'s {x}"\n')
    one.write("f.txt", "f\n")
    one.write("data/a.log", "log\n")
    one.write("list.txt", "f.txt\ndata\n")
    one.write("run it's.sh", 'for word; do echo "<$word>"; done\n')
    return one, other


@pytest.mark.parametrize("request_", REQUESTS)
def test_to_submit_is_to_apply_the_manifest_that_the_flags_stand_for(
    users: tuple[User, User], request_: list[str], request: pytest.FixtureRequest
) -> None:
    name = f"e-{request.node.callspec.indices['request_']}"
    one, other = users
    submitted = one("sub", "-n", name, *request_)

    made = other("sub", "-n", name, "--dry-run", "-o", "yaml", *request_)
    applied = made if made.returncode else other("apply", "--rerun", "all", "--wait", "-f", "-", input=made.stdout)

    assert submitted.returncode == applied.returncode
    assert last_lines(one, submitted) == last_lines(other, applied)
    assert said(submitted) == said(applied)
    assert held(one, name) == held(other, name)


def said(done: CompletedProcess[str]) -> str:
    return done.stderr.replace("error: <stdin>: ", "error: ")


def last_lines(user: User, done: CompletedProcess[str]) -> list[str]:
    lines = done.stdout.replace(user.stores.url(""), "URL").splitlines()
    return [line for line in lines if line.startswith(("Job finished", "Done waiting"))]


def held(user: User, name: str) -> dict[str, Any]:
    """Return what is kept of a job."""
    manifest = user("get", name, "-o", "yaml")
    if manifest.returncode:
        return {}
    tasks = [{key: row[key] for key in ("task", "state", "parameters", "exit")} for row in user.rows("list", name)]
    return {
        "manifest": manifest.stdout,
        "tasks": tasks,
        "files": {name: text for name, text in user.stores.files(name).items() if not name.endswith("result.json")},
    }
