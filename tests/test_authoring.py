"""Authoring: what the flags of `sub` say, as a document."""

from __future__ import annotations

from typing import Any

import pytest

from sparkles import authoring
from sparkles.authoring import Flags
from sparkles.errors import RequestError

FILES = {"fit.py", "run me.sh", "^odd", "dir"}


def a_document(*command: str, **flags: Any) -> dict[str, Any]:
    return authoring.document(Flags(name="j", command=command, **flags), is_file=FILES.__contains__)


def spec(*command: str, **flags: Any) -> dict[str, Any]:
    return a_document(*command, **flags)["spec"]


def test_a_command_alone_is_a_whole_document() -> None:
    assert a_document("echo", "hello", "world") == {
        "apiVersion": "sparkles/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"command": ["echo", "hello", "world"]},
    }


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        pytest.param({"image": "r-base"}, {"image": "r-base"}, id="-i"),
        pytest.param({"uploads": ["a", "b:c", "@l"]}, {"uploads": ["a", "b:c", "@l"]}, id="-u"),
        pytest.param({"uploads": ["a", "a"]}, {"uploads": ["a"]}, id="-u twice"),
        pytest.param({"seq": 3}, {"parameters": {"seq": 3}}, id="--seq"),
        pytest.param({"params": "p.csv"}, {"parameters": {"csv": "p.csv"}}, id="--params"),
        pytest.param(
            {"matrix": ["x=1,2", "y=a"]}, {"parameters": {"matrix": {"x": ["1", "2"], "y": ["a"]}}}, id="--matrix"
        ),
        pytest.param({"matrix": ["x=a=b,"]}, {"parameters": {"matrix": {"x": ["a=b", ""]}}}, id="--matrix with signs"),
        pytest.param({"env": ["A=1", "B=x=y", "C="]}, {"env": {"A": "1", "B": "x=y", "C": ""}}, id="--env"),
        pytest.param({"cd": "sub"}, {"workingDir": "sub"}, id="--cd"),
        pytest.param({"machine_type": "n1"}, {"resources": {"machineType": "n1"}}, id="-m"),
        pytest.param({"slots": 4}, {"resources": {"slots": 4}}, id="--slots"),
        pytest.param({"nodes": 7}, {"nodes": {"max": 7}}, id="--nodes"),
        pytest.param({"spot": True}, {"nodes": {"provisioning": "spot"}}, id="--spot"),
        pytest.param({"timeout": "2h"}, {"timeout": "2h"}, id="--timeout"),
        pytest.param({"retries": 0}, {"retries": {"limit": 0}}, id="--retries 0 is said"),
        pytest.param({"results": ["*.csv"]}, {"outputs": {"include": ["*.csv"]}}, id="--results"),
        pytest.param({"ignore": ["*.tmp"]}, {"outputs": {"exclude": ["*.tmp"]}}, id="--ignore"),
        pytest.param({"defaults": {"image": "d", "machineType": "m"}},
                     {"image": "d", "resources": {"machineType": "m"}}, id="the configuration's defaults"),
        pytest.param({"defaults": {"image": "d"}, "image": "i"}, {"image": "i"}, id="a flag before a default"),
    ],
)  # fmt: skip
def test_a_flag_sets_a_field(flags, field) -> None:
    assert spec("echo", **flags) == {"command": ["echo"], **field}


def test_labels_are_metadata() -> None:
    assert a_document("echo", labels=["a=1", "b=2"])["metadata"] == {"name": "j", "labels": {"a": "1", "b": "2"}}


@pytest.mark.parametrize(
    ("words", "command", "uploads"),
    [
        pytest.param(["echo", "a  b", "'c'", ""], ["echo", "a  b", "'c'", ""], [], id="words stay as they are"),
        pytest.param(["sort a | uniq > b"], "sort a | uniq > b", [], id="one word with white space is a line"),
        pytest.param(["true;false"], "true;false", [], id="one word with an operator is a line"),
        pytest.param(["make"], ["make"], [], id="one plain word is a program"),
        pytest.param(["python", "^fit.py"], ["python", "fit.py"], ["fit.py"], id="^F"),
        pytest.param(["^fit.py", "^dir"], ["fit.py", "dir"], ["fit.py", "dir"], id="several"),
        pytest.param(["a", "^fit.py", "^fit.py"], ["a", "fit.py", "fit.py"], ["fit.py"], id="twice"),
        pytest.param(["grep", "^none"], ["grep", "^none"], [], id="^ without such a file"),
        pytest.param(["grep", "^^fit.py"], ["grep", "^fit.py"], [], id="^^ is a ^"),
        pytest.param(["grep", "^^odd"], ["grep", "^odd"], [], id="^^ even if a file is called like the rest"),
        pytest.param(["grep", "^"], ["grep", "^"], [], id="^ alone"),
        pytest.param(["cat", "^run me.sh"], ["cat", "run me.sh"], ["run me.sh"], id="a name with a space"),
    ],
)
def test_the_words_of_a_command(words, command, uploads) -> None:
    made = spec(*words)

    assert made["command"] == command
    assert made.get("uploads", []) == uploads


