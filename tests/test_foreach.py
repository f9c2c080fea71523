"""A Foreach becomes the three jobs that call its functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkles import foreach, manifest, placeholders


def a_foreach(name="sample", **spec):
    return {
        "apiVersion": "sparkles/v1",
        "kind": "Foreach",
        "metadata": {"name": name, "labels": {"team": "a"}},
        "spec": {"script": "sample-scatter.py", **spec},
    }


def jobs(**spec):
    document = a_foreach(**spec)
    manifest.check(document, source="f.yaml", base=Path())
    found = foreach.jobs(document)
    for job in found:
        manifest.check(job, source="f.yaml", base=Path())
    return found


def commands(**spec):
    return [job["spec"]["command"] for job in jobs(**spec)]


def test_there_is_a_job_for_each_phase_which_knows_its_whole():
    assert [job["metadata"] for job in jobs()] == [
        {"name": name, "labels": {"team": "a"}, "partOf": {"kind": "Foreach", "name": "sample", "part": part}}
        for name, part in [("sample-getargs", "getargs"), ("sample", "foreach"), ("sample-gather", "gather")]
    ]


def test_each_phase_calls_its_function():
    assert commands(args=["2.0"]) == [
        ["python3", ".foreach/run.py", "getargs", "sample-scatter.py", "get_foreach_args", "1", "2.0"],
        ["python3", ".foreach/run.py", "foreach", "sample-scatter.py", "foreach", "{key}"],
        ["python3", ".foreach/run.py", "gather", "sample-scatter.py", "gather"],
    ]


def test_functions_may_have_other_names_and_elements_may_be_taken_by_the_batch():
    functions = {"getargs": "scatter", "foreach": "fit", "gather": "merge"}

    assert [command[4:] for command in commands(functions=functions, batchSize=10)] == [
        ["scatter", "10"],
        ["fit", "{key}"],
        ["merge"],
    ]


@pytest.mark.parametrize("nothing", ["none", "null"])
def test_without_a_function_for_it_nothing_is_gathered(nothing):
    assert [job["metadata"]["name"] for job in jobs(functions={"gather": nothing})] == ["sample-getargs", "sample"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, ["python3", ".foreach/run.py"]),
        ({"image": "python:2.7-alpine"}, ["python", ".foreach/run.py"]),
        ({"script": "fit.r"}, ["Rscript", ".foreach/run.R"]),
        ({"script": "fit.R", "image": "r-base:3.5.2"}, ["Rscript", ".foreach/run.R"]),
        ({"interpreter": ["python3", "-O"]}, ["python3", "-O", ".foreach/run.py"]),
    ],
)
def test_the_script_and_the_image_decide_what_runs_it(spec, words):
    assert all(command[: len(words)] == words for command in commands(**spec))


def test_the_results_of_one_phase_are_the_files_of_the_next():
    uploads = [job["spec"]["uploads"] for job in jobs(uploads=["data.csv"])]

    own = [
        {"src": "{sparkles.templates}/foreach.py", "dest": ".foreach/run.py"},
        {"src": "sample-scatter.py", "dest": "sample-scatter.py"},
    ]
    made = "{results.sample-getargs}/1/.foreach"
    extra = {"src": f"{made}/extra.pkl", "dest": ".foreach/extra.pkl"}
    assert uploads == [
        ["data.csv", *own],
        ["data.csv", *own, {"src": f"{made}/elements/{{batch}}", "dest": ".foreach/elements"}, extra],
        [
            "data.csv",
            *own,
            {"src": f"{made}/batches.csv", "dest": ".foreach/batches.csv"},
            extra,
            {"src": "{results.sample}/*/.foreach/result.pkl", "dest": ".foreach/results"},
        ],
    ]


def test_results_of_r_are_called_as_r_calls_them():
    assert "{results.sample}/*/.foreach/result.rds" in str(jobs(script="fit.r")[2]["spec"]["uploads"])


def test_each_phase_waits_for_those_before_it_and_for_what_the_whole_needs():
    assert [job["spec"]["needs"] for job in jobs(needs=["prepare"])] == [
        ["prepare"],
        ["sample-getargs", "prepare"],
        ["sample-getargs", "sample", "prepare"],
    ]


def test_what_the_phases_leave_for_each_other_is_kept_whatever_the_outputs_say():
    outputs = {"include": ["*.csv"], "exclude": ["*.pkl"]}

    assert all(job["spec"]["outputs"] == {**outputs, "always": [".foreach/"]} for job in jobs(outputs=outputs))


def test_the_fields_of_a_job_hold_for_all_phases():
    fields = {"nodes": {"max": 3}, "retries": {"limit": 1}, "timeout": "1h", "image": "i"}

    assert all(fields.items() <= job["spec"].items() for job in jobs(**fields))


@pytest.mark.parametrize(
    ("spec", "env"),
    [
        ({}, {"PYTHONHASHSEED": "0"}),
        ({"env": {"A": "1"}}, {"PYTHONHASHSEED": "0", "A": "1"}),
        ({"env": {"PYTHONHASHSEED": "7"}}, {"PYTHONHASHSEED": "7"}),
        ({"script": "fit.r"}, None),
        ({"script": "fit.r", "env": {"A": "1"}}, {"A": "1"}),
    ],
)
def test_equal_sets_of_python_are_in_the_same_order_in_all_phases(spec, env):
    assert all(job["spec"].get("env") == env for job in jobs(**spec))


@pytest.mark.parametrize("text", ["{x}", "{{x}}", "{index}", "a b", "", "{0} {a.b}", "é\n"])
def test_arguments_arrive_as_they_are(text):
    word = commands(args=[text])[0][-1]

    assert placeholders.parse(word, {"index"}, "spec.command").literals == (text,)


@pytest.mark.parametrize(
    ("script", "place"),
    [("./scripts/fit.py", "scripts/fit.py"), ("../fit.py", "fit.py"), ("/home/me/fit.py", "fit.py")],
)
def test_a_script_lands_where_it_is_here(script, place):
    (getargs, *_) = jobs(script=script)

    assert getargs["spec"]["command"][3] == place
    assert getargs["spec"]["uploads"][1] == {"src": script, "dest": place}


def test_braces_in_the_name_of_a_script_are_no_placeholders():
    (getargs, *_) = jobs(script="{x}.py")

    assert getargs["spec"]["command"][3] == "{{x}}.py"
    assert getargs["spec"]["uploads"][1] == {"src": "{{x}}.py", "dest": "{{x}}.py"}
