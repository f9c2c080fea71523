"""`sparkles why`: what it says of real jobs, and that it only looks."""

from __future__ import annotations

import json
import re

from conftest import User, eventually


def test_a_failed_task_says_what_it_last_wrote_and_what_to_do(user: User) -> None:
    user("sub", "-n", "bad", "sh", "-c", "echo first; echo 'ValueError: NaN'; exit 3")

    assert user.ok("why", "bad.1") == (
        "bad.1: it failed: exit code 3; it last wrote: ValueError: NaN\n  sparkles logs bad.1\n  sparkles retry bad.1\n"
    )
    assert user.ok("why") == (
        "bad: it has ended: 1 of 1 task failed\n"
        "  sparkles list bad --filter state=failed\n"
        "  sparkles retry bad\n"
        "bad: 1 task failed: exit code 3, ValueError: NaN, such as bad.1\n"
        "  sparkles logs bad.1\n"
        "  sparkles retry bad.1\n"
    )


def test_a_command_that_does_not_exist_is_said_with_its_cure(user: User) -> None:
    user("sub", "-n", "typo", "nosuchcommand")

    assert "exit code 127, there is no such command" in user.ok("why", "typo.1")
    assert "check how the command is spelled" in user.ok("why", "typo.1")


def test_pending_tasks_wait_for_the_one_node_that_there_is(user: User) -> None:
    user.ok("sub", "-n", "long", "--no-wait", "--slots", "1", "--seq", "3", "--", "sh", "-c", "sleep 60")
    user.wait_for("long", claimed=1)

    eventually(lambda: "at work" in user.ok("why", "long"))
    text = user.ok("why", "long")

    assert re.search(r"long: it is active: 2 tasks pending, 1 task claimed; submitted \d:\d\d ago\n", text)
    assert "long: 1 node at work, 1 task at a time each; " in text
    states = {row["task"]: row["state"] for row in user.rows("list", "long")}
    pending = next(task for task, state in states.items() if state == "pending")
    first, second, *_ = user.ok("why", pending).splitlines()
    assert re.fullmatch(rf"{pending}: it is pending since \d:\d\d, and no attempt of it has ended yet", first)
    assert second.startswith(f"{pending}: 1 node at work")


def test_a_task_that_runs_says_where(user: User) -> None:
    user.ok("sub", "-n", "alone", "--no-wait", "sleep", "60")
    user.wait_for("alone", claimed=1)
    (node,) = user.nodes()
    task = user.ok("why", "alone.1")

    assert f"on node {node.name}" in task
    assert "sparkles logs -f alone.1" in task


def test_a_waiting_job_says_what_for(user: User) -> None:
    user.ok("sub", "-n", "first", "--no-wait", "sleep", "60")
    user.ok("sub", "-n", "second", "--no-wait", "--needs", "first", "true")

    assert user.ok("why", "second") == "second: job second waits for first\n"


def test_programs_get_a_document(user: User) -> None:
    user("sub", "-n", "done", "true")

    document = json.loads(user.ok("why", "done", "-o", "json"))

    assert document == {
        "target": "done",
        "findings": [{"says": "it has ended: 1 task succeeded", "do": "", "commands": []}],
    }
    assert user("why", "done.7").returncode == 2
    assert user("why", "nosuch").returncode == 2
