"""Names: what a whole and its parts are called, nobody else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from contracts.nouns import a_job

from sparkles import manifest, wholes
from sparkles.errors import RequestError

JOB = {"command": "x"}
FOREACH = {"script": "fit.py"}
WORKFLOW = {"steps": [{"name": "a", "command": "x"}]}


def a_manifest(name, spec, kind="Job"):
    document = {"apiVersion": "sparkles/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return manifest.check(document, source="f.yaml", base=Path())


def of_whole(whole, *names):
    return [a_job(name, whole=whole) for name in names]


SAMPLE = of_whole("sample", "sample-getargs", "sample", "sample-gather")
FLOW = of_whole("w", "w-a", "w-b")


@pytest.mark.parametrize(
    ("document", "there", "problem"),
    [
        (
            a_manifest("sample", JOB),
            SAMPLE,
            "sample is a Foreach: change and apply that, or choose another name",
        ),
        (a_manifest("w-a", JOB), FLOW, "w-a is a part of w: change and apply that, or choose another name"),
        (a_manifest("w", JOB), FLOW, "w is a whole of 2 jobs, such as w-a; delete it, or choose another name"),
        (
            a_manifest("w", WORKFLOW, "Workflow"),
            [a_job("w-a")],
            "there is a job w-a already, which is no part of w; delete it, or choose another name",
        ),
        (
            a_manifest("w", WORKFLOW, "Workflow"),
            [a_job("w")],
            "there is a job w already; delete it, or choose another name",
        ),
        (
            a_manifest("w", FOREACH, "Foreach"),
            FLOW,
            "w is a Workflow already; delete it, or choose another name",
        ),
        (
            a_manifest("w", WORKFLOW, "Workflow"),
            of_whole("w", "w-getargs", "w"),
            "w is a Foreach already; delete it, or choose another name",
        ),
        (
            a_manifest("w", {"steps": [{"name": "a-b", "command": "x"}]}, "Workflow"),
            of_whole("w-a", "w-a-b"),
            "w-a-b is a part of w-a: change and apply that, or choose another name",
        ),
        (
            a_manifest("w", WORKFLOW, "Workflow"),
            of_whole("w-a", "w-a-b"),
            "w-a is a whole of 1 jobs, such as w-a-b; delete it, or choose another name",
        ),
    ],
)
def test_a_name_that_is_taken_is_refused(document, there, problem):
    with pytest.raises(RequestError) as caught:
        wholes.require_names(wholes.expand(document), there)

    assert str(caught.value) == f"f.yaml: {problem}"


@pytest.mark.parametrize(
    ("document", "there"),
    [
        (a_manifest("j", JOB), [*SAMPLE, *FLOW, a_job("j")]),
        (a_manifest("sample", FOREACH, "Foreach"), SAMPLE),
        (a_manifest("sample", FOREACH, "Foreach"), SAMPLE[:2]),
        (a_manifest("sample", FOREACH, "Foreach"), SAMPLE[:1]),
        (a_manifest("w", WORKFLOW, "Workflow"), FLOW),
        (a_manifest("w", WORKFLOW, "Workflow"), of_whole("w", "w-b")),
        (a_manifest("new", WORKFLOW, "Workflow"), [*SAMPLE, *FLOW]),
    ],
)
def test_a_name_of_its_own_is_not(document, there):
    wholes.require_names(wholes.expand(document), there)


def test_a_part_may_be_applied_by_itself():
    (part,) = wholes.expand(a_manifest("w", WORKFLOW, "Workflow"))

    wholes.require_names([part], FLOW)
    wholes.require_names([part], [])


def test_what_was_a_part_and_is_not_any_more_is_named():
    assert [job.name for job in wholes.left_out(a_manifest("w", WORKFLOW, "Workflow"), [*FLOW, *SAMPLE])] == ["w-b"]
    assert wholes.left_out(a_manifest("w", JOB), FLOW) == []
    without = a_manifest("sample", {**FOREACH, "functions": {"gather": "none"}}, "Foreach")
    assert [job.name for job in wholes.left_out(without, SAMPLE)] == ["sample-gather"]
