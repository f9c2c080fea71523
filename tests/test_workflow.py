"""A Workflow becomes a job for each of its steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkles import manifest, wholes
from sparkles.errors import ProblemsError


def expanded(*steps, others=(), **defaults):
    document = {
        "apiVersion": "sparkles/v1",
        "kind": "Workflow",
        "metadata": {"name": "assembly", "labels": {"team": "a"}},
        "spec": {**defaults, "steps": list(steps)},
    }
    whole = manifest.check(document, source="w.yaml", base=Path("/here"))
    found = wholes.expand(whole, others=others)
    for part in found:
        manifest.check(part.document, source="w.yaml", base=Path())
    return found


def specs(*steps, **how):
    return [part.document["spec"] for part in expanded(*steps, **how)]


SPLIT = {"name": "split", "command": "./split.sh"}


def test_the_job_of_a_step_knows_its_whole():
    (split,) = expanded(SPLIT)

    assert (split.name, split.whole) == ("assembly-split", "assembly")
    assert split.document["metadata"] == {
        "name": "assembly-split",
        "labels": {"team": "a"},
        "partOf": {"kind": "Workflow", "name": "assembly", "part": "split"},
    }


def test_a_step_is_named_by_its_place_where_something_is_wrong_with_it():
    found = [part.places for part in expanded(SPLIT, {**SPLIT, "name": "b"})]

    assert found == [{"spec": "spec.steps[0]"}, {"spec": "spec.steps[1]"}]


def test_a_need_is_a_step_or_a_job():
    count = {"name": "count", "command": "x", "needs": ["split", "genome", "assembly-split"]}

    assert specs(SPLIT, count, others=["genome"])[1]["needs"] == ["assembly-split", "genome", "assembly-split"]


@pytest.mark.parametrize(
    ("need", "hint"),
    [
        ("splt", "; did you mean 'split'?"),
        ("genom", "; did you mean 'genome'?"),
        ("xyz", "; the steps are split, count"),
    ],
)
def test_a_need_that_is_neither_is_named_with_its_place(need, hint):
    with pytest.raises(ProblemsError) as caught:
        expanded(SPLIT, {"name": "count", "command": "x", "needs": ["split", need]}, others=["genome"])

    assert str(caught.value) == f"w.yaml: spec.steps[1].needs[1]: no step {need!r}, and no job of this name{hint}"


def test_results_of_a_step_are_those_of_its_job_and_land_below_the_name_of_the_step():
    uploads = [
        "tool.sh",
        "{results.split}/*/part-*.txt",
        "{results.split}/1/a.txt:in.txt",
        {"src": "{results.split}/1", "dest": "all/", "executable": True},
        "{results.genome}/1/genome.fa",
    ]
    count = {"name": "count", "command": "x", "needs": ["split", "genome"], "uploads": uploads}

    assert specs(SPLIT, count, others=["genome"])[1]["uploads"] == [
        "tool.sh",
        {"src": "{results.assembly-split}/*/part-*.txt", "dest": "split"},
        {"src": "{results.assembly-split}/1/a.txt", "dest": "in.txt"},
        {"src": "{results.assembly-split}/1", "dest": "all/1", "executable": True},
        "{results.genome}/1/genome.fa",
    ]


def test_parameters_may_be_what_a_step_left():
    count = {
        "name": "count",
        "command": "echo {part}",
        "needs": ["split"],
        "parameters": {"csv": "{results.split}/1/parts.csv"},
    }

    assert specs(SPLIT, count)[1]["parameters"] == {"csv": "{results.assembly-split}/1/parts.csv"}


@pytest.mark.parametrize("name", ["results", "r", "assembly"])
def test_only_the_name_of_the_step_is_replaced(name):
    taking = {"name": "t", "command": "x", "needs": [name], "uploads": [f"{{results.{name}}}/1/{name}"]}

    (upload,) = specs({"name": name, "command": "x"}, taking)[1]["uploads"]

    assert upload["src"] == f"{{results.assembly-{name}}}/1/{name}"


def test_what_the_workflow_says_holds_for_steps_that_do_not_say_otherwise():
    own = {**SPLIT, "name": "own", "image": "b", "nodes": {"linger": "1m"}}

    split, other = specs(SPLIT, own, image="a", nodes={"max": 4}, timeout="1h")

    assert split == {"command": "./split.sh", "image": "a", "nodes": {"max": 4}, "timeout": "1h"}
    assert other == {"command": "./split.sh", "image": "b", "nodes": {"linger": "1m"}, "timeout": "1h"}
