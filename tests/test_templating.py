"""Templating: what values are, what they print as, and what a template makes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sparkles import manifest
from sparkles.errors import RequestError
from sparkles.templating import Template, assign, assignment, merged, read_values, render
from sparkles.templating.values import Number, scalar


def rendered(text: str, **values: Any) -> str:
    (made,) = render([Template(source="t.j2", text=text)], values)
    return made


def refused(text: str, **values: Any) -> str:
    with pytest.raises(RequestError) as error:
        rendered(text, **values)
    return str(error.value)


def used(text: str, *names: str) -> None:
    values: dict[str, Any] = {}
    paths = [tuple(name.split(".")) for name in names]
    for path in paths:
        values = assign(values, path, "x")
    render([Template(source="t.j2", text=text)], values, used=paths)


# What is written, and what it is


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("false", False), ("null", None), ("12", 12), ("-3", -3), ("0", 0),
        ("9" * 18, int("9" * 18)),
        *((text, text) for text in ("", "True", "yes", "~", "012", "-0", "+5", "1_000", "9" * 19, "1.2.3", "5.", "nan",
                                    ".inf", "1e999", "0x1f", " 1", "1 ", "1\n", "٣")),
    ],
)  # fmt: skip
def test_a_scalar_is_what_it_looks_like(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


@pytest.mark.parametrize("text", ["0.10", "1e-3", "-1.50", "+0.5", ".5", "1E5", "2.0e+10"])
def test_a_number_computes_and_keeps_its_text(text: str) -> None:
    number = scalar(text)

    assert isinstance(number, Number)
    assert number == float(text)
    assert str(number) == repr(number) == f"{number}" == text
    assert rendered("{{ x }} {{ x * 2 }} {{ x < 1e99 }} {{ x ~ '' }} {{ [x] }}", x=number) == (
        f"{text} {float(text) * 2} true {text} [{text}]"
    )


def test_quotes_make_text_of_anything() -> None:
    text = "a: 1\nb: '1'\nc: \"true\"\nd: true\ne: 0.10\nf:\ng: ~\nh: yes\ni: |\n  2\n"

    values = read_values(text, source="v.yaml")

    assert values == {
        "a": 1, "b": "1", "c": "true", "d": True, "e": 0.1, "f": None, "g": None, "h": "yes", "i": "2\n"
    }  # fmt: skip
    assert rendered("{{ e }}", **values) == "0.10"


def test_values_are_merged_at_every_level() -> None:
    below = {"a": {"b": {"c": 1, "d": 1}, "e": [1]}, "f": {"g": 1}, "h": 1}
    above = {"a": {"b": {"c": 2}, "e": [2]}, "f": 2, "h": {"i": 2}}

    both = merged(below, above)

    assert both == {"a": {"b": {"c": 2, "d": 1}, "e": [2]}, "f": 2, "h": {"i": 2}}
    assert below["f"] == {"g": 1}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a=1", (("a",), 1)),
        ("a.b-c.1=x=y", (("a", "b-c", "1"), "x=y")),
        ("a=", (("a",), "")),
        ("größe= x", (("größe",), " x")),
    ],
)
def test_an_assignment_has_a_name_and_a_value(text: str, read: object) -> None:
    assert assignment(text) == read


@pytest.mark.parametrize("text", ["", "a", "=1", "a.=1", ".a=1", "a..b=1", "a b=1", "1a=1"])
def test_an_assignment_without_a_name_or_a_value_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="expected NAME=VALUE"):
        assignment(text)


# What is printed


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("true", "true"), ("none", "null"), ("1 == 2", "false"), ("3 / 2", "1.5"), ("7 // 2", "3"),
        ("['a', 1, none, {'b': (true, 'x')}]", '["a", 1, null, {"b": [true, "x"]}]'),
        ("range(3)", "[0, 1, 2]"), ("{1: 2}", '{"1": 2}'),
        ("true ~ '-' ~ none ~ 1", "true-null1"), ("false | string", "false"),
        ("'a' | e", "a"), ("[3, 1] | sort", "[1, 3]"), ("m.items", "1"), ("m.values() | list", "[1, 2]"),
        ("m['a-b']", "2"), ("x | default(5)", "5"), ("x is defined", "false"),
        ("'%03d|%s' % (7, true)", "007|True"), ("'{:>3}|{}'.format('a', 100000000)", "  a|100000000"),
        ("'100%% of 20240101 %d' % 100000000", "100% of 20240101 100000000"),
        ("'{\"day\": 20240101}'.replace('d', 'D')", '{"Day": 20240101}'), ("123456789 | center(11)", " 123456789 "),
    ],
)  # fmt: skip
def test_a_value_prints_as_in_yaml(code: str, text: str) -> None:
    assert rendered(f"{{{{ {code} }}}}", m={"items": 1, "a-b": 2}) == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_tojson_is_json_and_yaml(value: Any) -> None:
    text = rendered("{{ x | tojson }}", x=value)

    assert json.loads(text) == value
    assert yaml.safe_load(f"a: {text}")["a"] == value
    assert yaml.safe_load(f"a: '{text}'")["a"] == text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_passes_through_a_manifest(text: str) -> None:
    head = "apiVersion: sparkles/v1\nkind: Job\nmetadata: {name: j}\nspec: {command: [echo, {{ x | tojson }}]}\n"

    (read,) = manifest.read(rendered(head, x=text), source="t", base=manifest.__path__[0])

    assert read.document["spec"]["command"] == ["echo", text]


# Text beside the tags


@pytest.mark.parametrize(
    ("template", "text"),
    [
        pytest.param("a\n  {% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc\n", id="a tag alone on its line"),
        pytest.param("{% if true %}\n{% if true %}\n\na\n{% endif %}\n{% endif %}\n", "\na\n", id="tags in a row"),
        pytest.param("a {% if true %}b{% endif %}\nc\n", "a b\nc\n", id="a tag at the end of a line"),
        pytest.param("{% if true %}a{% endif %}\nc\n", "a\nc\n", id="tags around a line"),
        pytest.param(
            "a: |\n  x \\\n  {% if true %}\n  y\n  {% endif %}\n  z\n", "a: |\n  x \\\n  y\n  z\n", id="a script"
        ),
        pytest.param("{% set a = [\n  1,\n] %}\n{{ a }}\n", "[1]\n", id="a tag of several lines"),
        pytest.param("a\r\n{% if true %}\r\nb\r\n{% endif %}\r\n", "a\nb\n", id="lines of Windows"),
        pytest.param("{% if true %}  \nb{% endif %}", "b", id="blanks after a tag"),
        pytest.param("x {# note #} {% if true %}\ny{% endif %}", "x  \ny", id="a comment before"),
        pytest.param("\ufeff{% if true %}\na{% endif %}\n", "a\n", id="a byte order mark"),
        pytest.param("a\n\n{%- if true %}\nb{% endif %}", "a\nb", id="a tag that takes white space"),
        pytest.param("a", "a", id="no new line at the end"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_tag_alone_leaves_no_line_and_others_leave_all(template: str, text: str) -> None:
    assert rendered(template) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{lambda} {} ${HOME} {a..z} {print $1}", "{lambda} {} ${HOME} {a..z} {print $1}"),
        ("{{ '{{name}}' }}", "{{name}}"),
        ("{% raw %}{{.Names}} ${#x} {% y %}{% endraw %}", "{{.Names}} ${#x} {% y %}"),
        ("{{ x }}", "{{ y }} {z}"),
    ],
)
def test_braces_of_others_pass_through(template: str, text: str) -> None:
    assert rendered(template, x="{{ y }} {z}") == text


# Loops stay loops, though they are counted


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% for x in 'abc' %}{{ loop.index }}/{{ loop.length }}{{ x }}{{ ',' if not loop.last }}{% endfor %}",
         "1/3a,2/3b,3/3c"),
        ("{% for x in [] %}{% else %}none{% endfor %}", "none"),
        ("{% for x in range(9) if x % 4 == 0 %}{{ x }}{{ loop.nextitem | default('.') }}{% endfor %}", "04488."),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"),
        ("{% for x in [[1, [2]], 3] recursive %}{{ x if x is number else loop(x) }}{% endfor %}", "123"),
        ("{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}{{ twice('a') ~ twice('b') }}", "aabb"),
    ],
)  # fmt: skip
def test_a_loop_does_what_jinja_says(template: str, text: str) -> None:
    assert rendered(template) == text


@pytest.mark.parametrize(
    "code",
    [
        "'ab' * 10**8", "10**8 * (1, 2)", "9 ** (9 ** 9)", "(2 ** 9999) * (2 ** 9999)", "'a'.center(10**9)",
        "'a' | center(10**9)", "['a'] | map('center', 10**9) | list", "'a\\nb' | indent(width=10**9)",
        "[1] | batch(10**9, 0) | list", "[1] | slice(10**9) | list", "'\\t'.expandtabs(10**9)", "'%*d' % (10**9, 1)",
        "'%.999999999f' | format(1)", "'{:{}}'.format(1, 10**9)", "'{x:999999999}'.format_map({'x': 1})",
    ],
)  # fmt: skip
def test_what_is_absurdly_large_is_refused_before_it_is_made(code: str) -> None:
    said = refused(f"\n{{{{ {code} }}}}")

    assert said.startswith("t.j2:2: ")
    assert any(words in said for words in ("characters or items", "too many digits", "a width in a format"))


@pytest.mark.parametrize(
    "body",
    ["{% set n.t = n.t ~ n.t %}", "{% set n.t = n.t + n.t %}", "{% set n.t %}{{ n.t }}{{ n.t }}{% endset %}"],
)
def test_a_text_that_doubles_is_refused(body: str) -> None:
    said = refused("{% set n = namespace(t='aaaaaaaa') %}{% for i in range(99) %}" + body + "{% endfor %}")

    assert "characters" in said


def test_a_long_output_is_refused() -> None:
    assert "too long" in refused("{% for i in range(99999) %}{{ 'a' * 1000 }}{% endfor %}")


def test_calls_that_double_are_refused() -> None:
    body = "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(99) }}"

    assert "steps" in refused(body)


# Names


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ a }}", "a"), ("{{ a.b | default }}", "a"), ("{{ a }}", "a.b"), ("{{ a.b }}", "a.b"),
        ("{{ a['b'].c | default }}", "a.b"),
        ("{{ a[0] | default }}", "a.b"), ("{% for k, v in a.items() %}{{ k }}{% endfor %}", "a.b"),
        ("{{ dict(a).b | default }}", "a.c"),
        ("{% set c = a %}{{ c.b }}", "a.b"), ("{{ a | tojson }}", "a.b"), ("{% if a is defined %}{% endif %}", "a"),
        ("{{ range }}", "range"),
    ],
)  # fmt: skip
def test_a_name_that_is_used_may_be_set(template: str, name: str) -> None:
    used(template, name)


@pytest.mark.parametrize(
    ("template", "name", "says"),
    [
        ("{{ rate }}", "rat", "no template uses 'rat'; used are: rate; did you mean 'rate'?"),
        ("{{ a.b }}", "a.c", "no template uses 'a.c'; used are: a.b; did you mean 'a.b'?"),
        ("{% set a = 1 %}{{ a }}", "a", "no template uses 'a'; no names are used at all"),
        ("{% for a in [1] %}{{ a }}{% endfor %}", "a", "no template uses 'a'"),
        ("{# {{ a }} #}{% raw %}{{ a }}{% endraw %}", "a", "no template uses 'a'"),
    ],
)
def test_a_name_that_is_not_used_is_refused(template: str, name: str, says: str) -> None:
    with pytest.raises(RequestError) as error:
        used(template, name)

    assert says in str(error.value)


def test_an_error_in_a_macro_names_the_line_in_the_macro() -> None:
    assert refused("{% macro f(x) %}\n\n{{ x.y }}{% endmacro %}\n\n\n{{ f(1) }}").startswith("t.j2:3: ")
