"""Foreach and workflows: documents of several jobs, through the real commands and the real nodes."""

from __future__ import annotations

import json
import os
import signal
from textwrap import dedent, indent

import pytest
from conftest import User, eventually, until

SCATTER = """
def get_foreach_args(*numbers):
    return dict(elements=[int(number) for number in numbers], extra_args=[10])

def foreach(x, scale):
    with open("ran.txt", "w") as file:
        file.write(str(x))
    return x * scale

def gather(results, scale):
    with open("total.txt", "w") as file:
        file.write("{} of {}".format(sum(results), results))
"""


def a_foreach(user: User, name: str, *numbers: int, script: str = SCATTER, **fields: str) -> str:
    user.write(f"{name}.py", script)
    more = "".join(f", {field}: {value}" for field, value in fields.items())
    args = ", ".join(f'"{number}"' for number in numbers)
    document = f"apiVersion: sparkles/v1\nkind: Foreach\nmetadata: {{name: {name}}}\n"
    user.write(f"{name}.yaml", f"{document}spec: {{script: {name}.py, args: [{args}]{more}}}\n")
    return f"{name}.yaml"


def a_workflow(user: User, name: str, steps: str) -> str:
    head = f"apiVersion: sparkles/v1\nkind: Workflow\nmetadata: {{name: {name}}}\nspec:\n  steps:\n"
    user.write(f"{name}.yaml", head + indent(dedent(steps), "    "))
    return f"{name}.yaml"


DIAMOND = """
  - {{name: top, command: "{top}"}}
  - name: left
    needs: [top]
    uploads: ["{{results.top}}/1/n.txt"]
    command: "{left}"
  - name: right
    needs: [top]
    uploads: ["{{results.top}}/1/n.txt"]
    command: "echo $(($(cat top/1/n.txt) * 3)) > n.txt"
  - name: bottom
    needs: [left, right]
    uploads: ["{{results.left}}/1/n.txt", "{{results.right}}/1/n.txt"]
    command: "cat left/1/n.txt right/1/n.txt"
"""
LEFT = "echo $(($(cat top/1/n.txt) * 2)) > n.txt"


def a_diamond(user: User, name: str, *, top: str = "echo 7 > n.txt", left: str = LEFT) -> str:
    return a_workflow(user, name, DIAMOND.format(top=top, left=left))


def started(user: User, name: str) -> dict[str, str]:
    return {row["task"]: row["started"] for row in user.rows("list", name)}


def again(user: User, name: str, before: dict[str, str]) -> list[str]:
    """Return which tasks have run since."""
    return [task for task, at in started(user, name).items() if before.get(task) != at]


# Foreach


def test_a_foreach_runs_its_functions_and_applied_again_leaves_nothing_to_do(warm: User) -> None:
    file = a_foreach(warm, "fe1", 1, 2, 3)

    done = warm.ok("apply", "--wait", file)

    assert warm.result("fe1-gather", 1, "total.txt") == b"60 of [10, 20, 30]"
    assert warm.result("fe1", 3, "ran.txt") == b"3"
    assert [line.split()[1] for line in done.splitlines() if line.startswith("job ")] == [
        "fe1-getargs",
        "fe1",
        "fe1-gather",
    ]
    assert warm.ok("diff", file).count("nothing to do") == 3
    assert "fe1 is a Foreach: its elements come from its script" in warm("list", "fe1", "--params").stderr


def test_a_task_of_a_foreach_runs_again_if_its_element_changes_and_all_if_the_script_does(warm: User) -> None:
    warm.ok("apply", "--wait", a_foreach(warm, "fe2", 1, 2, 3))
    before = started(warm, "fe2")

    warm.ok("apply", "--wait", a_foreach(warm, "fe2", 1, 5, 3))
    one = again(warm, "fe2", before)
    before = started(warm, "fe2")
    warm.ok("apply", "--wait", a_foreach(warm, "fe2", 1, 5, 3, script=SCATTER + "\n# changed\n"))
    every = again(warm, "fe2", before)

    assert one == ["fe2-getargs.1", "fe2.2", "fe2-gather.1"]
    assert every == ["fe2-getargs.1", "fe2.1", "fe2.2", "fe2.3", "fe2-gather.1"]
    assert warm.result("fe2-gather", 1, "total.txt") == b"90 of [10, 50, 30]"


