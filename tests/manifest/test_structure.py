"""Structure: names, and what refers to what, are checked with line and column like all else."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from sparkles.errors import ProblemsError
from sparkles.manifest import read

HEAD = "apiVersion: sparkles/v1\nkind: Workflow\nmetadata: {name: w}\nspec:\n  steps:\n"


def problems(text):
    with pytest.raises(ProblemsError) as caught:
        read(dedent(text), source="w.yaml", base=Path())
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param(
            "  - {name: a, command: x}\n  - {name: a, command: y}\n",
            "7:6: spec.steps[1].name: there is a step 'a' already: spec.steps[0]",
            id="a name twice",
        ),
        pytest.param(
            "  - {name: a, command: x, needs: [b]}\n  - {name: b, command: y, needs: [a]}\n",
            "6:27: spec.steps[0].needs: these steps need each other in a circle: a → b → a",
            id="a circle",
        ),
        pytest.param(
            "  - {name: a, command: x, needs: [a]}\n",
            "6:27: spec.steps[0].needs: these steps need each other in a circle: a → a",
            id="a step that needs itself",
        ),
        pytest.param(
            f"  - {{name: {'a' * 62}, command: x}}\n",
            f"6:6: spec.steps[0].name: its job would be called w-{'a' * 62}: that is 64 characters, "
            "and a name has at most 63",
            id="a name too long for a job",
        ),
        pytest.param(
            '  - {name: a, command: x}\n  - {name: b, command: y, uploads: ["{results.a}/1/f"]}\n',
            "7:37: spec.steps[1].uploads[0]: '{results.a}/1/f' needs the results of step a: add it to "
            "spec.steps[1].needs",
            id="results of a step that is not needed",
        ),
        pytest.param(
            "  - {name: split, command: x}\n"
            '  - {name: b, command: y, needs: [splt], uploads: ["{results.split}/1/f"]}\n',
            "7:52: spec.steps[1].uploads[0]: '{results.split}/1/f' needs the results of step split: add it to "
            "spec.steps[1].needs instead of 'splt'",
            id="results of a step whose name is misspelt where it is needed",
        ),
        pytest.param(
            '  - {name: a, command: x}\n  - {name: b, command: y, needs: [a], parameters: {csv: "{results.aa}/1/f"}}\n',
            "7:52: spec.steps[1].parameters.csv: '{results.aa}/1/f' needs the results of job aa: add it to "
            "spec.steps[1].needs; did you mean 'a'?",
            id="results of no step",
        ),
        pytest.param(
            "  - {name: a, comand: x}\n",
            "6:15: spec.steps[0].comand: unknown field; did you mean 'command'?",
            id="a misspelt field",
        ),
    ],
)
def test_a_workflow_is_checked_as_a_whole(steps, expected):
    assert f"w.yaml:{expected}" in problems(HEAD + steps)


def test_a_foreach_needs_room_for_the_names_of_its_jobs():
    name = "n" * 60

    found = problems(
        f"""\
        apiVersion: sparkles/v1
        kind: Foreach
        metadata: {{name: {name}}}
        spec: {{script: fit.py}}
        """
    )

    words = f"its job would be called {name}-getargs: that is 68 characters, and a name has at most 63"
    assert found == [f"w.yaml:3:12: metadata.name: {words}"]


@pytest.mark.parametrize("script", ["fit.sh", ".py", "fit.py/", "fit"])
def test_the_ending_of_a_script_says_its_language(script):
    found = problems(
        f"""\
        apiVersion: sparkles/v1
        kind: Foreach
        metadata: {{name: s}}
        spec: {{script: {script}}}
        """
    )

    assert found == [f'w.yaml:4:8: spec.script: expected a file whose name ends in .py, .r or .R, found "{script}"']


def test_a_part_has_the_name_that_its_whole_gives_it():
    found = problems(
        """\
        apiVersion: sparkles/v1
        kind: Job
        metadata: {name: mine, partOf: {kind: Workflow, name: w, part: a}}
        spec: {command: x}
        """
    )

    words = "job 'mine' is not what the part 'a' of 'w' is called; leave partOf out of a job of its own"
    assert found == [f"w.yaml:3:24: metadata.partOf: {words}"]
