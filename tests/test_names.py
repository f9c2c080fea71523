"""Names: which jobs and tasks a user means."""

from __future__ import annotations

import pytest
from contracts.nouns import a_job

from sparkles import names
from sparkles.errors import RequestError

JOBS = [a_job(name) for name in ("fit-a", "fit-b", "other", "20190212-212815-bf0a")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("fit", ("fit", None), id="a job"),
        pytest.param("fit.3", ("fit", 3), id="a task"),
        pytest.param("LAST.12", ("LAST", 12), id="a task of the last job"),
        pytest.param("fit.0", ("fit.0", None), id="there is no task 0"),
        pytest.param("fit.", ("fit.", None), id="a dot alone"),
        pytest.param(".3", (".3", None), id="no job"),
        pytest.param("fit.x", ("fit.x", None), id="no number"),
    ],
)
def test_a_task_is_named_by_its_job_and_its_index(text, expected) -> None:
    assert names.split_task(text) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("other", ["other"], id="a name"),
        pytest.param("LAST", ["20190212-212815-bf0a"], id="LAST is the newest"),
        pytest.param("fit-*", ["fit-a", "fit-b"], id="a glob"),
        pytest.param("fit-[b]", ["fit-b"], id="a set"),
        pytest.param("?ther", ["other"], id="one character"),
        pytest.param("*", [job.name for job in JOBS], id="all"),
    ],
)
def test_a_pattern_stands_for_jobs(pattern, expected) -> None:
    assert [job.name for job in names.matching(pattern, JOBS)] == expected


@pytest.mark.parametrize(
    ("pattern", "jobs", "message"),
    [
        pytest.param("ftt-a", JOBS, "no job 'ftt-a' here; did you mean 'fit-a'", id="a slip"),
        pytest.param("zzzzz", JOBS, "no job 'zzzzz' here; 'sparkles status' lists the jobs", id="nothing like it"),
        pytest.param("zzz*", JOBS, r"no job 'zzz\*' here", id="a glob"),
        pytest.param("LAST", [], "no job 'LAST' here; there are no jobs", id="none at all"),
        pytest.param("OTHER", JOBS, "no job 'OTHER' here", id="capitals count"),
    ],
)
def test_a_name_that_nothing_has_is_an_error_that_helps(pattern, jobs, message) -> None:
    with pytest.raises(RequestError, match=message):
        names.matching(pattern, jobs)


def test_where_one_job_is_needed_a_pattern_may_stand_for_only_one() -> None:
    assert names.one("fit-a*", JOBS).name == "fit-a"
    with pytest.raises(RequestError, match=r"'fit-\*' stands for 2 jobs; name one: fit-a, fit-b"):
        names.one("fit-*", JOBS)


# Wholes

WHOLES = [
    *(a_job(name, whole="sample") for name in ("sample-getargs", "sample", "sample-gather")),
    a_job("other"),
    *(a_job(name, whole="w") for name in ("w-a", "w-b")),
]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("w", ["w-a", "w-b"], id="a workflow"),
        pytest.param("w-a", ["w-a"], id="a step"),
        pytest.param("sample", ["sample-getargs", "sample", "sample-gather"], id="a foreach"),
        pytest.param("sample-gather", ["sample-gather"], id="a phase"),
        pytest.param("LAST", ["w-a", "w-b"], id="LAST is the whole of the newest"),
    ],
)
def test_the_name_of_a_whole_stands_for_its_parts(pattern, expected) -> None:
    assert [job.name for job in names.matching(pattern, WHOLES)] == expected


def test_where_one_job_is_needed_a_foreach_is_the_job_that_has_its_name() -> None:
    assert names.one("sample", WHOLES).name == "sample"
    assert names.one("LAST", WHOLES[:3]).name == "sample"


def test_where_one_job_is_needed_a_workflow_is_none() -> None:
    with pytest.raises(RequestError, match=r"'w' stands for 2 jobs; name one: w-a, w-b"):
        names.one("w", WHOLES)


def test_the_name_of_a_whole_is_among_those_that_are_near() -> None:
    with pytest.raises(RequestError, match=r"did you mean 'sample'"):
        names.matching("smple", WHOLES)
