"""Messages: they say where, what, and what would be right; all at once, in order."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from sparkles.errors import ProblemsError
from sparkles.manifest import read

HEAD = "apiVersion: sparkles/v1\nkind: Job\nmetadata: {name: j}\nspec:\n"


def spec(text, *, command="command: [echo]\n"):
    """Read a manifest whose spec begins in line 5 and whose text begins in line 6, indented by 2."""
    return read_one(HEAD + indent(command, "  ") + indent(dedent(text), "  ")).document["spec"]


def read_one(text):
    (manifest,) = read(text, source="job.yaml", base=Path())
    return manifest


def problems(text, **kwargs):
    with pytest.raises(ProblemsError) as caught:
        spec(text, **kwargs)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "nodes:\n  max: 0",
            "7:5: spec.nodes.max: 0 is less than 1, expected an integer of at least 1",
            id="too small a number",
        ),
        pytest.param(
            "resources: {slots: 5000}",
            "6:15: spec.resources.slots: 5000 is more than 1024, expected an integer from 1 to 1024",
            id="too large a number",
        ),
        pytest.param(
            "nodes: {max: many}",
            '6:11: spec.nodes.max: expected an integer of at least 1, found "many"',
            id="a word for a number",
        ),
        pytest.param(
            'nodes: {max: "3"}',
            '6:11: spec.nodes.max: expected an integer of at least 1, found "3"; leave out the quotes',
            id="a quoted number",
        ),
        pytest.param(
            "nodes: {max: 012}",
            '6:11: spec.nodes.max: expected an integer of at least 1, found "012"; leave out the leading zeros',
            id="a number that might be octal",
        ),
        pytest.param(
            "nodes: {max: 1.5}",
            '6:11: spec.nodes.max: expected an integer of at least 1, found "1.5"',
            id="a fraction",
        ),
        pytest.param(
            f"nodes: {{max: {'9' * 30}}}",
            f'6:11: spec.nodes.max: expected an integer of at least 1, found "{"9" * 30}"',
            id="a huge number",
        ),
        pytest.param(
            "nodes: {externalIp: yes}",
            '6:11: spec.nodes.externalIp: expected true or false, found "yes"',
            id="yes is not true",
        ),
        pytest.param(
            "nodes: {provisioning: spott}",
            "6:11: spec.nodes.provisioning: expected one of standard, spot, found \"spott\"; did you mean 'spot'?",
            id="a misspelt choice",
        ),
        pytest.param("node: 3", "6:3: spec.node: unknown field; did you mean 'nodes'?", id="a misspelt field"),
        pytest.param(
            "machineType: x",
            "6:3: spec.machineType: unknown field; did you mean spec.resources.machineType?",
            id="a field in the wrong place",
        ),
        pytest.param(
            "working_dir: x",
            "6:3: spec.working_dir: unknown field; did you mean 'workingDir'?",
            id="a field in other words",
        ),
        pytest.param(
            "timeout: 30",
            "6:3: spec.timeout: 30 has no unit; add s, m, h or d: 30s, 30m, 30h or 30d",
            id="a duration without a unit",
        ),
        pytest.param(
            "timeout: 2 h",
            '6:3: spec.timeout: expected a length of time such as 30s, 10m, 2h, 7d or 1h30m, found "2 h"',
            id="a duration with a space",
        ),
        pytest.param("timeout: 0s", '6:3: spec.timeout: "0s" is no time at all', id="no time at all"),
        pytest.param(
            'timeout: "2h\\n"',
            '6:3: spec.timeout: expected a length of time such as 30s, 10m, 2h, 7d or 1h30m, found "2h\\n"',
            id="a line end after a duration",
        ),
        pytest.param(
            "uploads: fit.py",
            '6:3: spec.uploads: expected a list, found "fit.py"; a list is written [fit.py]',
            id="a word for a list",
        ),
        pytest.param("uploads: [{dest: x}]", "6:13: spec.uploads[0]: the field 'src' is missing", id="a missing field"),
        pytest.param(
            "uploads: [[a]]",
            "6:13: spec.uploads[0]: expected a string or a mapping, found a list",
            id="neither of two shapes",
        ),
        pytest.param(
            "uploads: [{src: {sample}}]",
            '6:14: spec.uploads[0].src: expected a string, found a mapping; quote it: "{sample}"',
            id="a placeholder without quotes",
        ),
        pytest.param(
            "env: {A: }",
            '6:9: spec.env.A: expected a string, found nothing; write "" for an empty one',
            id="an empty value",
        ),
        pytest.param("image:", "6:3: spec.image: expected a string, found nothing", id="an empty image"),
        pytest.param(
            "env: {1A: x}",
            "6:9: spec.env.1A: expected a variable name: letters, digits and _, not beginning with a digit or"
            ' SPARKLES_, found "1A"',
            id="a wrong variable name",
        ),
        pytest.param(
            "env: {SPARKLES_JOB: x}",
            "6:9: spec.env.SPARKLES_JOB: expected a variable name: letters, digits and _, not beginning"
            ' with a digit or SPARKLES_, found "SPARKLES_JOB"',
            id="a variable of ours",
        ),
        pytest.param(
            "parameters: {seq: 3, csv: a.csv}",
            "6:3: spec.parameters: seq and csv exclude each other; give one of seq, csv, rows, matrix",
            id="two sweeps",
        ),
        pytest.param(
            "uploads: [{src: x, files: [{src: y, sha256: %s, generation: 7}]}]" % ("a" * 64),
            "6:30: spec.uploads[0].files[0]: sha256 and generation exclude each other; give one of sha256, generation",
            id="two contents of a file",
        ),
        pytest.param(
            "uploads: [{src: x, files: [{src: y}]}]",
            "6:30: spec.uploads[0].files[0]: expected one of sha256, generation",
            id="no content of a file",
        ),
        pytest.param(
            "uploads: [{src: gs://b/x, generation: latest}]",
            '6:29: spec.uploads[0].generation: expected the digits of an object\'s generation, found "latest"',
            id="a generation that is none",
        ),
        pytest.param(
            "parameters: {}",
            "6:3: spec.parameters: expected one of seq, csv, rows, matrix",
            id="no sweep",
        ),
        pytest.param(
            "parameters: {cvs: a.csv}",
            "6:16: spec.parameters.cvs: unknown field; did you mean 'csv'?",
            id="a misspelt sweep is one problem",
        ),
        pytest.param(
            "parameters: {seq: 1, count: 1}",
            "6:24: spec.parameters.count: goes only with csv",
            id="a count without a csv",
        ),
        pytest.param(
            "parameters: {rows: []}",
            "6:16: spec.parameters.rows: is empty, expected at least 1",
            id="no rows",
        ),
        pytest.param(
            "resources: {disks: [{sizeGb: 5, mount: scratch}]}",
            '6:35: spec.resources.disks[0].mount: expected a path that begins with /, found "scratch"',
            id="a relative mount",
        ),
        pytest.param(
            "needs: [a b]",
            "6:11: spec.needs[0]: expected letters, digits, - and _, beginning with a letter or digit,"
            ' at most 63 in all, found "a b"',
            id="not a job name",
        ),
        pytest.param(
            'env: {A: "a\\0b"}',
            '6:9: spec.env.A: expected text without NUL characters, which no program can be given, found "a\\u0000b"',
            id="NUL in a value",
        ),
    ],
)
def test_a_problem_says_where_what_and_what_would_be_right(text, expected):
    assert problems(text) == [f"job.yaml:{expected}"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("[]", "5:3: spec.command: is empty, expected at least 1"),
        ('""', "5:3: spec.command: is empty, expected some text"),
        ("{a: b}", '5:3: spec.command: expected a string or a list, found a mapping; quote it: "{a: b}"'),
        ("[x, {lambda}]", '5:16: spec.command[1]: expected a string, found a mapping; quote it: "{lambda}"'),
        ("[x, [y]]", "5:16: spec.command[1]: expected a string, found a list"),
    ],
)
def test_a_command_is_held_to_the_shape_it_has(command, expected):
    assert problems("", command=f"command: {command}\n") == [f"job.yaml:{expected}"]


def test_a_missing_command_is_reported_at_the_spec():
    with pytest.raises(ProblemsError, match=r"^job.yaml:4:1: spec: the field 'command' is missing$"):
        read_one(HEAD + "  image: x")


@pytest.mark.parametrize("name", ["LAST", "a.b", "", "-a", "a b", "a\\n", "x" * 64])
def test_a_wrong_name_is_refused(name):
    with pytest.raises(ProblemsError, match=r"job.yaml:3:12: metadata.name: "):
        read_one(HEAD.replace("name: j", f'name: "{name}"') + "  command: x")


def test_an_unknown_kind_lists_the_known_and_the_nearest():
    with pytest.raises(ProblemsError) as caught:
        read_one(HEAD.replace("kind: Job", "kind: Jobs") + "  command: x")

    expected = "kind: unknown kind 'Jobs', expected one of: Job, Foreach, Workflow; did you mean 'Job'?"
    assert str(caught.value) == f"job.yaml:2:1: {expected}"


def test_all_problems_of_all_documents_come_at_once_in_order():
    text = HEAD + "  command: []\n  node: 1\n---\njust text\n---\nkind: Job\nkind: Job\nspec: {}\n"

    with pytest.raises(ProblemsError) as caught:
        read(text, source="job.yaml", base=Path())

    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "job.yaml:5:3",
        "job.yaml:6:3",
        "job.yaml:8:1",
        "job.yaml:10:1",
        "job.yaml:10:1",
        "job.yaml:11:1",
        "job.yaml:12:1",
    ]


def test_endless_problems_end():
    rows = "".join(f"    - {{a: [{n}]}}\n" for n in range(5000))

    found = problems("parameters:\n  rows:\n" + rows)

    assert len(found) == 101
    assert "the first 100 problems" in found[-1]