def test_an_element_put_in_front_is_the_only_one_that_runs_and_the_order_is_that_of_the_elements(warm: User) -> None:
    warm.ok("apply", "--wait", a_foreach(warm, "fe3", 1, 2))
    before = started(warm, "fe3")

    warm.ok("apply", "--wait", a_foreach(warm, "fe3", 9, 1, 2))

    assert again(warm, "fe3", before) == ["fe3-getargs.1", "fe3.3", "fe3-gather.1"]
    assert warm.result("fe3-gather", 1, "total.txt") == b"120 of [90, 10, 20]"


def test_an_element_that_is_gone_takes_its_result_with_it_only_if_told_so(warm: User) -> None:
    warm.ok("apply", "--wait", a_foreach(warm, "fe7", 1, 2, 3))

    refused = warm("apply", "--wait", a_foreach(warm, "fe7", 1, 3))
    told = warm("apply", "--wait", "--yes", "fe7.yaml")

    assert refused.returncode == 1
    assert "job fe7 cannot begin: 1 task gone (2: no longer among the elements): " in refused.stderr
    assert told.returncode == 0
    assert [row["task"] for row in warm.rows("list", "fe7")][1:3] == ["fe7.1", "fe7.3"]
    assert warm.result("fe7-gather", 1, "total.txt") == b"40 of [10, 30]"


def test_if_an_element_fails_nothing_is_gathered_until_it_is_retried(warm: User) -> None:
    gate = warm.folder / "gate4"
    script = SCATTER.replace("def foreach(x, scale):\n", f"def foreach(x, scale):\n    if x == 2: open('{gate}')\n")
    file = a_foreach(warm, "fe4", 1, 2, 3, script=script)

    done = warm("apply", "--wait", file)
    waiting = warm.rows("status", "fe4")
    before = started(warm, "fe4")
    gate.touch()
    retried = warm("retry", "--wait", "fe4")

    assert done.returncode == 1
    assert [(row["job"], row["state"], row["failed"]) for row in waiting] == [
        ("fe4-getargs", "finished", 0),
        ("fe4", "finished", 1),
        ("fe4-gather", "waiting", 0),
    ]
    assert retried.returncode == 0
    assert again(warm, "fe4", before) == ["fe4.2", "fe4-gather.1"]
    assert warm.result("fe4-gather", 1, "total.txt") == b"60 of [10, 20, 30]"


def test_outputs_are_chosen_without_harm_to_what_the_phases_leave_for_each_other(warm: User) -> None:
    file = a_foreach(warm, "fe5", 1, 2, outputs='{include: [total.txt], exclude: ["*.pkl", "*.csv"]}')

    warm.ok("apply", "--wait", file)
    warm.ok("fetch", "fe5", "fe5-results")

    found = sorted(str(p.relative_to(warm.folder / "fe5-results")) for p in warm.folder.glob("fe5-results/*/*/*.txt"))
    assert found == ["fe5-gather/1/stdout.txt", "fe5-gather/1/total.txt", "fe5-getargs/1/stdout.txt",
                     "fe5/1/stdout.txt", "fe5/2/stdout.txt"]  # fmt: skip


def test_elements_are_worked_through_by_the_batch_and_nothing_need_be_gathered(warm: User) -> None:
    file = a_foreach(warm, "fe6", 1, 2, 3, batchSize="2", functions="{gather: none}")

    warm.ok("apply", "--wait", file)

    assert [row["job"] for row in warm.rows("status", "fe6")] == ["fe6-getargs", "fe6"]
    assert [row["task"] for row in warm.rows("list", "fe6")] == ["fe6-getargs.1", "fe6.1", "fe6.2"]


def test_what_is_wrong_with_the_files_of_a_foreach_is_said_as_its_document_calls_them(warm: User) -> None:
    file = a_foreach(warm, "fe9", 1, uploads="[fe9.yaml, no.txt]")
    (warm.folder / "fe9.py").unlink()

    done = warm("apply", file)

    assert (done.returncode, done.stdout) == (2, "")
    assert "fe9.yaml: spec.uploads[1]: no file 'no.txt' in " in done.stderr
    assert "fe9.yaml: spec.script: no file 'fe9.py' in " in done.stderr


