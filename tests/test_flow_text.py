"""Flow text: the parts of a whole as rows and as a diagram."""

from __future__ import annotations

import pytest
from contracts.nouns import a_job

from sparkles import flow_text
from sparkles.flow_text import Step
from sparkles.model import Applying, JobState, TaskState


def a_step(name="a", needs=(), counts=None, **fields):
    job = a_job(f"w-{name}", whole="w", **{"state": JobState.FINISHED, **fields})
    return Step(name=name, job=job, needs=needs, counts=counts or {})


APPLYING = Applying(token="t", digest="d", generation=1, progress=1.0)


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (a_step(state=JobState.WAITING), "waiting"),
        (a_step(state=JobState.ACTIVE), "active"),
        (a_step(state=JobState.KILLED), "killed"),
        (a_step(state=JobState.KILLED, applying=APPLYING), "active"),
        (a_step(counts={TaskState.SUCCEEDED: 2}), "succeeded"),
        (a_step(counts={TaskState.SUCCEEDED: 1, TaskState.FAILED: 1}), "failed"),
    ],
)
def test_a_step_stands_as_its_job_does_or_as_that_has_ended(step, state):
    assert step.state == state


def test_a_diagram_has_a_box_for_each_step_and_an_arrow_for_each_need():
    steps = [
        a_step("split", counts={TaskState.SUCCEEDED: 1}),
        a_step("count", ["split"], {TaskState.SUCCEEDED: 2, TaskState.PENDING: 3}, state=JobState.ACTIVE),
        a_step("end", ["split", "count"], state=JobState.WAITING),
    ]

    assert list(flow_text.mermaid(steps)) == [
        "flowchart TD",
        '    s1["split<br/>succeeded, 1 task"]:::succeeded',
        '    s2["count<br/>active, 2 of 5 tasks"]:::active',
        '    s3["end<br/>waiting"]:::waiting',
        "    s1 --> s2",
        "    s1 --> s3",
        "    s2 --> s3",
        "    classDef succeeded fill:#d1e7dd,stroke:#2e7d32",
        "    classDef active fill:#cfe2ff,stroke:#3366cc",
        "    classDef waiting fill:#eee,stroke:#999,stroke-dasharray:4",
    ]


def test_a_row_has_what_a_step_needs_and_the_numbers_of_its_tasks():
    row = flow_text.row(a_step("count", ["split"], {TaskState.SUCCEEDED: 2}))

    assert row == {"step": "count", "job": "w-count", "needs": ["split"], "state": "succeeded",
                   "pending": 0, "claimed": 0, "succeeded": 2, "failed": 0, "killed": 0}  # fmt: skip
    assert list(row) == flow_text.COLUMNS
