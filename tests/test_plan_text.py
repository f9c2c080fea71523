"""Plan text: the lines of a plan, and the same for programs."""

from __future__ import annotations

import pytest

from sparkles import plan_text, quantities
from sparkles.plan import Action, Loss, Plan, Staff, Verb

KEEP = Action(verb=Verb.KEEP, indices=range(1, 998), cause="")
CHANGE = Action(verb=Verb.CHANGE, indices=[12, 40], cause="parameters.size small → large")
ADD = Action(verb=Verb.ADD, indices=range(1001, 1004), cause="")
REMOVE = Action(verb=Verb.REMOVE, indices=[17], cause="no longer in parameters.csv", loss=Loss.RESULT)


def a_plan(*actions: Action, **parts) -> Plan:
    return Plan(job="lambda-sweep", generation=3, actions=actions, last_index=1003, **parts)


def lines(plan: Plan, *, missing: int = 0, size: int = 0, verbose: bool = False) -> list[str]:
    return plan_text.lines(plan, files=4, missing=missing, upload_bytes=size, verbose=verbose)


def test_a_plan_is_shown_line_by_line() -> None:
    staff = Staff(start=2, running=0, tasks=5, most=2)
    plan = a_plan(KEEP, CHANGE, ADD, REMOVE, staff=staff, settings=["timeout unset → 2h"], hints=["all is well"])

    assert lines(plan, missing=1, size=2100) == [
        "job lambda-sweep   generation 3 → 4",
        "  = 997 tasks unchanged",
        "  ~   2 tasks change      12, 40: parameters.size small → large",
        "  +   3 tasks new         1001\u20131003",
        "  !   1 task gone         17: no longer in parameters.csv; its result is removed",
        "  + 2 nodes               0 running, 5 tasks to run, nodes.max 2",
        "  ~ timeout unset → 2h",
        "upload 1 file (2.1 kB) of 4",
        "hint: all is well",
        "Plan: 5 to run, 997 kept, 1 removed.",
    ]


def test_tasks_are_named_by_index_however_their_rows_stand() -> None:
    action = Action(verb=Verb.CHANGE, indices=[40, 12, 13, 41], cause="env.A")

    assert lines(a_plan(action))[1].endswith("12\u201313, 40\u201341: env.A")


def test_causes_of_one_kind_of_change_share_its_line_and_more_than_a_few_are_counted() -> None:
    causes = [Action(verb=Verb.CHANGE, indices=[n], cause=f"parameters.x {n} → 0") for n in range(1, 8)]
    stopped = Action(verb=Verb.CHANGE, indices=[8, 9], cause="env.A", loss=Loss.RUN)

    assert lines(a_plan(*causes, stopped))[1:8] == [
        "  ~ 7 tasks change        1: parameters.x 1 → 0",
        "                          2: parameters.x 2 → 0",
        "                          3: parameters.x 3 → 0",
        "                          4: parameters.x 4 → 0",
        "                          5: parameters.x 5 → 0",
        "                          (2 more; -v shows all)",
        "  ! 2 tasks change        8\u20139: env.A; they are stopped and run anew",
    ]
    assert lines(a_plan(*causes), verbose=True)[7] == "                          7: parameters.x 7 → 0"


def test_a_job_that_waits_says_for_what() -> None:
    waits = ["prepare", "index"]

    assert lines(a_plan(waits=waits, settings=["waits for prepare"])) == [
        "job lambda-sweep   generation 3 → 4",
        "  ? tasks known after prepare, index",
        "  ~ waits for prepare",
        "Plan: waits for prepare, index.",
    ]
    assert lines(a_plan(waits=waits)) == [
        "job lambda-sweep   generation 3: nothing to do, all is as the manifest says; it waits for prepare, index"
    ]


@pytest.mark.parametrize(
    ("kept", "says"),
    [(1, "until then the task of now stays as it is"), (7, "until then the 7 tasks of now stay as they are")],
)
def test_a_job_that_waits_says_that_its_tasks_stay(kept: int, says: str) -> None:
    assert lines(a_plan(waits=["index"], kept=kept, settings=["waits for index"]))[1] == (
        f"  ? tasks known after index; {says}"
    )


def test_nodes_that_were_scaled_are_said_to_be() -> None:
    staff = Staff(start=1, running=2, tasks=9, most=3)

    assert (
        lines(a_plan(ADD, staff=staff, scaled=3))[2]
        == "  + 1 node                2 running, 9 tasks to run, scaled to 3"
    )


def test_an_empty_plan_is_one_line_and_its_hints() -> None:
    assert lines(a_plan(KEEP, hints=["one failed"])) == [
        "job lambda-sweep   generation 3: nothing to do, all is as the manifest says",
        "hint: one failed",
    ]


def test_many_runs_of_indices_are_cut_short() -> None:
    action = Action(verb=Verb.ADD, indices=range(1, 100, 2), cause="")

    assert lines(a_plan(action))[1].endswith("  1, 3, 5, 7, 9, 11, 13, 15 (42 more)")
    assert lines(a_plan(action), verbose=True)[1].endswith(", 97, 99")


def test_a_plan_is_a_document_for_programs() -> None:
    document = plan_text.document(a_plan(KEEP, REMOVE), files=4, missing=1, upload_bytes=7)

    assert document == {
        "version": 1,
        "job": "lambda-sweep",
        "generation": 3,
        "changes": True,
        "actions": [
            {"verb": "keep", "count": 997, "indices": "1-997", "cause": "", "loses": None},
            {
                "verb": "remove",
                "count": 1,
                "indices": "17",
                "cause": "no longer in parameters.csv",
                "loses": "result",
            },
        ],
        "run": 0,
        "hold": 0,
        "keep": 997,
        "remove": 1,
        "waits": [],
        "settings": [],
        "nodes": {"start": 0, "scaled": None},
        "upload": {"files": 1, "bytes": 7, "of": 4},
        "hints": [],
    }


def test_the_question_says_what_is_lost() -> None:
    stop = Action(verb=Verb.CHANGE, indices=[3], cause="image a → b", loss=Loss.RUN)

    assert plan_text.question([stop, REMOVE]) == (
        "1 task change (3: image a → b): it is stopped and runs anew; "
        "1 task gone (17: no longer in parameters.csv): its result is removed"
    )


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2100, "2.1 kB"), (3_400_000, "3.4 MB"),
     (5_600_000_000, "5.6 GB"), (7_800_000_000_000, "7.8 TB"), (9_000_000_000_000_000, "9000.0 TB")],
)  # fmt: skip
def test_sizes_are_for_people(size, text) -> None:
    assert quantities.human_bytes(size) == text