def test_carried_files_come_after_those_of_u() -> None:
    assert spec("python", "^fit.py", "^dir", uploads=["x", "dir"])["uploads"] == ["x", "dir", "fit.py"]


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        pytest.param([], {}, "there is no command to run; for example: sparkles sub echo", id="no command"),
        pytest.param(
            ["run me.sh"], {}, r"'run me\.sh' reads as a line .* is also a file .* \['run me\.sh'\]", id="line"
        ),
        pytest.param(["x"], {"seq": 1, "params": "p"}, "--seq and --params exclude each other", id="two sources"),
        pytest.param(["x"], {"seq": 0, "params": "p"}, "--seq and --params exclude each other", id="--seq 0 is one"),
        pytest.param(
            ["x"], {"seq": 1, "params": "p", "matrix": ["x=1"]}, "--seq and --params and --matrix", id="three"
        ),
        pytest.param(["x"], {"env": ["A"]}, "--env A: expected NAME=VALUE", id="no sign"),
        pytest.param(["x"], {"env": ["=1"]}, "--env =1: expected NAME=VALUE", id="no name"),
        pytest.param(["x"], {"env": ["A=1", "A=2"]}, "--env A=2: A is given twice", id="twice"),
        pytest.param(["x"], {"labels": ["a"]}, "--label a: expected KEY=VALUE", id="label"),
        pytest.param(["x"], {"matrix": ["a"]}, "--matrix a: expected NAME=VALUE,VALUE,…", id="matrix"),
    ],
)
def test_flags_that_cannot_be_are_an_error(command, flags, message) -> None:
    with pytest.raises(RequestError, match=message):
        spec(*command, **flags)


def test_a_manifest_that_is_saved_elsewhere_names_the_same_files() -> None:
    job = {"metadata": {"name": "j"}, "spec": {
        "command": ["x"],
        "uploads": ["fit.py", "sub/a:b", "/abs", "/abs:c", "gs://b/o"],
        "parameters": {"csv": "p.csv"},
    }}  # fmt: skip

    rebased = authoring.rebased(job, "../..")

    assert rebased["spec"]["uploads"] == [
        {"src": "../../fit.py", "dest": "fit.py"},
        {"src": "../../sub/a", "dest": "b"},
        "/abs",
        "/abs:c",
        "gs://b/o",
    ]
    assert rebased["spec"]["parameters"] == {"csv": "../../p.csv"}
    assert job["spec"]["uploads"][0] == "fit.py"


def test_a_list_cannot_be_named_from_elsewhere() -> None:
    with pytest.raises(RequestError, match="--save: -u @files: save the manifest beside the list"):
        authoring.rebased({"spec": {"uploads": ["@files"]}}, "..")


# Scatters


def a_scatter(*command: str, **flags: Any) -> dict[str, Any]:
    return a_document(*command, foreach=True, **flags)


def test_the_flags_of_a_scatter_become_the_fields_of_a_foreach() -> None:
    found = a_scatter(
        "fit.py", "2.0", "--seq", image="python", uploads=["G"], foreach_batch_size=3, getargs_function="rows",
        foreach_function="score", no_gather=True, interpreter="python3 -O", nodes=2,
    )  # fmt: skip

    assert found == {
        "apiVersion": "sparkles/v1",
        "kind": "Foreach",
        "metadata": {"name": "j"},
        "spec": {
            "image": "python",
            "script": "fit.py",
            "args": ["2.0", "--seq"],
            "functions": {"getargs": "rows", "foreach": "score", "gather": "none"},
            "batchSize": 3,
            "interpreter": ["python3", "-O"],
            "uploads": ["G"],
            "nodes": {"max": 2},
        },
    }


def test_a_scatter_that_says_nothing_but_its_script_is_its_script() -> None:
    assert a_scatter("fit.py")["spec"] == {"script": "fit.py"}
