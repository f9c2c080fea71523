"""A canary and failFast, with nobody there: the real commands, the real nodes."""

from __future__ import annotations

import pytest
from conftest import User, eventually, until
from stores import AtHome


def test_a_canary_that_fails_keeps_the_others_from_running_and_says_what_to_do(warm: User) -> None:
    warm.ok("sub", "-n", "bad", "--no-wait", "--canary", "10", "--seq", "1000", "[ {index} != 7 ]")

    ended = warm.wait_for("bad", state="finished")
    watched = warm("watch", "bad")
    why = warm.ok("why", "bad")

    assert (ended["succeeded"], ended["failed"], ended["pending"], ended["killed"]) == (9, 1, 0, 0)
    assert watched.returncode == 1
    assert "Job finished. 9 tasks completed successfully, 1 tasks failed\n" in watched.stdout
    for said in (watched.stderr, why, warm("status", "bad").stderr):
        assert "canary: not all of the first 10 tasks succeeded, so 990 others were not run" in said
        assert "'sparkles retry bad' runs again what did not succeed, and then the other 990" in said
    assert warm.job("bad")["held"] == 990
    assert "tasks are 1 to 10; canary: not all of the first 10 tasks succeeded" in warm("logs", "bad.500").stderr


def test_the_others_follow_a_retry_of_the_first_with_nobody_there(warm: User) -> None:
    mended = warm.folder / "mended"
    warm.write(
        "fit.yaml",
        "apiVersion: sparkles/v1\nkind: Job\nmetadata: {name: fit}\n"
        f"spec: {{command: '[ {{index}} != 2 ] || [ -e {mended} ]', parameters: {{seq: 12}}, canary: 3}}\n",
    )
    planned = warm.ok("apply", "fit.yaml")
    warm.wait_for("fit", state="finished", failed=1)
    again = warm.ok("apply", "fit.yaml")

    mended.touch()
    warm.ok("retry", "fit")

    assert "  ? 9 tasks held back     4\u201312: until the first 3 have succeeded\n" in planned
    assert planned.endswith("Plan: 3 to run, 0 kept, 0 removed, 9 held back.\n")
    assert "nothing to do, all is as the manifest says; 9 tasks are held back until the first 3 have" in again
    assert warm.wait_for("fit", state="finished", succeeded=12, held=0)["failed"] == 0
    assert warm("watch", "fit").returncode == 0


def test_who_watches_is_told_what_is_held_back_and_when_it_goes_on(warm: User) -> None:
    done = warm.ok("sub", "-n", "good", "--canary", "1", "--seq", "3", "true")

    assert "canary: 1 task first; 2 more when it has succeeded\n" in done
    assert "canary: the first task has succeeded; 2 more go on\n" in done
    assert "Job finished. 3 tasks completed successfully, 0 tasks failed\n" in done


@pytest.mark.at_home
def test_a_job_that_is_killed_while_its_first_task_runs_runs_no_other(warm: User) -> None:
    gate = warm.folder / "gate"
    warm.ok("sub", "-n", "stopped", "--no-wait", "--canary", "1", "--seq", "5", f"touch began; {until(gate)}")
    warm.wait_for("stopped", claimed=1)
    refused = warm("sub", "-n", "stopped", "true")

    warm.ok("kill", "stopped")

    assert refused.returncode == 2
    assert warm.wait_for("stopped", state="killed", killed=1)["pending"] == 0
    assert "it was killed before the others began, so 4 others were not run" in warm("status", "stopped").stderr


def test_a_job_is_stopped_when_too_many_tasks_fail_and_says_what_to_do(warm: User) -> None:
    tasks = 1000 if isinstance(warm.stores, AtHome) else 300  # the emulator takes its time
    flags = ["--no-wait", "--fail-fast", "5", "--slots", "2", "--seq", str(tasks)]
    warm.ok("sub", "-n", "hopeless", *flags, "sleep 0.2; exit 3")

    warm.wait_for("hopeless", state="killed")
    ended = eventually(lambda: (row := warm.job("hopeless"))["failed"] + row["killed"] == tasks and row)
    watched = warm("watch", "hopeless")

    assert 6 <= ended["failed"] < (20 if isinstance(warm.stores, AtHome) else 100), (
        "what nodes held, and begin meanwhile"
    )
    assert watched.returncode == 1
    for said in (watched.stderr, warm.ok("why", "hopeless"), warm("status", "hopeless").stderr):
        assert "failFast: " in said
        assert "tasks failed, more than 5" in said
        assert "'sparkles retry hopeless' runs again what failed or was stopped" in said
        assert "--fail-fast" in said


def test_flags_are_fields_of_the_manifest(warm: User) -> None:
    shown = warm.ok("sub", "-n", "x", "--fail-fast", "2.5%", "--canary", "4", "--dry-run", "-o", "yaml", "true")
    wrong = warm("sub", "--fail-fast", "many", "true")

    assert '  failFast:\n    maxFailures: "2.5%"\n  canary: 4\n' in shown
    assert wrong.returncode == 2
    assert "spec.failFast.maxFailures: expected a number of tasks such as 5, or a part of all" in wrong.stderr


@pytest.mark.at_home
def test_the_others_follow_although_the_node_of_the_first_was_killed(warm: User) -> None:
    gate = warm.folder / "gate"
    warm.ok("sub", "-n", "lost", "--no-wait", "--canary", "1", "--seq", "4", f"touch began; {until(gate)}")
    warm.wait_for("lost", claimed=1)

    warm.stop_nodes()
    gate.touch()
    done = warm.ok("watch", "lost")

    assert "canary: the first task has succeeded; 3 more go on\n" in done
    assert "Job finished. 4 tasks completed successfully, 0 tasks failed\n" in done
