"""Placeholders: one substitution, and every other brace stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkles.placeholders import Template, UnknownParameterError, parse

ROW = {
    "index": "7",
    "lambda": "0.1",
    "x": "{y}",
    "y": "{x}",
    "a:b": "colon",
    "a.b": "dot",
    "a-b": "dash",
    "my size": "a  b",
    "2nd": "second",
}


def render(text: str) -> str:
    return parse(text, ROW, "spec.command[1]").render(ROW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("--lambda", "--lambda", id="no brace"),
        pytest.param("{lambda}", "0.1", id="whole word"),
        pytest.param("a{index}b{lambda}c{index}", "a7b0.1c7", id="several in one word"),
        pytest.param("{x}{y}", "{y}{x}", id="values are never expanded again"),
        pytest.param("{index}\nand\n{index}\n", "7\nand\n7\n", id="text after a newline stays"),
        pytest.param("{a:b} {a.b} {a-b} {my size} {2nd}", "colon dot dash a  b second", id="odd names"),
        pytest.param("${index}", "$7", id="a known name after a dollar"),
        pytest.param("{{index}}", "{index}", id="escape of a known name"),
        pytest.param("{{HOME}}", "{HOME}", id="escape of an unknown identifier"),
        pytest.param("{{my size}}", "{my size}", id="escape of a known name with a space"),
        pytest.param("${{HOME}}", "${HOME}", id="escape after a dollar"),
        pytest.param("{{{index}}}", "{{index}}", id="escape within braces"),
        pytest.param("{{index}", "{7", id="escape that is not closed"),
        pytest.param('{"a":{index}}', '{"a":7}', id="placeholder within JSON"),
    ],
)
def test_a_known_name_is_replaced_wherever_it_stands(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '{"a":{"b":1}}',
        "{{.Names}}",
        "${HOME}",
        "awk '{print $1}'",
        "{}",
        "{{}}",
        "{a..z}",
        "{1,2}",
        "{ index }",
        "{{ index }}",
        "{index",
        "index}",
        "}{",
        "{in\ndex}",
        "100%s %(x)s",
        "{été}",
        "\\{",
    ],
)
def test_every_other_brace_stays_as_it_is(text: str) -> None:
    assert render(text) == text


def test_an_unknown_name_is_an_error_that_says_what_there_is_and_how_to_escape() -> None:
    with pytest.raises(UnknownParameterError) as error:
        parse("--seed={indx}", ["lambda", "index"], "spec.command[1]")

    assert str(error.value) == (
        "spec.command[1]: no parameter named 'indx'; there is: index, lambda; did you mean 'index'?"
        " (write {{indx}} for the text {indx})"
    )
    assert (error.value.name, error.value.where, error.value.exit_code) == ("indx", "spec.command[1]", 2)


def test_a_template_knows_the_names_it_needs() -> None:
    assert parse("{lambda} {x} {lambda} {{y}}", ROW, "w").names == {"lambda", "x"}


def test_a_quoting_template_puts_every_value_in_quotes() -> None:
    template = Template(("echo ", " ", ""), ("a", "b"), quote=True)

    assert template.render({"a": "it's", "b": "plain"}) == """echo 'it'"'"'s' 'plain'"""


@given(st.lists(st.one_of(st.text(), st.sampled_from(list(ROW))), max_size=8), st.data())
def test_values_come_through_unchanged_between_unchanged_literals(parts: list[str], data: st.DataObject) -> None:
    row = {name: data.draw(st.text(), label=name) for name in ROW}
    plain = [part.replace("{", "").replace("}", "") for part in parts]

    text = "".join(f"{{{part}}}" if part in ROW else part for part in plain)
    expected = "".join(row.get(part, part) for part in plain)

    assert parse(text, ROW, "w").render(row) == expected


@given(st.text("{}$ax:\n"))
def test_no_text_of_braces_is_lost(text: str) -> None:
    """With each known name as its own value, only escapes and placeholders lose their braces."""
    try:
        rendered = parse(text, {"a:x"}, "w").render({"a:x": "a:x"})
    except UnknownParameterError:
        return

    assert rendered.replace("{", "").replace("}", "") == text.replace("{", "").replace("}", "")
