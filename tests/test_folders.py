"""Folders: what a reference chooses, found by folder, is what its pattern chooses among all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkles import patterns
from sparkles.folders import Folders
from sparkles.references import Reference

STEPS = st.sampled_from(["1", "11", "a", "a.txt", ".hidden", "*", "**", "?", "[1a]"])
NAMES = st.lists(STEPS.filter(lambda step: not set(step) & set("*?[")), min_size=1, max_size=4).map("/".join)


@given(names=st.lists(NAMES, unique=True, max_size=12), path=st.lists(STEPS, max_size=4).map("/".join))
def test_a_reference_chooses_what_its_pattern_does(names, path):
    known = [f"job/{name}" for name in names]
    refers = Reference("job", path)
    wanted = patterns.any_of((refers.pattern,))

    found = Folders(known).chosen(refers)

    assert found == ([refers.name] if refers.name in known else [name for name in known if wanted(name)])


def test_what_is_below_a_folder_is_in_the_order_in_which_it_was_given():
    folders = Folders(["b/2", "b/1/x", "a", "bb/1"])

    assert list(folders.below("b")) == ["b/2", "b/1/x"]
    assert list(folders.below("")) == ["b/2", "b/1/x", "a", "bb/1"]
    assert list(folders.below("b/3")) == []
    assert "b/2" in folders
    assert "b" not in folders
