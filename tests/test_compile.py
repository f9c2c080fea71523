"""Compile: what a task runs, and what its digest depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkles import canonical
from sparkles import sweep as sweeps
from sparkles.compile import DIGEST_SIZE, Definition, Input, row_writer
from sparkles.errors import BackendError, RequestError
from sparkles.lifecycle import RetryPolicy
from sparkles.manifest import with_defaults
from sparkles.model import Reason
from sparkles.placeholders import UnknownParameterError
from sparkles.spec import spec_of

A, B, Z = "a" * 64, "b" * 64, "0" * 64


def a_definition(*, columns: Sequence[str] = ("x", "y"), seq: bool = False, **spec: Any) -> Definition:
    document = with_defaults(
        {
            "apiVersion": "sparkles/v1",
            "kind": "Job",
            "metadata": {"name": "j"},
            "spec": {"command": ["run", "{x}"], **spec},
        }
    )
    return Definition(spec_of(document), columns=columns, seq=seq)


ROW = {"x": "1", "y": "2"}


def digest(row: Mapping[str, str] = ROW, index: int = 1, **spec: Any) -> bytes:
    return a_definition(columns=list(row), **spec).digest(row, index)


def a_file(src: str, sha256: str = A, **fields: Any) -> dict[str, Any]:
    return {"src": src, "dest": src, "sha256": sha256, "executable": False, **fields}


def an_object(src: str, generation: str, **fields: Any) -> dict[str, Any]:
    return {"src": src, "generation": generation, "executable": False, **fields}


# Digests


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"spec": {"timeout": "2h"}}, id="the timeout"),
        pytest.param({"spec": {"retries": {"limit": 3}}}, id="retries"),
        pytest.param({"spec": {"nodes": {"max": 3}}}, id="nodes"),
        pytest.param({"spec": {"resources": {"slots": 3}}}, id="resources"),
        pytest.param({"spec": {"outputs": {"include": ["*.csv"]}}}, id="outputs"),
        pytest.param({"spec": {"parameters": {"csv": "p.csv"}}}, id="where the parameters come from"),
        pytest.param({"row": {"x": "1", "y": "other"}}, id="a parameter that the task does not use"),
        pytest.param({"row": {"y": "2", "x": "1"}}, id="the order of the columns"),
        pytest.param({"row": {"x": "1"}}, id="a column less, not used"),
        pytest.param({"index": 7}, id="the index"),
        pytest.param({"spec": {"command": ["run", "1"]}}, id="a value that is written out"),
        pytest.param({"spec": {"env": {}}}, id="an empty env"),
        pytest.param({"spec": {"uploads": []}}, id="no uploads"),
        pytest.param({"spec": {"workingDir": "."}}, id="the default"),
    ],
)
def test_the_digest_does_not_change_with(other) -> None:
    assert digest(other.get("row", ROW), other.get("index", 1), **other.get("spec", {})) == digest()


UPLOADS = [a_file("f", A), a_file("g", B)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        pytest.param(UPLOADS, UPLOADS[::-1], id="the order"),
        pytest.param(UPLOADS, [a_file("elsewhere/f", A, dest="f"), a_file("g", B)], id="where a file was"),
        pytest.param(UPLOADS, [*UPLOADS, UPLOADS[0]], id="one that is named twice"),
        pytest.param(UPLOADS, [a_file("f", A, dest="./f"), a_file("g", B, dest="x/../g")], id="how dest is written"),
        pytest.param(
            [a_file("f", A, dest="in")],
            [{"src": "{x}", "dest": "in", "files": [a_file("1", A), a_file("2", B)]}],
            id="that a file was chosen by a parameter",
        ),
        pytest.param(
            [a_file("d/f", A)], [{"src": "{x}", "dest": "d", "files": [a_file("1/f", A)]}], id="that it was in a folder"
        ),
    ],
)
def test_of_uploads_the_digest_does_not_change_with(one, two) -> None:
    assert digest(uploads=one) == digest(uploads=two)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"command": ["run", "{x}", ""]}, id="a word more"),
        pytest.param({"command": ["run {x}"]}, id="words put together"),
        pytest.param({"command": ["run", "{y}"]}, id="another parameter"),
        pytest.param({"command": "run {x}"}, id="a shell line"),
        pytest.param({"command": ["/bin/sh", "-c", "run '1'"]}, id="the shell written out"),
        pytest.param({"env": {"A": ""}}, id="env"),
        pytest.param({"image": "r"}, id="image"),
        pytest.param({"workingDir": "sub"}, id="workingDir"),
        pytest.param({"uploads": [a_file("f")]}, id="an upload"),
        pytest.param({"command": ["run", "{index}"]}, id="the index as a word"),
    ],
)
def test_the_digest_changes_with(spec) -> None:
    assert digest(**spec) != digest()


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(a_file("f", B), id="content"),
        pytest.param(a_file("f", A, dest="g"), id="dest"),
        pytest.param(a_file("f", A, executable=True), id="executable bit"),
    ],
)
def test_of_uploads_the_digest_changes_with(entry) -> None:
    assert digest(uploads=[entry]) != digest(uploads=[a_file("f", A)])


def test_a_shell_line_is_not_the_word_that_reads_the_same() -> None:
    assert digest(command="echo") != digest(command=["echo"])


@pytest.mark.parametrize(
    ("one", "two"),
    [
        pytest.param(["{x}", "{y}"], ["{x}{y}"], id="words"),
        pytest.param(['{x}","{y}'], ["{x}", "{y}"], id="JSON in a word"),
    ],
)
def test_values_cannot_be_taken_for_the_text_around_them(one, two) -> None:
    assert digest(command=one) != digest(command=two)


def test_a_value_with_json_in_it_is_a_value() -> None:
    sly = digest({"x": '1","2'}, command=["run", "{x}"])

    assert sly != digest({"x": "1"}, command=["run", "{x}", "2"])


def test_the_index_is_left_in_place_unless_the_sweep_is_a_seq() -> None:
    command = ["run", "{index}"]

    assert digest(index=1, command=command) == digest(index=2, command=command)
    assert digest(index=1, command=command, seq=True) != digest(index=2, command=command, seq=True)
    assert digest(index=1, seq=True) != digest(index=2, seq=True), "the environment of a seq holds it"


def test_the_text_index_in_braces_is_not_the_index() -> None:
    assert digest(command=["run", "{{index}}"]) != digest(command=["run", "{index}"])
    assert digest({"x": "{index}"}) != digest(command=["run", "{index}"])


def test_digests_of_a_sweep_are_those_of_its_rows() -> None:
    sweep = sweeps.from_rows([{"x": "1", "y": "a"}, {"x": "ä", "y": "b"}, {"x": "1", "y": "c"}])
    definition = a_definition(env={"Y": "{y}", "I": "{index}"})

    digests = definition.digests(sweep)

    rows = [dict(zip(sweep.columns, values, strict=True)) for values in sweep]
    assert split(digests) == [definition.digest(row, index) for index, row in enumerate(rows, start=10)]


def test_digests_of_a_seq_are_those_of_its_numbers() -> None:
    definition = a_definition(columns=(), seq=True, command=["run", "{index}"])

    digests = definition.digests(sweeps.from_seq(3))

    assert split(digests) == [definition.digest({}, index) for index in (1, 2, 3)]


TEXT = st.text(st.characters(exclude_characters="\0{}", exclude_categories=["Cs"]), max_size=5)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.lists(TEXT, max_size=3), st.booleans())
def test_both_ways_to_digest_agree(values: list[tuple[str, str]], literals: list[str], in_env: bool) -> None:
    command = ["run", *literals, "-{x}-", *([] if in_env else ["{y}{index}"])]
    definition = a_definition(command=command, env={"Y": "{y}"} if in_env else {})
    sweep = sweeps.from_rows([{"x": x, "y": y} for x, y in values])

    digests = split(definition.digests(sweep))

    assert digests == [definition.digest({"x": x, "y": y}, 9) for x, y in values]
    assert len(set(digests)) == len(set(values))


def test_a_digest_is_that_of_the_canonical_json_of_all_that_is_computed() -> None:
    row = {"x": 'a "b" 100% \\ é🙂\n', "y": "%s"}
    definition = a_definition(command=["50%", "{x}-{y}"], env={"Y": "{y}{index}"}, uploads=[a_file("f", dest="{y}%")])

    expected = {
        "command": ["50%", f"{row['x']}-%s"],
        "env": {"Y": "%s\0index"},
        "image": None,
        "uploads": [["%s%", A, False]],
        "workingDir": ".",
    }

    assert definition.digest(row, 7) == bytes.fromhex(canonical.sha256(expected))


def test_a_digest_of_a_line_is_that_of_its_quoted_values() -> None:
    expected = {"command": "run 'it'\"'\"'s'", "env": {}, "image": None, "uploads": [], "workingDir": "."}

    assert digest({"x": "it's"}, command="run {x}") == bytes.fromhex(canonical.sha256(expected))


def test_a_row_may_have_other_parameters_than_those_that_are_used() -> None:
    definition = a_definition(columns=("x", "y"))

    assert definition.digest({"x": "1"}, 1) == definition.digest({"z": "3", "x": "1", "y": "2"}, 1)


def test_names_are_written_as_they_are() -> None:
    write = row_writer(["a%", 'b"', "%s"])

    assert json.loads(write(["1%", '"', "%d"])) == {"a%": "1%", 'b"': '"', "%s": "%d"}


def split(digests: bytes) -> list[bytes]:
    return [digests[start : start + DIGEST_SIZE] for start in range(0, len(digests), DIGEST_SIZE)]


# Definitions


def test_a_command_of_words_is_run_as_it_is() -> None:
    task = a_definition(command=["run", "{x} {y}", "{index}", "{{x}}", "", "$HOME"]).define(ROW, 7)

    assert list(task.argv) == ["run", "1 2", "7", "{x}", "", "$HOME"]


def test_a_line_is_run_by_the_shell_with_its_values_quoted() -> None:
    task = a_definition(command="run {x} | sort > {index}.txt").define({**ROW, "x": "a; rm -rf '"}, 7)

    assert list(task.argv) == ["/bin/sh", "-c", "run 'a; rm -rf '\"'\"'' | sort > '7'.txt"]


def test_env_image_and_folder_go_with_the_task() -> None:
    task = a_definition(env={"A": "{x}-{index}"}, image="r:1", workingDir="sub/dir").define(ROW, 7)

    assert (dict(task.env), task.image, task.working_dir) == ({"A": "1-7"}, "r:1", "sub/dir")


def test_a_task_of_a_seq_finds_its_index_in_the_environment() -> None:
    task = a_definition(columns=(), command=["run"], seq=True).define({}, 7)

    assert task.env["SPARKLES_TASK_INDEX"] == "7"


@pytest.mark.parametrize(
    ("entry", "inputs"),
    [
        pytest.param(a_file("f"), [("f", A, False)], id="a file"),
        pytest.param(a_file("f", executable=True), [("f", A, True)], id="executable"),
        pytest.param(a_file("f", dest="d/{x}/{index}"), [("d/1/7", A, False)], id="a dest with placeholders"),
        pytest.param(
            {"src": "data/{x}.csv", "files": [a_file("data/1.csv", A), a_file("data/2.csv", B)]},
            [("data/1.csv", A, False)],
            id="a src with a placeholder lands where it was",
        ),
        pytest.param(
            {"src": "/abs/{x}.csv", "files": [a_file("/abs/1.csv", A)]},
            [("1.csv", A, False)],
            id="an absolute src lands under its own name",
        ),
        pytest.param(
            {"src": "data/{x}.csv", "dest": "in.csv", "files": [a_file("data/1.csv", A)]},
            [("in.csv", A, False)],
            id="src and dest",
        ),
        pytest.param(
            {
                "src": "data/{x}",
                "dest": "in",
                "files": [a_file("data/1/p", A), a_file("data/1/q/r", B), a_file("data/10/p", Z)],
            },
            [("in/p", A, False), ("in/q/r", B, False)],
            id="a folder that a parameter chooses",
        ),
    ],
)
def test_uploads_become_inputs(entry, inputs) -> None:
    task = a_definition(uploads=[entry]).define(ROW, 7)

    assert list(task.inputs) == [Input(dest=dest, content=sha256, executable=exe) for dest, sha256, exe in inputs]


@pytest.mark.parametrize(
    ("entry", "inputs"),
    [
        pytest.param(an_object("gs://b/d/m.rds", "7"), [("m.rds", "gs://b/d/m.rds#7", False)], id="an object"),
        pytest.param(
            an_object("gs://b/run", "7", dest="bin/run", executable=True),
            [("bin/run", "gs://b/run#7", True)],
            id="a program",
        ),
        pytest.param(
            {
                "src": "gs://b/ref/",
                "dest": "ref",
                "files": [an_object("gs://b/ref/a", "1"), an_object("gs://b/ref/d/{b}", "2")],
            },
            [("ref/a", "gs://b/ref/a#1", False), ("ref/d/{b}", "gs://b/ref/d/{b}#2", False)],
            id="a folder",
        ),
        pytest.param(
            {"src": "gs://b", "dest": "all", "files": [an_object("gs://b/x/y", "1")]},
            [("all/x/y", "gs://b/x/y#1", False)],
            id="a bucket",
        ),
        pytest.param(
            {"src": "gs://b/{x}.bam", "files": [an_object("gs://b/2.bam", "2"), an_object("gs://b/1.bam", "1")]},
            [("1.bam", "gs://b/1.bam#1", False)],
            id="an object that a parameter chooses",
        ),
    ],
)
def test_uploads_from_buckets_become_inputs(entry, inputs) -> None:
    task = a_definition(uploads=[entry]).define(ROW, 7)

    assert [(file.dest, file.content, file.executable) for file in task.inputs] == inputs


def test_a_digest_holds_the_generation_of_an_object_as_it_holds_the_hash_of_a_file() -> None:
    made = digest(uploads=[an_object("gs://b/x", "7", dest="x"), a_file("a", A)])

    expected = {
        "command": ["run", "1"],
        "env": {},
        "image": None,
        "uploads": [["a", A, False], ["x", "gs://b/x#7", False]],
        "workingDir": ".",
    }
    assert made == bytes.fromhex(canonical.sha256(expected))
    assert made != digest(uploads=[an_object("gs://b/x", "8", dest="x"), a_file("a", A)])


def test_a_pinned_manifest_that_lacks_a_file_is_an_error_of_the_backend() -> None:
    definition = a_definition(uploads=[{"src": "{x}.csv", "files": [a_file("2.csv")]}])

    with pytest.raises(BackendError, match=r"does not say what '1\.csv' is"):
        definition.define(ROW, 1)


@pytest.mark.parametrize(
    "dest", ["../f", "a/../../f", "/etc/passwd", ".", "", "a/..", pytest.param("{x}/../../f", id="by a value")]
)
def test_a_dest_that_leaves_the_work_directory_is_an_error(dest: str) -> None:
    definition = a_definition(uploads=[{**a_file("f"), "dest": dest}])

    with pytest.raises(RequestError, match=r"spec\.uploads\[0\]: .* is not inside the work directory"):
        definition.digests(sweeps.from_rows([ROW]))


def test_a_value_cannot_lead_out_of_the_work_directory() -> None:
    definition = a_definition(uploads=[a_file("f", dest="in/{x}")])

    with pytest.raises(RequestError, match=r"'in/\.\./\.\./f' is not inside the work directory"):
        definition.digests(sweeps.from_rows([ROW, {"x": "../../f", "y": ""}]))


@pytest.mark.parametrize(
    "uploads",
    [
        pytest.param([a_file("f", A), a_file("g", B, dest="f")], id="other content"),
        pytest.param([a_file("f", A), a_file("g", A, dest="f", executable=True)], id="another mode"),
        pytest.param([a_file("f", A), a_file("g", B, dest="./x/../f")], id="written differently"),
        pytest.param([a_file("1", A), a_file("g", B, dest="{x}")], id="for one row alone"),
    ],
)
def test_two_sources_for_one_dest_are_an_error(uploads) -> None:
    definition = a_definition(uploads=uploads)

    with pytest.raises(RequestError, match=r"spec\.uploads\[1\]: two different files would be put at"):
        definition.digests(sweeps.from_rows([ROW]))


@pytest.mark.parametrize(
    "uploads",
    [
        pytest.param([a_file("f", A), a_file("g", B, dest="f/g")], id="the file first"),
        pytest.param([a_file("g", B, dest="f/x/g"), a_file("f", A)], id="the folder first"),
    ],
)
def test_a_file_where_another_needs_a_folder_is_an_error(uploads) -> None:
    definition = a_definition(uploads=uploads)

    with pytest.raises(RequestError, match="'f' is a file and a folder at once"):
        definition.digests(sweeps.from_rows([ROW]))


@pytest.mark.parametrize("folder", ["..", "a/../..", "../x", "/tmp", "/"])
def test_a_working_directory_outside_is_an_error(folder: str) -> None:
    with pytest.raises(RequestError, match=r"spec\.workingDir: .* leaves the work directory"):
        a_definition(workingDir=folder)


@pytest.mark.parametrize("folder", [".", "a", "a/b", "./a", "a/../b", "a/.."])
def test_a_working_directory_inside_is_fine(folder: str) -> None:
    assert a_definition(workingDir=folder).define(ROW, 1).working_dir == folder


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        pytest.param({"command": ["run", "{z}"]}, r"spec\.command\[1\]", id="a word"),
        pytest.param({"command": "run {z}"}, r"spec\.command", id="a line"),
        pytest.param({"env": {"A": "{z}"}}, r"spec\.env\.A", id="env"),
        pytest.param({"uploads": [a_file("f"), a_file("{z}")]}, r"spec\.uploads\[1\]", id="src"),
        pytest.param({"uploads": [a_file("f", dest="{z}")]}, r"spec\.uploads\[0\]", id="dest"),
    ],
)
def test_an_unknown_parameter_is_an_error_that_says_where(spec, where) -> None:
    with pytest.raises(UnknownParameterError, match=rf"^{where}: no parameter named 'z'; there is: index, x, y"):
        a_definition(**spec)


def test_a_definition_knows_the_parameters_that_its_tasks_depend_on() -> None:
    assert a_definition(env={"A": "{index}"}, uploads=[a_file("f", dest="{y}")]).names == {"x", "y", "index"}


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["b", "a"], ["1", "ä"], id="two"),
        pytest.param(['"', "%s", "{x}"], ['"', "\\n\n", "%"], id="hostile"),
    ],
)
def test_a_row_is_recorded_as_json(columns, values) -> None:
    assert json.loads(row_writer(columns)(values)) == dict(zip(columns, values, strict=True))


# Spec


def test_a_spec_is_typed() -> None:
    document = with_defaults(
        {
            "apiVersion": "sparkles/v1",
            "kind": "Job",
            "metadata": {"name": "j"},
            "spec": {"command": ["run"], "timeout": "1h30m", "retries": {"limit": 2, "on": ["timeout"]},
                     "nodes": {"linger": "5m", "max": 4}, "resources": {"slots": 2}},
        }
    )  # fmt: skip

    spec = spec_of(document)

    assert (spec.timeout, spec.linger, spec.max_nodes, spec.slots) == (5400.0, 300.0, 4, 2)
    assert spec.retries == RetryPolicy(limit=2, on=frozenset({Reason.TIMEOUT}))
    assert (spec.image, spec.working_dir, list(spec.include), list(spec.exclude)) == (None, ".", ["**"], [])