def test_what_a_deleted_foreach_left_is_removed_by_its_name_and_nothing_else(warm: User) -> None:
    warm.ok("apply", "--wait", a_foreach(warm, "fe8", 1))
    warm.ok("sub", "-n", "plain", "true")
    warm.ok("sub", "-n", "plain-gather", "true")
    warm.ok("delete", "fe8", "plain", "plain-gather")

    refused = warm("delete", "fe8")
    removed = warm.ok("delete", "--results", "fe8", "plain")

    assert "job fe8 is deleted, but its results are still there; remove them with --results" in refused.stderr
    assert set(removed.splitlines()) == {
        f"{job}: results removed" for job in ("fe8", "fe8-gather", "fe8-getargs", "plain")
    }
    assert warm("apply", "fe8.yaml").returncode == 0
    assert "results of a deleted job" in warm("sub", "-n", "plain-gather", "true").stderr


# Workflows


def test_the_steps_of_a_workflow_run_with_no_client_alive(warm: User) -> None:
    gate = warm.folder / "gate-w1"
    file = a_diamond(warm, "w1", top=f"{until(gate)}; echo 7 > n.txt")

    warm.ok("apply", file)
    waiting = [row["state"] for row in warm.rows("status", "w1")]
    gate.touch()
    warm.wait_for("w1-bottom", state="finished", succeeded=1)

    assert waiting == ["active", "waiting", "waiting", "waiting"]
    assert warm.log("w1-bottom.1") == "14\n21\n"


def test_a_workflow_that_is_applied_again_runs_what_has_changed_and_what_stands_behind(warm: User) -> None:
    warm.ok("apply", "--wait", a_diamond(warm, "w2"))
    before = started(warm, "w2")

    same = warm("apply", "w2.yaml").stdout
    warm.ok("apply", "--wait", a_diamond(warm, "w2", left=LEFT.replace("2", "4")))

    assert same.count("nothing to do") == 4
    assert sorted(again(warm, "w2", before)) == ["w2-bottom.1", "w2-left.1"]
    assert warm.log("w2-bottom.1") == "28\n21\n"


def test_a_step_that_failed_holds_up_only_what_needs_it(warm: User) -> None:
    gate = warm.folder / "gate-w3"
    file = a_diamond(warm, "w3", left=f"[ -e '{gate}' ] && {LEFT}")

    done = warm("apply", "--wait", file)
    waited = warm("wait", "w3")
    why = warm.ok("why", "w3")
    gate.touch()
    retried = warm("retry", "--wait", "w3")

    assert (done.returncode, waited.returncode, retried.returncode) == (1, 1, 0)
    assert "job w3-bottom waits for job w3-left, which has ended, but not all of its tasks succeeded" in waited.stderr
    assert "w3-right: it has ended: 1 task succeeded\n" in why
    assert "w3-left: " in why
    assert warm.log("w3-bottom.1") == "14\n21\n"


def test_tasks_of_a_whole_are_chosen_by_a_parameter_that_only_one_of_its_jobs_has(warm: User) -> None:
    steps = """
      - {name: one, command: echo hello}
      - {name: many, parameters: {rows: [{x: 1}, {x: 2}]}, command: "echo {x}; exit {x}"}
    """
    warm("apply", "--wait", a_workflow(warm, "chosen", steps))

    retried = warm.ok("retry", "chosen", "--filter", "params.x = 2", "--dry-run")
    unknown = warm("retry", "chosen", "--filter", "params.y = 2")
    logs = warm.ok("logs", "chosen", "--filter", "params.x = 2")
    warm.ok("fetch", "chosen", "got", "--filter", "params.x = 2", "--include", "stdout.txt")

    assert "  ~ 1 task run again      2: retry\n" in retried
    assert (unknown.returncode, "no task has a parameter 'y'; there is: x" in unknown.stderr) == (2, True)
    assert logs == "==> chosen-many.2 <==\n2\n"
    assert [path.parent.name for path in (warm.folder / "got").rglob("stdout.txt")] == ["2"]


