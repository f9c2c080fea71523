"""Manifests from files: apply makes the world match them, and a dry run does nothing at all."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from conftest import User, listing, until


def manifest(name: str, **spec: object) -> str:
    """Return a manifest. JSON is YAML."""
    command = {"command": ["echo", "{x}"], "parameters": {"rows": [{"x": "a"}, {"x": "b"}, {"x": "c"}]}}
    spec = {key: value for key, value in {**command, **spec}.items() if value is not None}
    return json.dumps({"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})


def rows(*values: str) -> dict[str, object]:
    return {"rows": [{"x": value} for value in values]}


def tasks(user: User, job: str) -> dict[str, tuple[str, int]]:
    """Return the parameter x of each task, and how often it was executed as it is now."""
    return {row["task"]: (row["parameters"].get("x"), row["attempts"]) for row in user.rows("list", job)}


def starts(user: User, job: str) -> list[str | None]:
    """Return when each task of a job was last executed."""
    return [row["started"] for row in user.rows("list", job)]


def plan(user: User, *words: str) -> dict[str, str]:
    """Return verb → indices of a plan."""
    document = json.loads(user(*words, "-o", "json").stdout)
    return {action["verb"]: action["indices"] for action in document["actions"]}


def test_a_second_identical_apply_does_nothing_and_says_so(warm: User) -> None:
    warm.write("in.txt", "content")
    warm.write("same.yaml", manifest("same", uploads=["in.txt"]))
    first = warm.ok("apply", "--wait", "same.yaml")
    before, objects = starts(warm, "same"), warm.stores.objects()

    again = warm.ok("apply", "--wait", "same.yaml")

    assert "upload 1 file (7 bytes) of 2" in first
    assert "Plan: 3 to run, 0 kept, 0 removed." in first
    assert again.splitlines()[0] == "job same   generation 1: nothing to do, all is as the manifest says"
    assert "upload" not in again
    assert starts(warm, "same") == before
    assert warm.stores.objects() == objects


def test_diff_exits_with_0_1_and_2(warm: User) -> None:
    warm.write("diff.yaml", manifest("diff"))

    new = warm("diff", "diff.yaml")
    warm.ok("apply", "--wait", "diff.yaml")
    same = warm("diff", "diff.yaml")
    warm.write("diff.yaml", manifest("diff", comand="x"))
    wrong = warm("diff", "diff.yaml")

    assert [done.returncode for done in (new, same, wrong)] == [1, 0, 2]
    assert "3 tasks new" in new.stdout
    assert "nothing to do" in same.stdout
    assert wrong.stdout == ""
    assert "did you mean 'command'?" in wrong.stderr


DRY = [
    pytest.param(["sub", "--dry-run", "-n", "dry", "-u", "in.txt", "cat", "in.txt"], id="sub --dry-run"),
    pytest.param(["sub", "--dry-run", "-n", "there", "echo", "changed"], id="sub --dry-run over a job"),
    pytest.param(["sub", "--dry-run", "-o", "yaml", "-n", "dry", "-u", "in.txt", "cat", "in.txt"], id="sub -o yaml"),
    pytest.param(["apply", "--dry-run", "new.yaml"], id="apply --dry-run"),
    pytest.param(["apply", "--dry-run", "--rerun", "all", "there.yaml"], id="apply --dry-run over a job"),
    pytest.param(["diff", "new.yaml"], id="diff"),
    pytest.param(["status"], id="status"),
]


@pytest.mark.parametrize("words", DRY)
def test_a_dry_run_writes_nothing_where_there_is_no_home_yet(user: User, words: Sequence[str]) -> None:
    user.write("in.txt", "content")
    user.write("new.yaml", manifest("new", uploads=["in.txt"]))
    user.write("there.yaml", manifest("there"))
    before, folder = user.everything(), listing(user.folder)

    done = user(*words)

    assert done.returncode == int(words[0] == "diff")
    assert done.stdout
    assert user.everything() == before == ({}, {})
    assert listing(user.folder) == folder


def test_a_dry_run_writes_nothing_in_a_home(user: User) -> None:
    user.write("in.txt", "content")
    user.write("new.yaml", manifest("new", uploads=["in.txt"]))
    user.write("there.yaml", manifest("there", nodes={"linger": "0s"}))
    user.ok("apply", "--wait", "there.yaml")
    user.wait_for_nodes_to_leave()
    before, folder = user.everything(), listing(user.folder)

    done = {str(case.id): user(*case.values[0]) for case in DRY}

    assert all(one.returncode == int(name == "diff") for name, one in done.items())
    assert "3 tasks run again" in done["apply --dry-run over a job"].stdout
    assert "1 task run again " in done["sub --dry-run over a job"].stdout
    assert user.everything() == before
    assert listing(user.folder) == folder
    assert [job["job"] for job in user.rows("status")] == ["there"]


def test_sub_is_its_manifest_applied(warm: User) -> None:
    warm.write("in.txt", "content")
    flags = ["--label", "who=me", "-u", "in.txt", "--seq", "2", "--env", "A=1", "--timeout", "1m", "--retries", "1"]
    command = ["sh", "-c", "cat in.txt; echo $A {index}"]

    direct = warm.ok("sub", "-n", "direct", *flags, *command)
    document = warm.ok("sub", "-n", "piped", *flags, "--dry-run", "-o", "yaml", *command)
    piped = warm.ok("apply", "--rerun", "all", "--wait", "-f", "-", input=document)

    assert direct.splitlines()[-2:] == [line.replace("piped", "direct") for line in piped.splitlines()[-2:]]
    one, other = ((warm.ok("get", name), warm.rows("list", name)) for name in ("direct", "piped"))
    assert one[0].replace("direct", "piped") == other[0]
    assert [(row["state"], row["exit"], row["attempts"]) for row in one[1]] == [("succeeded", 0, 1)] * 2
    assert warm.ok("logs", "direct.2") == warm.ok("logs", "piped.2") == "content1 2\n"


def test_a_saved_manifest_finds_its_files_from_another_folder(warm: User) -> None:
    warm.write("data/in.txt", "content\n")
    warm.write("rows.csv", "x\na\n")

    said = warm("sub", "-n", "saved", "--save", "jobs/deep/x.yaml", "-u", "data/in.txt", "--params", "rows.csv",
                "cat", "data/in.txt")  # fmt: skip
    assert "saved" not in [job["job"] for job in warm.rows("status")]
    warm.ok("apply", "--wait", "jobs/deep/x.yaml")

    assert (said.returncode, said.stdout) == (0, "")
    assert "sparkles apply jobs/deep/x.yaml" in said.stderr
    assert warm.ok("logs", "saved.1") == "content\n"


def test_a_pinned_manifest_is_applied_again(warm: User) -> None:
    warm.write("in.txt", "first\n")
    warm.write("pin.yaml", manifest("pin", command=["cat", "in.txt"], uploads=["in.txt"], parameters=None))
    warm.ok("apply", "--wait", "pin.yaml")
    pinned = warm.ok("get", "pin", "-o", "yaml")
    (warm.folder / "in.txt").unlink()

    same = warm.ok("apply", "-f", "-", input=pinned)
    warm.ok("apply", "--wait", "-f", "-", input=pinned.replace("name: pin", "name: copy"))

    assert "nothing to do" in same
    assert warm.ok("logs", "copy.1") == "first\n"


def test_rows_are_added_edited_and_removed(warm: User) -> None:
    warm.write("edit.yaml", manifest("edit"))
    warm.ok("apply", "--wait", "edit.yaml")
    kept = warm.rows("list", "edit")[0]["started"]

    warm.write("edit.yaml", manifest("edit", parameters=rows("a", "B", "c", "d")))
    edited = plan(warm, "diff", "edit.yaml")
    warm.ok("apply", "--wait", "edit.yaml")

    assert edited == {"keep": "1,3", "change": "2", "add": "4"}
    assert tasks(warm, "edit") == {"edit.1": ("a", 1), "edit.2": ("B", 1), "edit.3": ("c", 1), "edit.4": ("d", 1)}
    assert warm.rows("list", "edit")[0]["started"] == kept
    assert warm.ok("logs", "edit.2") == "B\n"

    warm.write("edit.yaml", manifest("edit", parameters=rows("d", "B", "a")))
    refused = warm("apply", "edit.yaml")
    warm.ok("apply", "--yes", "--wait", "edit.yaml")
    warm.ok("fetch", "edit", "results")

    assert refused.returncode == 2
    assert "its result is removed" in refused.stderr
    assert "--yes" in refused.stderr
    assert set(tasks(warm, "edit")) == {"edit.1", "edit.2", "edit.4"}
    assert sorted(path.name for path in (warm.folder / "results").iterdir()) == ["1", "2", "4"]

    warm.write("edit.yaml", manifest("edit", parameters=rows("d", "B", "a", "c")))
    warm.ok("apply", "--wait", "edit.yaml")

    assert tasks(warm, "edit")["edit.5"] == ("c", 1)
    assert "edit.3" not in tasks(warm, "edit")


def test_rerun_failed_and_rerun_all(warm: User) -> None:
    fixed = warm.folder / "fixed"
    line = f"echo ran {{x}}; [ {{x}} != b ] || [ -e {fixed} ]"
    warm.write("again.yaml", manifest("again", command=line))
    first = warm("apply", "--wait", "again.yaml")
    before = starts(warm, "again")
    fixed.touch()

    none = warm("apply", "--wait", "again.yaml")
    failed = plan(warm, "diff", "--rerun", "failed", "again.yaml")
    second = warm("apply", "--wait", "--rerun", "failed", "again.yaml")
    after = starts(warm, "again")
    everything = plan(warm, "diff", "--rerun", "all", "again.yaml")

    assert (first.returncode, none.returncode, second.returncode) == (1, 1, 0)
    assert "1 task failed: exit code 1, " in first.stderr
    assert "hint: 1 task failed or was killed before; --rerun failed runs such tasks again" in none.stdout
    assert failed == {"keep": "1,3", "rerun": "2"}
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]
    assert everything == {"rerun": "1-3"}


def test_several_documents_and_a_folder_are_applied_in_order(warm: User) -> None:
    warm.write("jobs/b.yaml", f"{manifest('folder-b1')}\n---\n{manifest('folder-b2')}\n")
    warm.write("jobs/a.yml", manifest("folder-a"))
    warm.write("jobs/notes.txt", "not a manifest")

    out = warm.ok("apply", "--wait", "jobs")

    names = ["folder-a", "folder-b1", "folder-b2"]
    assert [line.split()[1] for line in out.splitlines() if line.startswith("job ")] == names
    assert [job["job"] for job in warm.rows("status", "folder-*")] == names
    assert all(job["succeeded"] == 3 for job in warm.rows("status", "folder-*"))


def test_nothing_is_applied_if_one_of_several_documents_is_wrong(warm: User) -> None:
    wrong = manifest("partly-2", uploads=["missing.txt"])
    warm.write("good.yaml", manifest("partly-1"))

    unread = warm("apply", "good.yaml", "-f", "-", input=f"{wrong}\n---\n{manifest('partly-3', timeout='soon')}")
    unresolved = warm("apply", "good.yaml", "-f", "-", input=wrong)
    twice = warm("apply", "good.yaml", "-f", "-", input=manifest("partly-1"))

    assert [done.returncode for done in (unread, unresolved, twice)] == [2, 2, 2]
    assert "spec.timeout" in unread.stderr
    assert "missing.txt" in unresolved.stderr
    assert "described twice" in twice.stderr
    assert not [job for job in warm.rows("status") if job["job"].startswith("partly")]


def test_a_change_of_running_tasks_needs_yes(warm: User) -> None:
    go = warm.folder / "go"
    warm.write("busy.yaml", manifest("busy", command=f"{until(go)}; echo old", parameters=None))
    warm.ok("apply", "busy.yaml")
    warm.wait_for("busy", claimed=1)
    warm.write("busy.yaml", manifest("busy", command="echo new", parameters=None))

    refused = warm("apply", "--wait", "busy.yaml")
    still = warm.job("busy")["claimed"]
    changed = warm.ok("apply", "--yes", "--wait", "busy.yaml")

    assert refused.returncode == 2
    assert "it is stopped and runs anew" in refused.stderr
    assert still == 1
    assert "! 1 task change" in changed
    assert warm.ok("logs", "busy.1") == "new\n"


def test_settings_change_without_running_anything(warm: User) -> None:
    warm.write("live.yaml", manifest("live"))
    warm.ok("apply", "--wait", "live.yaml")
    before = starts(warm, "live")
    warm.write("live.yaml", manifest("live", nodes={"max": 4}, retries={"limit": 2}))

    said = warm.ok("apply", "--wait", "live.yaml")

    assert "nodes.max 1 → 4" in said
    assert "retries.limit 0 → 2" in said
    assert "Plan: 0 to run, 3 kept, 0 removed." in said
    assert starts(warm, "live") == before
    assert "nothing to do" in warm.ok("apply", "live.yaml")
