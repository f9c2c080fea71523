"""Plan text: the lines of a plan, and the same for programs."""

from __future__ import annotations

import pytest

from sparkles import plan_text
from sparkles.plan import Action, Plan, Verb

KEEP = Action(verb=Verb.KEEP, indices=range(1, 998), cause="")
CHANGE = Action(verb=Verb.RERUN, indices=[12, 40], cause="parameters")
ADD = Action(verb=Verb.ADD, indices=range(1001, 1004), cause="")
REMOVE = Action(verb=Verb.REMOVE, indices=[17, 18], cause="no longer in the manifest", asks=True)


def a_plan(*actions: Action, settings=(), hints=()) -> Plan:
    return Plan(
        job="lambda-sweep", generation=3, actions=actions, settings=settings, assigned=[], last_index=1003, hints=hints
    )


def lines(plan: Plan, *, missing: int = 0, size: int = 0) -> list[str]:
    return plan_text.lines(plan, files=4, missing=missing, upload_bytes=size)


def test_a_plan_is_shown_line_by_line() -> None:
    plan = a_plan(KEEP, CHANGE, ADD, REMOVE, settings=["nodes.max 1 → 4"], hints=["all is well"])

    assert lines(plan, missing=2, size=2100) == [
        "job lambda-sweep   generation 3 → 4",
        "  = 997 tasks unchanged",
        "  ~   2 tasks run again   12, 40: parameters",
        "  +   3 tasks new         1001-1003",
        "  !   2 tasks gone        17-18: no longer in the manifest: lose their result or are stopped",
        "  ~ nodes.max 1 → 4",
        "upload 2 files (2.1 kB) of 4",
        "hint: all is well",
        "Plan: 5 to run, 997 kept, 2 removed.",
    ]


def test_an_empty_plan_is_one_line_and_its_hints() -> None:
    assert lines(a_plan(KEEP, hints=["one failed"])) == [
        "job lambda-sweep   generation 3: nothing to do, all is as the manifest says",
        "hint: one failed",
    ]


def test_many_runs_of_indices_are_cut_short() -> None:
    action = Action(verb=Verb.ADD, indices=range(1, 100, 2), cause="")

    assert "1, 3, 5, 7, 9, 11, 13, 15 (and 42 more runs)" in lines(a_plan(action))[1]


def test_a_plan_is_a_document_for_programs() -> None:
    document = plan_text.document(a_plan(KEEP, REMOVE), files=4, missing=1, upload_bytes=7)

    assert document == {
        "version": 1,
        "job": "lambda-sweep",
        "generation": 3,
        "changes": True,
        "actions": [
            {"verb": "keep", "count": 997, "indices": "1-997", "cause": "", "asks": False},
            {"verb": "remove", "count": 2, "indices": "17-18", "cause": "no longer in the manifest", "asks": True},
        ],
        "settings": [],
        "upload": {"files": 1, "bytes": 7, "of": 4},
        "hints": [],
    }


def test_the_question_says_what_is_lost() -> None:
    stop = Action(verb=Verb.CHANGE, indices=[3], cause="image a → b", asks=True)

    assert plan_text.question([stop, REMOVE]) == (
        "1 tasks are stopped and run anew (3: image a → b); "
        "2 tasks lose their result or are stopped (17-18: no longer in the manifest)"
    )


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2100, "2.1 kB"), (3_400_000, "3.4 MB"),
     (5_600_000_000, "5.6 GB"), (7_800_000_000_000, "7.8 TB"), (9_000_000_000_000_000, "9000.0 TB")],
)  # fmt: skip
def test_sizes_are_for_people(size, text) -> None:
    assert plan_text.human_bytes(size) == text