def test_a_step_may_have_a_task_for_each_row_that_another_step_made(warm: User) -> None:
    file = a_workflow(
        warm,
        "w4",
        """
          - name: split
            command: "printf 'a b c d' | xargs -n 1 echo | split -l 2 - part- && (echo part; ls part-*) > parts.csv"
          - name: count
            needs: [split]
            uploads: ["{results.split}/1/{part}:in.txt"]
            parameters: {csv: "{results.split}/1/parts.csv"}
            command: tr '[:lower:]' '[:upper:]' < in.txt > out.txt
          - name: join
            needs: [count]
            uploads: ["{results.count}/*/out.txt"]
            command: cat count/*/out.txt
        """,
    )

    planned = warm("diff", file).stdout
    warm.ok("apply", "--wait", file)

    assert "  ? tasks known after w4-split\n" in planned
    assert [row["succeeded"] for row in warm.rows("status", "w4")] == [1, 2, 1]
    assert warm.log("w4-join.1") == "A\nB\nC\nD\n"


def test_a_workflow_is_killed_scaled_and_deleted_as_a_whole(warm: User) -> None:
    gate = warm.folder / "gate-w5"
    warm.ok("apply", a_diamond(warm, "w5", top=f"{until(gate)}; echo 7 > n.txt"))

    scaled = warm.ok("scale", "w5", "2")
    killed = warm.ok("kill", "w5")
    states = {row["state"] for row in warm.rows("status", "w5")}
    again = warm.ok("retry", "w5")
    gate.touch()
    warm.wait_for("w5-bottom", state="finished", succeeded=1)
    deleted = warm.ok("delete", "--results", "w5")

    assert scaled.count("at most 2 nodes") == 4
    assert killed.splitlines()[0] == "w5-bottom: 0 tasks stopped; it waits no longer"
    assert states == {"killed"}
    assert "  ? tasks known after w5-top\n" in again
    assert deleted.count("removed") == 4
    assert "no job 'w5' here" in warm("status", "w5").stderr


def test_what_a_deleted_workflow_left_is_brought_and_removed_by_its_name_and_nothing_else(warm: User) -> None:
    warm.ok("apply", "--wait", a_diamond(warm, "w7"))
    warm.ok("sub", "-n", "w7-other", "true")
    warm.ok("delete", "w7", "w7-other")

    refused = warm("delete", "w7")
    fetched = warm.ok("fetch", "w7", "out")
    removed = warm.ok("delete", "--results", "w7")

    jobs = [f"w7-{step}" for step in ("bottom", "left", "right", "top")]
    assert "job w7 is deleted, but its results are still there; remove them with --results" in refused.stderr
    assert sorted(path.name for path in (warm.folder / "out").iterdir()) == jobs
    assert [line.split(":")[0] for line in fetched.splitlines()] == jobs
    assert sorted(removed.splitlines()) == [f"{job}: results removed" for job in jobs]
    assert "results of a deleted job" in warm("sub", "-n", "w7-other", "true").stderr


def test_the_manifests_of_a_whole_are_printed_and_can_be_applied_again(warm: User) -> None:
    warm.ok("apply", "--wait", a_diamond(warm, "w6"))

    text = warm.ok("get", "w6")
    warm.write("again.yaml", text)

    assert text.count("partOf:") == 4
    assert warm.ok("apply", "again.yaml").count("nothing to do") == 4
    assert warm.rows("status", "w6")[0]["job"] == "w6-top"


def test_a_step_that_is_left_out_stays_as_it_is_and_is_named(warm: User) -> None:
    warm.ok("apply", "--wait", a_diamond(warm, "w7"))
    steps = "  - {name: top, command: 'echo 7 > n.txt'}\n"

    done = warm("apply", a_workflow(warm, "w7", steps))

    assert done.returncode == 0
    assert (
        "hint: job w7-left is no part of w7 any more, and stays as it is; remove it with 'sparkles delete w7-left'\n"
        in done.stderr
    )
    assert len(warm.rows("status", "w7")) == 4


