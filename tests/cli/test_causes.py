"""A job of 2,000 tasks in which fourteen things go wrong: each is named at the end, with how many tasks it hit, and
`why` says what to do about it.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass

import pytest
from conftest import User
from stores import Stores

from sparkles.cli.submission import owner

TASKS = 2000


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Something that goes wrong."""

    program: str
    #: The program's text; None if there is no such program.
    text: str | None
    count: int
    #: What is said at the end; `{folder}` is where the programs are.
    says: str
    #: What `why` says of a task, and of what to do.
    why: str
    do: str


PLANTED = [
    Planted(
        program="killed", text="#!/bin/sh\nexec sleep 600\n", count=2, says="2 tasks were killed by {owner}",
        why="it was killed by {owner} ", do="sparkles retry",
    ),
    Planted(
        program="slow", text="#!/bin/sh\nexec sleep 600\n", count=3, says="3 tasks failed: timeout",
        why="it took longer than its timeout", do="raise --timeout",
    ),
    Planted(
        program="value", text='#!/bin/sh\necho "ValueError: bad value $1.5 in /data/$1.txt"; exit 3\n', count=40,
        says="40 tasks failed: exit code 3, ValueError: bad value <n> in <file>", why="exit code 3; it last wrote: Val",
        do="sparkles logs",
    ),
    Planted(
        program="nosuchcommand", text=None, count=30,
        says="30 tasks failed: exit code 127, sparkles: nosuchcommand: command not found",
        why="exit code 127, there is no such command", do="check how the command is spelled",
    ),
    Planted(
        program="plain", text="#!/bin/sh\n", count=20,
        says="20 tasks failed: exit code 126, sparkles: {folder}/plain: not executable; chmod +x it before it is "
        "uploaded", why="exit code 126, the command cannot be executed", do="make it executable (chmod +x FILE)",
    ),
    Planted(
        program="old", text="#!/usr/bin/python0\n", count=16,
        says="16 tasks failed: exit code 127, sparkles: {folder}/old: the interpreter named in its first line was not "
        "found", why="the first line of {folder}/old names a program that is not there", do="correct it (#!/",
    ),
    Planted(
        program="foreign", text="\x7fELF of another machine", count=12,
        says="12 tasks failed: exit code 126, sparkles: {folder}/foreign: neither a program of this machine nor a "
        "script with a #! line", why="{folder}/foreign is no program that this kind of machine can run",
        do="docker build --platform linux/amd64",
    ),
    Planted(
        program="module", text=f'#!/bin/sh\nexec {sys.executable} -S -c "import nosuchmodule"\n', count=4,
        says="4 tasks failed: exit code 1, ModuleNotFoundError: No module named 'nosuchmodule'",
        why="it looks as if the Python module nosuchmodule is missing", do="pip install nosuchmodule",
    ),
    Planted(
        program="full", text='#!/bin/sh\nexec cat "$0" > /dev/full\n', count=7,
        says="7 tasks failed: exit code 1, cat: write error: No space left on device",
        why="it looks as if the disk is full", do="make room on it",
    ),
    Planted(
        program="crash", text="#!/bin/sh\nkill -SEGV $$\n", count=8,
        says="8 tasks failed: exit code 139 (SIGSEGV), wrote nothing", why="it reached for memory that is not its own",
        do="that is a mistake in the program",
    ),
    Planted(
        program="shot", text="#!/bin/sh\nkill -KILL $$\n", count=9,
        says="9 tasks failed: exit code 137 (SIGKILL), wrote nothing", why="it was ended with SIGKILL",
        do="it may have run out of memory",
    ),
    Planted(
        program="missing", text='#!/bin/sh\nexec cat "sample-$1.txt"\n', count=25,
        says="25 tasks failed: exit code 1, cat: <file>: No such file or directory",
        why="it looks as if it did not find a file", do="upload what it reads (-u FILE)",
    ),
    Planted(
        program="interpreter", text="#!/usr/bin/env rscript0\n", count=5,
        says="5 tasks failed: exit code 127, /usr/bin/env: '{interpreter}': No such file or directory",
        why="it looks as if the program rscript0, which the first line of the script names, is missing",
        do="choose an image that has it",
    ),
    Planted(
        program="windows", text="#!/usr/bin/env python3\r\n", count=6,
        says=r"6 tasks failed: exit code 127, /usr/bin/env: '{interpreter}': No such file or directory",
        why="it looks as if the script was written on Windows", do=r"sed -i 's/\r$//' FILE",
    ),
]  # fmt: skip

