"""Reading text: positions, limits, and YAML that means harm."""

from __future__ import annotations

import re

import pytest
import yaml

from sparkles.errors import ProblemsError
from sparkles.manifest import tree
from sparkles.manifest.nodes import Mapping, Scalar, Sequence
from sparkles.manifest.text import parse


@pytest.fixture(params=["fast parser", "plain parser"], autouse=True)
def parser(request, monkeypatch):
    if request.param == "plain parser":
        monkeypatch.setattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(text):
    nodes, problems = parse(text, source="job.yaml")
    assert problems == []
    return [simple(node) for node in nodes]


def simple(node):
    match node:
        case Scalar():
            return node.text
        case Sequence():
            return [simple(item) for item in node.items]
        case Mapping():
            return {key: simple(value) for key, (_, value) in node.entries.items()}


def problems(text):
    try:
        _, found = parse(text, source="job.yaml")
    except ProblemsError as error:
        return str(error)
    return "\n".join(f"job.yaml:{problem.line}:{problem.column}: {problem.message}" for problem in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: 0.10", [{"a": "0.10"}], id="a scalar keeps its source text"),
        pytest.param("a: [yes, ~, 012, 2026-01-01]", [{"a": ["yes", "~", "012", "2026-01-01"]}], id="all do"),
        pytest.param("a: 1\n---\nb: 2\n", [{"a": "1"}, {"b": "2"}], id="several documents"),
        pytest.param("---\n---\n# only this\n---\na: 1\n...\n", [{"a": "1"}], id="empty documents are skipped"),
        pytest.param("", [], id="an empty text has no document"),
        pytest.param("\ufeffa: 1\r\nb: 2\r\n", [{"a": "1", "b": "2"}], id="byte order mark and CRLF"),
        pytest.param("a: &x {k: v}\nb: *x", [{"a": {"k": "v"}, "b": {"k": "v"}}], id="aliases are copies"),
        pytest.param("a: &x hi\nb: *x", [{"a": "hi", "b": "hi"}], id="also of scalars"),
        pytest.param("a: !!str 1\nb: !!map {}\nc: !!seq []", [{"a": "1", "b": {}, "c": []}], id="core tags"),
        pytest.param(
            "a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}",
            [{"a": {"k": "1", "l": "2"}, "b": {"k": "3", "l": "2"}}],
            id="own keys win over merged ones",
        ),
        pytest.param(
            "a: &x {k: 1}\nb: &y {k: 2, l: 3}\nc: {<<: [*x, *y]}",
            [{"a": {"k": "1"}, "b": {"k": "2", "l": "3"}, "c": {"k": "1", "l": "3"}}],
            id="of merged mappings the first wins",
        ),
        pytest.param('a: {"<<": x}', [{"a": {"<<": "x"}}], id="a quoted << is a key"),
    ],
)
def test_text_becomes_documents(text, expected):
    assert documents(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: 1\nb: 2\na: 3", r"3:1: duplicate key 'a', already given in line 1", id="duplicate key"),
        pytest.param("a: {1: x, '1': y}", r"1:11: duplicate key '1'", id="also when only one is quoted"),
        pytest.param("? [a]\n: b", r"1:3: expected a key, found a list", id="a list as a key"),
        pytest.param("{{x}}: 1", r"1:2: expected a key, found a mapping; .* quote it", id="a mapping as a key"),
        pytest.param("?\n: b", r"1:2: expected a key before the colon", id="no key"),
        pytest.param("a: !foo x", r"1:4: tag !foo has no meaning here", id="a tag of one's own"),
        pytest.param("a: !!python/object/apply:os.system [x]", r"1:4: tag !!python/object/apply", id="code"),
        pytest.param("a: !!binary aGk=", r"1:4: tag !!binary", id="no binary"),
        pytest.param("a:\n\tb: 1", r"2:\d: a tab cannot indent YAML; use spaces", id="a tab"),
        pytest.param("a: *x", r"1:4: \*x refers to nothing", id="an alias of nothing"),
        pytest.param("a: &x 1\n---\nb: *x", r"3:4: \*x refers to nothing", id="anchors end with their document"),
        pytest.param("&a [*a]", r"1:5: \*a stands inside &a", id="a list that contains itself"),
        pytest.param("a: &a {b: [*a]}", r"1:12: \*a stands inside &a", id="a mapping that contains itself"),
        pytest.param("a: x\nb: \x00", r"2:4: character U\+0000 cannot stand in YAML", id="NUL"),
        pytest.param("a: \x1b[0m", r"1:4: character U\+001B .*\\x1b", id="a control character"),
        pytest.param("a: \ud800", r"1:4: character U\+D800", id="half a character"),
        pytest.param("a: {x}.bam", r"1:7: this is not YAML: .*\"\{name\}\.txt\"", id="braces without quotes"),
        pytest.param("a: [x, --y={z}]", r"1:\d+: this is not YAML: .*\"\{name\}", id="braces in a list"),
        pytest.param("- *.csv", r"1:\d: (this is not YAML|\*).*", id="a star without quotes"),
        pytest.param("a: @list", r"1:4: this is not YAML: .*needs quotes", id="an at sign without quotes"),
        pytest.param("a: b: c", r"1:5: this is not YAML: .*colon and a space", id="two colons"),
        pytest.param("a: 'x", r"1:\d: this is not YAML: .*end of stream", id="an open quote"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, expected):
    assert re.match("job.yaml:" + expected, problems(text)), problems(text)


@pytest.mark.parametrize("start", ["[", "{", "- ", "? ", "{a: ", "[{a: ", "&a [", "!!seq ["])
def test_endless_nesting_is_refused_and_does_no_harm(start):
    assert re.search("nested too deep, expected at most 64|this is not YAML", problems(start * 100_000))


def test_nesting_through_aliases_counts_as_nesting():
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 70))

    assert "nested too deep" in problems(text)


def test_a_billion_laughs_are_not_told():
    laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n"
    laughs += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))

    assert "aliases repeat more than 100,000 values" in problems(laughs)


def test_a_billion_merges_are_not_made():
    keys = ", ".join(f"k{n}: v" for n in range(2000))
    text = f"a: &a {{{keys}}}\n" + "".join(f"b{n}: {{<<: *a}}\n" for n in range(2000))

    assert "aliases repeat more than" in problems(text)


def test_too_many_values_point_to_a_file(monkeypatch):
    monkeypatch.setattr(tree, "MAX_NODES", 100)

    assert "put large sweeps into a CSV file" in problems("a: [" + "x, " * 200 + "]")


def test_too_long_a_text_is_refused_unread(monkeypatch):
    monkeypatch.setattr("sparkles.manifest.text.MAX_CHARACTERS", 10)

    assert problems("a: 12345678") == "job.yaml:1:1: too long: 11 characters, expected at most 10"


def test_many_problems_end_the_reading():
    assert problems("a: 1\n" * 1000).count("\n") == tree.MAX_PROBLEMS


def test_a_mapping_remembers_how_it_was_written():
    (node,), _ = parse("é🎉: [{lambda}, a]\nb: {x}", source="job.yaml")

    assert node.entries["é🎉"][1].items[0].written == "{lambda}"
    assert node.entries["b"][1].written == "{x}"