def test_a_step_that_waits_and_is_left_out_does_not_begin_unless_another_one_needs_it(warm: User) -> None:
    gate = warm.folder / "gate-w14"
    steps = a_workflow(warm, "w14", DIAMOND.format(top=f"{until(gate)}; echo 7 > n.txt", left=LEFT))
    warm.ok("apply", steps)
    fewer = "  - {{name: top, command: \"{}\"}}\n  - {{name: last, command: 'true', needs: [w14-left]}}\n"
    a_workflow(warm, "w14", fewer.format(f"{until(gate)}; echo 7 > n.txt"))

    planned = warm("diff", "w14.yaml")
    warm.ok("apply", "w14.yaml")
    gate.touch()
    waited = warm("wait", "w14")

    assert (planned.returncode, waited.returncode) == (1, 0)
    assert "job w14-left is no part of w14 any more, and stays as it is; " in planned.stderr
    assert "job w14-right is no part of w14 any more, and will not begin; " in planned.stderr
    states = {row["job"]: row["state"] for row in warm.rows("status", "w14")}
    assert {job for job, state in states.items() if state == "killed"} == {"w14-right", "w14-bottom"}


def test_a_step_that_waits_while_it_still_runs_is_not_stopped_unasked_when_it_is_left_out(warm: User) -> None:
    gate = warm.folder / "gate-w15"
    first = '- {{name: a, command: "{}"}}\n'
    second = f'- {{name: b, needs: [a], command: "{until(gate)}"}}\n'
    warm.ok("apply", a_workflow(warm, "w15", first.format("true") + second))
    warm.wait_for("w15-b", claimed=1)
    warm.ok("apply", a_workflow(warm, "w15", first.format(until(gate)) + second))

    refused = warm("apply", a_workflow(warm, "w15", first.format(until(gate))))
    before = warm.job("w15-b")
    warm.ok("apply", "--yes", "w15.yaml")
    gate.touch()
    warm.wait_for("w15-b", killed=1)

    assert (refused.returncode, before["state"], before["claimed"]) == (2, "waiting", 1)
    assert "job w15-b, no part of w15 any more: tasks have not ended; they would be stopped; noth" in refused.stderr
    assert warm.job("w15-b")["state"] == "killed"


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        (
            "  - {name: a, command: x}\n  - {name: b, command: y, needs: [aa]}\n",
            "bad.yaml: spec.steps[1].needs[0]: no step 'aa', and no job of this name; did you mean 'a'?",
        ),
        (
            "  - {name: a, command: x}\n  - {name: b, command: y, uploads: [no.txt]}\n",
            "bad.yaml: spec.steps[1].uploads[0]: no file 'no.txt' in ",
        ),
        (
            "  - {name: a, command: 'echo {x}'}\n",
            "bad.yaml: spec.steps[0].command: no parameter named 'x'; there is: index",
        ),
    ],
)
def test_what_is_wrong_with_a_step_is_said_as_its_file_calls_it(warm: User, steps: str, says: str) -> None:
    before = warm.rows("status")

    done = warm("apply", a_workflow(warm, "bad", steps))

    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert warm.rows("status") == before


def test_the_names_of_a_whole_are_refused_to_others(warm: User) -> None:
    warm.ok("apply", "--wait", a_diamond(warm, "w8"))

    part = warm("sub", "-n", "w8-top", "true")
    whole = warm("sub", "-n", "w8", "true")
    need = warm("sub", "-n", "after", "--needs", "w8", "true")

    assert (part.returncode, whole.returncode, need.returncode) == (2, 2, 2)
    assert "no job 'w8'; that is a workflow, name those of its jobs: w8-top, w8-left, w8-right, w8-" in need.stderr
    assert "w8-top is a part of w8: change and apply that, or choose another name" in part.stderr
    assert "w8 is a whole of 4 jobs, such as w8-top; delete it, or choose another name" in whole.stderr


def test_a_workflow_is_drawn_as_it_stands(warm: User) -> None:
    gate = warm.folder / "gate-w9"
    warm.ok("apply", a_diamond(warm, "w9", left=f"{until(gate)}; {LEFT}"))
    warm.wait_for("w9-right", state="finished")

    rows = json.loads(warm.ok("workflow", "w9", "-o", "json"))
    drawn = warm.ok("workflow", "w9-left", "-o", "mermaid").splitlines()
    gate.touch()
    warm.ok("wait", "w9")

    assert {row["step"]: (row["needs"], row["state"]) for row in rows} == {
        "top": ([], "succeeded"),
        "left": (["top"], "active"),
        "right": (["top"], "succeeded"),
        "bottom": (["left", "right"], "waiting"),
    }
    assert drawn[:2] == ["flowchart TD", '    s1["top<br/>succeeded, 1 task"]:::succeeded']
    assert '    s4["bottom<br/>waiting"]:::waiting' in drawn
    assert {"    s1 --> s2", "    s1 --> s3", "    s2 --> s4", "    s3 --> s4"} <= set(drawn)


