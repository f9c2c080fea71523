"""Validation: values as the schema wants them, from text and from code."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkles.errors import ProblemsError
from sparkles.manifest import check, read, read_config
from sparkles.manifest.quick import fits
from sparkles.manifest.schema import load

HEAD = "apiVersion: sparkles/v1\nkind: Job\nmetadata: {name: j}\nspec:\n"


def spec(text, *, command="command: [echo]\n"):
    """Read a manifest whose spec begins in line 5 and whose text begins in line 6, indented by 2."""
    return read_one(HEAD + indent(command, "  ") + indent(dedent(text), "  ")).document["spec"]


def read_one(text):
    (manifest,) = read(text, source="job.yaml", base=Path())
    return manifest


def a_job(**fields):
    return {
        "apiVersion": "sparkles/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"command": ["echo"], **fields},
    }


# Values


@pytest.mark.parametrize("text", ["0.10", "yes", "012", "1_000", "2026-01-01", "~", "null", "0x1F", "1e3", "True"])
def test_where_text_is_wanted_the_source_text_is_the_value(text):
    assert spec("", command=f"command: [echo, {text}]\n")["command"] == ["echo", text]
    assert spec(f"env: {{A: {text}}}")["env"] == {"A": text}
    assert spec(f"parameters: {{rows: [{{a: {text}}}]}}")["parameters"] == {"rows": [{"a": text}]}
    assert spec(f"parameters: {{matrix: {{a: [{text}]}}}}")["parameters"] == {"matrix": {"a": [text]}}


def test_a_command_is_a_list_or_a_line():
    assert spec("", command="command: echo hi | wc\n")["command"] == "echo hi | wc"
    assert spec("", command="command: 5\n")["command"] == "5"


def test_an_upload_is_a_word_or_a_mapping():
    uploads = ["a.py", {"src": "1.0", "executable": True}]

    assert spec("uploads: [a.py, {src: 1.0, executable: true}]")["uploads"] == uploads


@pytest.mark.parametrize("nothing", ["", "~", "null"])
def test_an_optional_field_without_a_value_is_left_out(nothing):
    text = f"nodes: {nothing}\nuploads: {nothing}\nparameters: {nothing}\nresources: {{slots: {nothing}}}"

    assert spec(text) == {"command": ["echo"], "resources": {}}


def test_defaults_are_not_filled_in_by_reading():
    assert spec("nodes: {max: 3}") == {"command": ["echo"], "nodes": {"max": 3}}


def test_an_empty_text_has_no_manifest():
    assert read("# nothing\n---\n", source="job.yaml", base=Path()) == []


def test_a_manifest_knows_its_name_source_and_base():
    (manifest,) = read(HEAD + "  command: x", source="-", base=Path("/somewhere"))

    assert (manifest.name, manifest.source, manifest.base) == (
        "j",
        "<stdin>",
        Path("/somewhere"),
    )


def test_a_pinned_manifest_is_valid():
    sha = "ab" * 32
    pinned = a_job(
        image=f"python@sha256:{sha}",
        uploads=[
            {"src": "a.py", "dest": "a.py", "sha256": sha, "executable": False},
            {"src": "s/{x}.bam", "dest": "in.bam", "files": [{"src": "s/1.bam", "sha256": sha}]},
            {"src": "gs://b/m", "dest": "m", "generation": "1764100000000001", "executable": False},
            {"src": "gs://b/d/", "dest": "d", "files": [{"src": "gs://b/d/1", "generation": "7"}]},
        ],
        parameters={"csv": "p.csv", "sha256": sha, "count": 3},
    )
    pinned["status"] = {"generation": 4, "indices": "1-39,1001,40-1000"}

    assert check(pinned, source="sub", base=Path()).document == pinned


# Documents built in code


def test_problems_of_a_document_built_in_code_have_no_lines():
    with pytest.raises(ProblemsError) as caught:
        check(a_job(nodes={"max": 0}, timeout="5"), source="sub", base=Path())

    assert caught.value.problems == (
        "spec.nodes.max: 0 is less than 1, expected an integer of at least 1",
        "spec.timeout: 5 has no unit; add s, m, h or d: 5s, 5m, 5h or 5d",
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"env": {"A": "\udcff"}}, r"spec\.env\.A: '\\udcff' is not valid Unicode text"),
        ({"env": {1: "x"}}, r"spec\.env: key 1 is not valid Unicode text"),
        ({"nodes": {"max": True}}, r"spec\.nodes\.max: expected an integer of at least 1, found true"),
        ({"nodes": {"max": 10**18}}, r"spec\.nodes\.max: expected an integer of at least 1, found 1000"),
        ({"nodes": {"max": 3.0}}, r"spec\.nodes\.max: expected an integer of at least 1, found 3\.0"),
        ({"command": ("echo",)}, r"spec\.command: expected a string or a list, found \('echo',\)"),
        ({"command": [{"lambda": None}]}, r'quote it: "\{lambda\}"'),
    ],
)
def test_what_no_yaml_could_hold_is_refused(fields, expected):
    with pytest.raises(ProblemsError, match=expected):
        check(a_job(**fields), source="sub", base=Path())


# The two judges agree


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2000) | st.sampled_from(["", "a", "2h", "0s", "spot", "/x", "LAST"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["seq", "csv", "rows", "count", "src", "sha256", "max", "keep", "mount", "A", "1"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(field=st.sampled_from(sorted(load("job")["properties"]["spec"]["properties"])), value=VALUES)
def test_the_quick_test_and_jsonschema_agree(field, value):
    schema = load("job")["properties"]["spec"]["properties"][field]

    assert fits(schema)(value) == jsonschema.Draft202012Validator(schema).is_valid(value)


@given(field=st.sampled_from(sorted(load("job")["properties"]["spec"]["properties"])), value=VALUES)
def test_every_wrong_value_has_a_message(field, value):
    document = a_job(**{field: value})

    if not fits(load("job"))(document):
        with pytest.raises(ProblemsError, match="spec"):
            check(document, source="sub", base=Path())


# Config


def test_a_config_is_read_by_its_own_schema():
    text = "project: 0123\nzones: [us-central1-a]\ndefaults: {image: python:3.12}\n"

    assert read_config(text, source=".sparkles.yaml") == {
        "project": "0123",
        "zones": ["us-central1-a"],
        "defaults": {"image": "python:3.12"},
    }
    assert read_config("", source=".sparkles.yaml") == {}


def test_a_wrong_config_says_where():
    with pytest.raises(ProblemsError) as caught:
        read_config("backend: gpc\nmachineType: x\nbucket: gs://b\n", source=".sparkles.yaml")

    assert caught.value.problems == (
        ".sparkles.yaml:1:1: backend: expected one of local, gcp, found \"gpc\"; did you mean 'gcp'?",
        ".sparkles.yaml:2:1: machineType: unknown field; did you mean defaults.machineType?",
        '.sparkles.yaml:3:1: bucket: expected a bucket name, and perhaps /folder, without gs://, found "gs://b"',
    )
