"""Explaining: the schema as help."""

from __future__ import annotations

import pytest

from sparkles.errors import RequestError
from sparkles.manifest import describe, explain, update_policy
from sparkles.manifest.schema import fields, load


def test_a_field_is_explained():
    assert explain("spec.nodes.max") == (
        """\
spec.nodes.max: integer
  Largest number of nodes at any one time.
  Allowed:  at least 1
  Default:  1
  Changes:  live: takes effect at once; no task runs again
  Example:  10
"""
    )


def test_a_mapping_lists_its_fields():
    text = explain("spec.resources.disks")

    assert text.startswith("spec.resources.disks: list of mappings\n")
    assert "  mount   Folder where the command finds the disk. (required)\n" in text


def test_an_empty_path_is_the_whole():
    assert "  spec        What runs" in explain("")


@pytest.mark.parametrize(
    "path", ["spec.nodes.max", "nodes.max", "job.spec.nodes.max", "Job.nodes.max", "job.nodes.max"]
)
def test_the_beginning_of_a_path_may_be_left_out(path):
    assert explain(path) == explain("spec.nodes.max")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("labels", "metadata.labels: mapping from name to string\n"),
        ("command", "spec.command: string or list of strings\n"),
        ("uploads[].dest", "spec.uploads.dest: string\n"),
        ("timeout", "spec.timeout: duration\n"),
        ("needs", "spec.needs: list of job names\n"),
        ("parameters.matrix", "spec.parameters.matrix: mapping from name to list of strings\n"),
        ("parameters.rows", "spec.parameters.rows: list of mappings from name to string\n"),
        ("retries.on", "  Allowed:  exit, out-of-memory, timeout\n"),
        ("nodes.provisioning", "  Allowed:  standard, spot\n"),
        ("nodes.linger", "  Default:  10m on VMs, 1m at home\n"),
        ("metadata.name", "; not LAST\n"),
        ("config.backend", "config.backend: string\n"),
        ("foreach.spec.script", "foreach.spec.script: script\n"),
        ("Foreach.functions.gather", "  Default:  gather\n"),
        ("foreach.batchSize", "  Changes:  rerun: "),
        ("workflow.steps.needs", "workflow.spec.steps.needs: list of job names\n"),
        ("workflow.spec.steps[].name", "workflow.spec.steps.name: step name\n"),
        ("workflow.nodes.max", "workflow.spec.nodes.max: integer\n"),
    ],
)
def test_types_and_values_are_put_in_words(path, expected):
    assert expected in explain(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("spec.node", "spec.node: unknown field; did you mean 'nodes'?"),
        ("nodes.mx", "nodes.mx: unknown field; did you mean 'max'?"),
        ("machineType", "machineType: unknown field; did you mean spec.resources.machineType?"),
        ("spec.timeout.x", "spec.timeout.x: unknown field; there are none here"),
        ("foreach.scrpt", "scrpt: unknown field; did you mean 'script'?"),
        ("workflow.steps.comand", "steps.comand: unknown field; did you mean 'command'?"),
        ("spec.", "spec.: unknown field; known here: image, command"),
    ],
)
def test_an_unknown_path_names_the_nearest(path, expected):
    with pytest.raises(RequestError) as caught:
        explain(path)

    assert str(caught.value).startswith(expected)


def test_every_field_can_be_explained_and_described():
    for schema, subject in (("job", ""), ("config", "config.")):
        for path, field in fields(load(schema)):
            dotted = subject + ".".join(path)
            assert field["description"] in explain(dotted)
            assert describe(dotted) == field["description"]


@pytest.mark.parametrize(
    ("field", "policy"),
    [
        ("labels", "live"),
        ("nodes", "live"),
        ("needs", "live"),
        ("timeout", "next-attempt"),
        ("image", "rerun"),
    ],
)
def test_a_field_has_an_update_policy(field, policy):
    assert update_policy(field) == policy


def test_what_has_no_update_policy_says_so():
    with pytest.raises(RequestError, match="has no update policy"):
        update_policy("metadata.name")


def test_a_field_of_another_kind_is_named_with_it():
    with pytest.raises(RequestError, match=r"there is foreach\.spec\.script$"):
        explain("script")
    with pytest.raises(RequestError, match=r"there is workflow\.spec\.steps$"):
        explain("spec.steps")
