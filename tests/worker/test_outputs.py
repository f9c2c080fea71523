"""Outputs: what counts as a result of a task."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkles.worker import outputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def write(folder: Path, *names: str, content: str = "x") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def find(folder: Path, staged: outputs.Snapshot | None = None, *, include=("**",), exclude=()) -> list[str]:
    return [output.name for output in outputs.find(folder, staged or {}, include=include, exclude=exclude).outputs]


def test_new_and_changed_files_are_results_and_unchanged_inputs_are_not(folder) -> None:
    write(folder, "same", "changed", "touched", "replaced", "removed")
    staged = outputs.snapshot(folder, ["same", "changed", "touched", "replaced", "removed"])
    write(folder, "new", "deep/er/new")
    write(folder, "changed", content="longer")
    os.utime(folder / "touched", (1, 1))
    (folder / "replaced").unlink()
    write(folder, "other")
    (folder / "other").rename(folder / "replaced")
    (folder / "removed").unlink()

    assert find(folder, staged) == ["changed", "deep/er/new", "new", "replaced", "touched"]


def test_an_output_says_where_it_is_and_how_large(folder) -> None:
    write(folder, "a/b", content="12345")

    (output,) = outputs.find(folder, {}, include=["**"], exclude=[]).outputs

    assert (output.name, output.path, output.size) == ("a/b", folder / "a" / "b", 5)


def test_links_to_files_inside_are_results(folder) -> None:
    write(folder, "a/target", content="12345")
    (folder / "link").symlink_to("a/target")
    (folder / "absolute").symlink_to(folder / "a" / "target")

    found = outputs.find(folder, {}, include=["**"], exclude=[])

    assert {output.name: output.size for output in found.outputs} == {"a/target": 5, "absolute": 5, "link": 5}
    assert list(found.notes) == []


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/etc/hostname", id="absolute, outside"),
        pytest.param("../outside", id="relative, outside"),
        pytest.param("nowhere", id="dangling"),
        pytest.param("link", id="to itself"),
        pytest.param("folder", id="to a folder inside"),
        pytest.param("..", id="to a folder outside"),
        pytest.param("hop", id="through another link, outside"),
    ],
)
def test_links_that_lead_outside_or_nowhere_are_left_out_and_do_not_end_the_search(folder, target) -> None:
    write(folder, "a", "folder/x", "z")
    write(folder.parent, "outside")
    (folder / "link").symlink_to(target)
    if target == "hop":
        (folder / "hop").symlink_to("../outside")

    found = outputs.find(folder, {}, include=["**"], exclude=[])

    assert [output.name for output in found.outputs] == ["a", "folder/x", "z"]
    assert [note for note in found.notes if note.startswith("link: ")]


def test_a_link_put_in_the_place_of_an_input_is_a_result(folder) -> None:
    write(folder, "in", "other")
    staged = outputs.snapshot(folder, ["in"])
    (folder / "in").unlink()
    (folder / "in").symlink_to("other")

    assert find(folder, staged) == ["in", "other"]


def test_what_is_no_file_is_left_out_and_noted(folder) -> None:
    write(folder, "a", "z")
    os.mkfifo(folder / "pipe")

    found = outputs.find(folder, {}, include=["**"], exclude=[])

    assert [output.name for output in found.outputs] == ["a", "z"]
    assert list(found.notes) == ["pipe: not a regular file; left out"]


FILES = ["a.csv", "b.txt", "deep/a.csv", "deep/er/c.csv", "deep/er/d.txt", "log.d/x", ".hidden", "a[1].csv"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        pytest.param(["**"], [], FILES, id="all"),
        pytest.param([], [], [], id="none"),
        pytest.param(["*"], [], FILES, id="a star alone"),
        pytest.param(
            ["*.csv"], [], ["a.csv", "deep/a.csv", "deep/er/c.csv", "a[1].csv"], id="without a slash, at any depth"
        ),
        pytest.param(["./*.csv"], [], ["a.csv", "deep/a.csv", "deep/er/c.csv", "a[1].csv"], id="./ counts for nothing"),
        pytest.param(["deep/*.csv"], [], ["deep/a.csv"], id="a star stops at a slash"),
        pytest.param(["deep/**"], [], ["deep/a.csv", "deep/er/c.csv", "deep/er/d.txt"], id="two stars do not"),
        pytest.param(["deep/**/*.csv"], [], ["deep/a.csv", "deep/er/c.csv"], id="no folder or many"),
        pytest.param(["**/er/*"], [], ["deep/er/c.csv", "deep/er/d.txt"], id="two stars in front"),
        pytest.param(["deep/"], [], ["deep/a.csv", "deep/er/c.csv", "deep/er/d.txt"], id="a folder is all below it"),
        pytest.param(["log.d"], [], ["log.d/x"], id="a folder without a slash"),
        pytest.param(["?.txt"], [], ["b.txt", "deep/er/d.txt"], id="one character"),
        pytest.param(["[!a].*"], [], ["b.txt", "deep/er/c.csv", "deep/er/d.txt"], id="not of these"),
        pytest.param(["[ab].csv", "d.txt"], [], ["a.csv", "deep/a.csv", "deep/er/d.txt"], id="several patterns"),
        pytest.param(["**"], ["*.csv", "deep"], ["b.txt", "log.d/x", ".hidden"], id="without"),
        pytest.param(["(a|b).csv"], [], [], id="no regular expression"),
    ],
)
def test_patterns_choose_files(folder, include, exclude, expected) -> None:
    write(folder, *FILES)

    assert find(folder, include=include, exclude=exclude) == sorted(expected)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["stdout.txt"], ["stdout.task.txt"], id="stdout.txt"),
        pytest.param(["result.json"], ["result.task.json"], id="result.json"),
        pytest.param(["result.json", "result.task.json"], ["result.task.json", "result.task2.json"], id="taken"),
        pytest.param(["stdout.txt/a", "stdout.txt/b"], ["stdout.task.txt/a", "stdout.task.txt/b"], id="a folder"),
        pytest.param(["deep/stdout.txt"], ["deep/stdout.txt"], id="elsewhere it is in nobody's way"),
    ],
)
def test_files_that_are_called_like_ours_get_another_name_and_a_note(folder, names, expected) -> None:
    write(folder, *names)

    found = outputs.find(folder, {}, include=["**"], exclude=[])

    assert sorted(output.name for output in found.outputs) == expected
    assert len(found.notes) == (expected != names)
    assert len({output.path for output in found.outputs}) == len(names)


def test_names_that_are_no_text_stay_apart(folder) -> None:
    for name in (b"\xff", b"\xfe", "ä".encode()):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(name)

    found = find(folder)

    assert len(set(found)) == 3
    assert "ä" in found
    for name in found:
        name.encode()


# What tasks do to their work directory


def test_a_work_directory_that_became_a_link_is_not_followed(tmp_path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "gold.txt").touch()
    folder = tmp_path / "work"
    folder.symlink_to(precious)

    found = outputs.find(folder, {}, include=["**"], exclude=[])
    outputs.remove(folder)

    assert list(found.outputs) == []
    assert "removed or replaced its work directory" in found.notes[0]
    assert not folder.is_symlink()
    assert (precious / "gold.txt").exists()


def test_a_work_directory_that_is_gone_has_no_outputs(tmp_path) -> None:
    assert list(outputs.find(tmp_path / "gone", {}, include=["**"], exclude=[]).outputs) == []
    outputs.remove(tmp_path / "gone")


def test_shut_folders_are_opened_and_removed(tmp_path) -> None:
    folder = tmp_path / "work"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "f").touch()
    for shut in (folder / "a" / "b", folder / "a", folder):
        shut.chmod(0o500)

    found = outputs.find(folder, {}, include=["**"], exclude=[])
    outputs.remove(folder)

    assert [output.name for output in found.outputs] == ["a/b/f"]
    assert not folder.exists()


def test_two_files_whose_names_look_alike_as_text_are_both_kept(tmp_path) -> None:
    for name in (b"a\xff", b"a\\xff"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)

    found = outputs.find(tmp_path, {}, include=["**"], exclude=[])

    assert sorted(output.name for output in found.outputs) == ["a\\xff", "a\\xff~"]


def test_patterns_that_choose_nothing_are_noted(folder) -> None:
    write(folder, "staged.txt", "a.txt", "b.txt")
    staged = outputs.snapshot(folder, ["staged.txt"])

    nothing = outputs.find(folder, staged, include=["*.csv"], exclude=[])
    something = outputs.find(folder, staged, include=["a*"], exclude=[])

    assert list(nothing.notes) == ["none of the 2 new files is among the outputs that were asked for"]
    assert list(something.notes) == []


def test_what_is_always_kept_no_other_pattern_takes_away(tmp_path):
    for name in (".foreach/result.pkl", "model.pkl", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")

    found = outputs.find(tmp_path, {}, include=["*.pkl"], exclude=["*.pkl"], always=[".foreach/"])

    assert [output.name for output in found.outputs] == [".foreach/result.pkl"]
