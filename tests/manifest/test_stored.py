"""What the stores keep of a document reads back as it was, and is YAML to everybody else."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sparkles.errors import BackendError
from sparkles.manifest import dump, load, store

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DOCUMENT = st.dictionaries(TEXT, st.recursive(TEXT | st.booleans() | st.none() | st.integers(), st.lists), max_size=4)


@given(DOCUMENT)
def test_a_document_that_is_kept_reads_back_as_it_was(document):
    assert load(store(document)) == document


@given(TEXT)
def test_what_is_kept_is_yaml(text):
    assert yaml.safe_load(store({"key": text})) == {"key": text}


def test_what_an_older_sparkles_kept_can_be_read():
    document = {"kind": "Job", "spec": {"command": ["echo", "0.10"], "uploads": [{"src": "f", "executable": False}]}}

    assert load(dump(document)) == document


@pytest.mark.parametrize("text", ['{"kind": "Job"', "kind: [", "{"])
def test_a_text_that_is_cut_off_is_an_error_of_the_backend(text):
    with pytest.raises(BackendError, match="a stored manifest cannot be read"):
        load(text)
