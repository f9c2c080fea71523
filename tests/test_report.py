"""The report as a value and as a text: what is told of a job, and how it gets into a page unharmed."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from contracts import nouns

from sparkles.model import Canary, JobState, Past, Reason, TaskState, Waiting
from sparkles.report import GENERATOR, Subject, page
from sparkles.report.columns import columns, lanes_of
from sparkles.report.page import embedded
from sparkles.report.summary import summary, verdict

#: What would do harm if it came to be more than text.
HOSTILE = "</script><img src=x onerror='window.harmed = 1'>\u2028&amp;{{ 7 * 7 }}"

FILE, COMMIT = "ab" * 32, "4f" * 20


def a_job(**fields):
    return nouns.a_job(**{"name": "fit", "state": JobState.FINISHED, "submitted": 0.0, "ended": 100.0, **fields})


def a_task(index, *, row=None, **fields):
    given = {"state": TaskState.SUCCEEDED, "exit": 0, "reason": Reason.EXIT, "node": "n", "attempts": 1, "queued": 0.0,
             "started": 10.0, "ended": 20.0, "peak_memory": 1_000_000}  # fmt: skip
    return nouns.a_task(index, job="fit", row=json.dumps(row or {}), **{**given, **fields})


def a_subject(*tasks):
    document = {
        "metadata": {"name": "fit", "git": {"commit": COMMIT, "dirty": True}},
        "spec": {
            "image": f"python@sha256:{FILE}",
            "command": ["fit"],
            "uploads": [{"src": "fit.py", "dest": "fit.py", "sha256": FILE}],
        },
        "status": {"generation": 1, "image": "python:3"},
    }
    return Subject(job=a_job(), tasks=tasks, document=document)


def counts(**numbers):
    return {TaskState(state): number for state, number in numbers.items()}


@pytest.mark.parametrize(
    ("job", "numbers", "said"),
    [
        (a_job(), counts(succeeded=1), "The task succeeded."),
        (a_job(), counts(succeeded=12345), "All 12,345 tasks succeeded."),
        (a_job(), counts(succeeded=7, failed=3), "3 of 10 tasks failed."),
        (a_job(), counts(succeeded=1, failed=2, killed=1), "2 of 4 tasks failed and 1 was killed."),
        (a_job(), counts(killed=2), "2 of 2 tasks were killed."),
        (a_job(state=JobState.ACTIVE), counts(pending=3, succeeded=1), "1 of 4 tasks have ended."),
        (a_job(state=JobState.ACTIVE), counts(claimed=1, failed=1), "1 of 2 tasks have ended; 1 failed."),
        (a_job(), {}, "It has no tasks."),
        (a_job(state=JobState.WAITING, waiting=Waiting(needs=("a", "b"))), {}, "It waits for a, b."),
        (
            a_job(state=JobState.ACTIVE, ended=None, canary=Canary(first="1-2", held=8)),
            counts(succeeded=2),
            "All 2 tasks succeeded; canary: 2 tasks first; 8 more when they have succeeded.",
        ),
        (
            a_job(canary=Canary(first="1-2", held=8)),
            counts(succeeded=1, failed=1),
            "1 of 2 tasks failed; canary: not all of the first 2 tasks succeeded, so 8 others were not run.",
        ),
        (
            a_job(state=JobState.KILLED, killed_by="failFast: 3 tasks failed, more than 2"),
            counts(failed=3),
            "3 of 3 tasks failed; failFast: 3 tasks failed, more than 2.",
        ),
    ],
)
def test_the_first_line_says_how_the_job_stands(job, numbers, said):
    assert verdict(job, numbers) == said


def test_the_summary_has_what_was_used():
    tasks = [
        a_task(1, node="a", started=10.0, ended=20.0),
        a_task(2, node="a", started=30.0, ended=60.0, peak_memory=3_000_000, attempts=2),
        a_task(3, node="b", started=10.0, ended=14.0),
    ]

    found = dict(summary(a_job(), tasks, lanes_of(tasks, now=100.0), now=100.0).numbers)

    assert found == {
        "elapsed": "1:40",
        "node time": "54 s",
        "task time": "44 s",
        "nodes": "2",
        "run time, median": "10 s",
        "run time, longest": "30 s",
        "queue time, median": "10 s",
        "peak memory": "3.0 MB",
        "run more than once": "1 task",
    }


def test_a_running_job_is_told_of_as_it_is_now():
    job = a_job(state=JobState.ACTIVE, ended=None)
    tasks = [a_task(1, state=TaskState.CLAIMED, started=50.0, ended=None, exit=None, reason=None)]

    found = summary(job, tasks, lanes_of(tasks, now=80.0), now=80.0)

    assert (found.tone, found.ended) == ("busy", None)
    assert dict(found.numbers)["task time"] == "30 s"


def test_attempts_that_overlap_on_a_node_have_lanes_of_their_own():
    past = Past(claim="x", node="b", reason=Reason.PREEMPTED, started=1.0, ended=4.0)
    tasks = [
        a_task(1, node="a", started=0.0, ended=10.0),
        a_task(2, node="a", started=5.0, ended=15.0, history=(past,)),
        a_task(3, node="a", started=10.0, ended=12.0),
    ]

    found = columns(a_subject(*tasks), lanes_of(tasks, now=100.0), now=100.0)

    assert [found["lanes"]["values"][code] for code in found["lanes"]["codes"]] == ["a", "a", "b"]
    assert found["lane_sizes"] == [2, 1, 1]
    assert found["span_task"] == [0, 2, 1, 1]
    assert found["span_kind"] == "ssse"


def test_parameters_are_numbers_if_all_of_their_values_are():
    tasks = [a_task(1, row={"x": "1e3", "y": "1"}), a_task(2, row={"x": "-.5", "y": "one"}), a_task(3, row={"y": ""})]

    found = columns(a_subject(*tasks), [], now=0.0)["params"]

    assert found == [
        {"name": "x", "values": ["-.5", "1e3"], "codes": [1, 0, -1], "numeric": True},
        {"name": "y", "values": ["1", "", "one"], "codes": [0, 2, 1], "numeric": False},
    ]


def test_texts_of_many_tasks_are_cut_to_what_a_page_can_hold():
    tasks = [a_task(index, row={"x": f"{index:06}" + "x" * 500}) for index in range(1, 20_001)]

    text = page("fit", [a_subject(*tasks)], now=0.0)

    assert len(text) < 4_000_000
    assert '"000001xxxxxxxxxxxxxxxxx\\u2026"' in text


def test_what_is_embedded_is_the_same_value_and_ends_no_script():
    text = embedded({"x": HOSTILE, "y": "\ud800"})

    assert json.loads(text) == {"x": HOSTILE, "y": "\ud800"}
    assert not re.search("[<>&\u2028\u2029]", text)


def test_whatever_is_in_a_job_is_text_in_its_page():
    subject = a_subject(a_task(1, state=TaskState.FAILED, exit=1, row={"x": HOSTILE}, said=HOSTILE))
    subject = replace(subject, origin={"results": HOSTILE}, notes=[HOSTILE], fields={HOSTILE: [HOSTILE]})

    text = page("fit", [subject], now=0.0)

    assert "<img" not in text
    assert text.count("</script>") == 2
    assert "49" not in re.sub(r"<style>.*?</style>|<script.*?</script>", "", text, flags=re.DOTALL)


def test_a_page_asks_nobody_for_anything():
    text = page("fit", [a_subject(a_task(1))], now=0.0)

    assert "default-src 'none'" in text
    assert not re.search(r"""(?:src|href)=["'](?!#)""", text)
    assert not re.search(r"https?://|@import|url\(", text)


def test_a_page_says_early_who_made_it():
    assert f'name="generator" content="{GENERATOR}"' in page("fit", [a_subject()], now=0.0)[:1024]


def test_a_page_says_what_the_results_come_from():
    subject = replace(a_subject(a_task(1)), origin={"worker": "w1"})

    text = page("fit", [subject], now=0.0)

    for fact in (
        f"{COMMIT}, with changes that were not committed",
        f"python@sha256:{FILE}",
        "python:3",
        "someone",
        "w1",
        FILE,
    ):
        assert f">{fact}<" in text


def test_what_broke_is_said_with_the_commands_that_show_it_and_run_it_again():
    failed = [a_task(n, state=TaskState.FAILED, exit=3, said=f"bad value {n}") for n in (1, 2)]

    text = page("fit", [a_subject(*failed)], now=0.0)

    assert "2 tasks failed: exit code 3, bad value" in text
    assert "<code>sparkles logs fit.1</code>" in text
    assert "<code>sparkles retry fit --filter state=failed --filter exit=3</code>" in text