#: What goes wrong, one after another from the first task on; the others succeed.
HIT = [planted for planted in PLANTED for _ in range(planted.count)]


pytestmark = pytest.mark.at_home


@pytest.fixture(scope="module")
def many(shared_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user with the job `many`, which has ended."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("folder")
    user = User(folder=folder, home=home, stores=shared_stores.another(home / "sparkles"))
    user.env["LC_ALL"] = "C"  # elsewhere `env` has other quotation marks
    for planted in PLANTED:
        if planted.text is not None:
            user.write(planted.program, planted.text, executable=planted.program != "plain")
    programs = [planted.program if planted.text is None else str(folder / planted.program) for planted in HIT]
    user.write("rows.csv", "\n".join(["program", *programs, *["true"] * (TASKS - len(HIT))]))
    flags = ("--params", "rows.csv", "--slots", "8", "--timeout", "6s", "--no-wait")
    user.ok("sub", "-n", "many", *flags, "{program}", "{index}")
    user.ok("kill", "many.1", "many.2")
    assert user("wait", "many").returncode == 1
    return user


def test_a_job_ends_with_each_cause_and_how_many_tasks_had_it(many: User) -> None:
    watched, waited, status = many("watch", "many"), many("wait", "many"), many("status", "many")

    assert (watched.returncode, waited.returncode, status.returncode) == (1, 1, 0)
    assert watched.stdout.splitlines() == [
        f"Job finished. {TASKS - len(HIT)} tasks completed successfully, {len(HIT) - 2} tasks failed, 2 tasks killed",
        f"Done waiting for job. You can download results via '{many.stores.download_line('many')}'",
    ]
    assert waited.stdout == ""
    assert watched.stderr == waited.stderr == "".join(status.stdout.splitlines(keepends=True)[2:])
    said = watched.stderr.splitlines()
    heads = [line for line in said if re.match("[0-9]+ tasks", line)]
    assert sorted(heads) == sorted(filled(planted.says, planted, many) for planted in PLANTED)
    assert said[-1] == "What to do about each: sparkles why many"


def test_the_commands_of_a_cause_list_its_tasks_and_run_them_again(many: User) -> None:
    said = many("wait", "many").stderr.splitlines()
    place = next(number for number, line in enumerate(said) if line.startswith("25 tasks failed"))
    list_words, retry_words = (shlex.split(line)[1:] for line in said[place + 3 : place + 5])

    listed, plan = many.rows(*list_words), many.ok(*retry_words, "--dry-run")

    assert {row["parameters"]["program"] for row in listed} == {str(many.folder / "missing")}
    assert (list_words[0], len(listed)) == ("list", 25)
    assert "Plan: 25 to run" in plan


@pytest.mark.parametrize("planted", PLANTED, ids=[planted.program for planted in PLANTED])
def test_why_says_what_was_wrong_with_a_task_and_what_to_do(many: User, planted: Planted) -> None:
    said = many.ok("why", f"many.{HIT.index(planted) + 1}")

    assert filled(planted.why, planted, many) in said
    assert planted.do in said


def test_why_says_of_each_cause_what_to_do(many: User) -> None:
    about = dict(re.findall(r"^many: (.*), such as .*\n((?:  .*\n)+)", many.ok("why", "many"), re.MULTILINE))

    for planted in PLANTED[1:]:
        assert planted.do in about[filled(planted.says, planted, many)]
    assert len(about) == len(PLANTED)


def test_programs_get_the_causes_with_the_status(many: User) -> None:
    causes = many.job("many")["causes"]

    assert [cause["count"] for cause in causes] == sorted((planted.count for planted in PLANTED), reverse=True)
    assert causes[0]["filters"] == ["state=failed", "exit=3"]


def filled(text: str, planted: Planted, user: User) -> str:
    """Return what is said, with the names that this machine has for things."""
    interpreter = {"interpreter": "rscript0", "windows": r"python3\r"}.get(planted.program, "")
    for name, value in {"folder": user.folder, "owner": owner(), "interpreter": interpreter}.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
