"""The schemas themselves: complete enough to be help text, strict enough to catch slips."""

from __future__ import annotations

import json

import jsonschema
import pytest

from sparkles.manifest.explain import POLICIES
from sparkles.manifest.quick import fits
from sparkles.manifest.schema import fields, load
from sparkles.resources import schema_text

SCHEMAS = ["job", "foreach", "workflow", "config"]


def shapes(schema):
    """Yield every part of a schema that describes values."""
    yield schema
    for keyword in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(keyword), dict):
            yield from shapes(schema[keyword])
    for keyword in ("oneOf", "anyOf"):
        for part in schema.get(keyword, ()):
            yield from shapes(part)
    for part in schema.get("properties", {}).values():
        yield from shapes(part)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_valid(name):
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(name)))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_property_has_a_description_of_one_sentence_or_two(name):
    for path, field in fields(load(name)):
        description = field.get("description", "")
        assert description.endswith("."), path
        assert "\n" not in description, path
        assert len(description) <= 130, path


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_mapping_is_closed(name):
    for shape in shapes(load(name)):
        assert shape.get("type") != "object" or "additionalProperties" in shape


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_pattern_is_put_in_words(name):
    for shape in shapes(load(name)):
        assert "pattern" not in shape or "x-words" in shape


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_reference_is_resolved(name):
    assert "$ref" not in json.dumps(load(name))


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_quick_test_knows_every_keyword(name):
    fits(load(name))


@pytest.mark.parametrize("name", SCHEMAS)
def test_defaults_and_examples_are_valid(name):
    for path, field in fields(load(name)):
        for given in [*field.get("examples", ()), *([field["default"]] if "default" in field else [])]:
            assert fits(field)(given) or "<" in str(given), (path, given)


def test_every_field_of_a_spec_has_an_update_policy():
    job = load("job")["properties"]
    changing = {**job["spec"]["properties"], "labels": job["metadata"]["properties"]["labels"]}

    assert {
        name: field.get("x-update") for name, field in changing.items() if field.get("x-update") not in POLICIES
    } == {}