def test_wholes_are_compared_part_by_part(warm: User) -> None:
    warm.ok("apply", "--wait", a_diamond(warm, "w11"))
    more = DIAMOND + '  - {{name: more, command: "true"}}\n'
    warm.ok("apply", "--wait", a_workflow(warm, "w12", more.format(top="echo 8 > n.txt", left=LEFT)))

    done = warm("diff", "w11", "w12")
    documents = warm("diff", "w11", "w12", "-o", "json")
    same = warm("diff", "w11", "w11")

    assert (done.returncode, documents.returncode, same.returncode) == (1, 1, 0)
    assert "job w11-top ↔ job w12-top\n" in done.stdout
    assert done.stdout.endswith("job w12-more: only w12 has such a part\n")
    assert [each["jobs"] for each in json.loads(documents.stdout)][-2:] == [["w11-bottom", "w12-bottom"], ["w12-more"]]


def test_watching_a_whole_follows_its_parts_and_last_is_the_whole(warm: User) -> None:
    gate = warm.folder / "gate-w10"
    warm.ok("apply", a_diamond(warm, "w10", top=f"{until(gate)}; echo 7 > n.txt"))

    watching = warm.start("watch")
    eventually(lambda: warm.job("w10-top")["claimed"] == 1)
    gate.touch()
    printed, errors = watching.communicate(timeout=60)

    assert watching.returncode == 0, errors
    assert printed.count(b"Job finished. 1 tasks completed successfully, 0 tasks failed\n") == 4
    assert b"] 14\n" in printed


SIDE_BY_SIDE = """
  - {{name: first, command: "echo begun"}}
  - {{name: slow, needs: [first], command: "echo slowly; {gate}; echo at last"}}
  - {{name: quick, needs: [first], command: "echo quickly; sleep 2; exit 3"}}
"""


def test_steps_that_run_at_the_same_time_are_watched_side_by_side_and_each_line_says_of_which_it_is(warm: User) -> None:
    gate = warm.folder / "gate-w14"
    flow = a_workflow(warm, "w14", SIDE_BY_SIDE.format(gate=until(gate)))

    watching = warm.start("apply", "--wait", flow)
    assert watching.stdout is not None
    lines: list[str] = []
    while "w14-quick: Job finished." not in (line := watching.stdout.readline().decode()):
        assert line, "it has ended"
        lines.append(line)
    begun = started(warm, "w14-slow")
    gate.touch()
    rest, errors = watching.communicate(timeout=60)

    logs = [line.partition("] ")[2] for line in (*lines, *rest.decode().splitlines(keepends=True)) if line[0] == "["]
    assert begun.keys() == {"w14-slow.1"}
    assert logs[0] == "begun\n"
    assert {"w14-quick: quickly\n", "w14-slow: slowly\n", "w14-slow: at last\n"} <= set(logs)
    assert b"w14-slow: Job finished. 1 tasks completed successfully, 0 tasks failed\n" in rest
    assert b"1 task failed: exit code 3, quickly\n" in errors
    assert watching.returncode == 1


def test_ctrl_c_while_a_whole_is_watched_speaks_of_the_whole(warm: User) -> None:
    gate = warm.folder / "gate-w13"
    warm.ok("apply", a_diamond(warm, "w13", top=f"{until(gate)}; echo 7 > n.txt"))

    watching = warm.start("watch", "w13")
    assert watching.stdout is not None
    watching.stdout.readline()
    os.killpg(watching.pid, signal.SIGINT)
    _, errors = watching.communicate(timeout=60)
    gate.touch()

    assert watching.returncode == 130
    assert b"job w13 goes on; come back to it with 'sparkles watch w13'" in errors
    assert warm("wait", "w13").returncode == 0
