"""What a word that is being typed may become. The shells themselves are in cli/test_completion.py."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import click
import pytest
from click.shell_completion import get_completion_class
from conftest import listing
from contracts.nouns import a_job, a_task, put

from sparkles.backends.local import records
from sparkles.backends.local.state import SqliteState
from sparkles.cli import COMMANDS, COMPLETING, PURPOSES, candidates, main
from sparkles.model import JobState, TaskState

#: What help calls words that nothing is known of.
FREE = {"", "DEST_DIR", "EMAIL", "ID", "KEY=VALUE", "N", "NAME", "NAME=V,V,…", "NAME=VALUE", "N|P%", "PATTERN", "RE",
        "SHELL", "SIZE", "TIME", "TYPE", "WORDS"}  # fmt: skip


def completed(*words):
    """Return what the last of the words may become, as click asks for it."""
    *before, incomplete = words
    shell = get_completion_class("bash")(main, {}, "sparkles", COMPLETING)
    return shell.get_completions(before, incomplete)


def texts(*words):
    return [item.value for item in completed(*words)]


def kinds(*words):
    return [(item.type, item.value) for item in completed(*words)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home, and no configuration."""
    for name in ("SPARKLES_BACKEND", "SPARKLES_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SPARKLES_HOME", str(tmp_path / "sparkles"))
    monkeypatch.setattr(candidates, "_PATIENCE", {"local": 30.0, "gcp": 30.0})  # the machine may be busy
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    return tmp_path / "sparkles"


@pytest.fixture
def jobs(home):
    """Three jobs, of which two are parts of a whole, with six tasks."""
    with closing(SqliteState(home / "state.db")) as state:
        put(
            state,
            a_job("fit", submitted=1.0, state=JobState.FINISHED),
            a_job("all-one", whole="all", submitted=2.0),
            a_job("all-two", whole="all", submitted=3.0),
            a_task(1, job="fit", state=TaskState.SUCCEEDED),
            a_task(2, job="fit", state=TaskState.FAILED),
            a_task(10, job="fit", state=TaskState.KILLED),
            a_task(11, job="fit", state=TaskState.FAILED),
            a_task(1, job="all-one"),
            a_task(1, job="all-two"),
        )
    return home


def test_every_word_of_every_command_is_thought_of():
    params = [
        param
        for name in COMMANDS
        for param in main.get_command(click.Context(main), name).params
        if isinstance(param.type, type(click.STRING)) and not getattr(param, "hidden", False)
    ]
    known = {*candidates._ARGUMENTS, *candidates._OPTIONS}

    called = {param.metavar or (param.name.upper() if isinstance(param, click.Argument) else "") for param in params}
    assert called - FREE <= known
    assert {"JOB", "FILE", "EXPR"} <= called


def test_every_command_has_a_place_in_the_help():
    listed = [name for names in PURPOSES.values() for name in names]

    assert sorted(listed) == sorted(COMMANDS)


def test_commands_and_their_options_and_choices_are_completed(home):
    assert texts("s") == ["sub", "status", "scale", "setup"]
    assert texts("list", "--back") == ["--backend"]
    assert texts("list", "--backend", "") == ["local", "gcp"]
    assert texts("completion", "") == ["bash", "zsh", "fish"]
    assert texts("--de") == ["--debug"]


def test_files_are_left_to_the_shell(home):
    for words in (
        ["apply"], ["apply", "-f"], ["apply", "--values"], ["sub", "--params"], ["sub", "-u"], ["sub", "--save"],
        ["list", "--config"],
    ):  # fmt: skip
        assert kinds(*words, "jo") == [("file", "jo")], words
    assert kinds("fetch", "fit", "res") == [("dir", "res")]
    assert kinds("sub", "--cd", "da") == [("dir", "da")]


def test_a_list_of_files_is_completed_behind_its_sign(home, tmp_path):
    (tmp_path / "folder" / "lists").mkdir()
    for name in ("lists/one.txt", "lists/other.txt", "lists/.hidden", "lists/with space"):
        (tmp_path / "folder" / name).write_text("")

    assert texts("sub", "-u", "@l") == ["@lists/"]
    assert texts("sub", "-u", "@lists/") == ["@lists/one.txt", "@lists/other.txt"]
    assert texts("sub", "-u", "@lists/on") == ["@lists/one.txt"]


@pytest.mark.parametrize("words", [["echo", ""], ["python3", "-u", "fi"], ["sed", "-n"], ["sed", "--backend", ""]])
def test_behind_the_first_word_of_a_command_all_words_are_its_own(home, words):
    assert kinds("sub", "-n", "fit", *words) == [("file", words[-1])]


def test_names_of_jobs_are_completed_the_newest_first(jobs):
    assert texts("watch", "") == ["all", "all-two", "all-one", "fit", "LAST"]
    assert texts("watch", "al") == ["all", "all-two", "all-one"]
    assert texts("kill", "fit", "L") == ["LAST"]
    assert texts("sub", "--needs", "f") == ["fit"]
    assert texts("workflow", "") == ["all", "all-two", "all-one", "LAST"]
    assert [item.help for item in completed("watch", "f")] == ["finished"]


def test_tasks_are_completed_behind_the_dot_those_that_failed_first(jobs):
    assert texts("logs", "fit.") == ["fit.2", "fit.11", "fit.10", "fit.1"]
    assert texts("why", "fit.1") == ["fit.11", "fit.10", "fit.1"]
    assert texts("kill", "fit.2", "all-one.") == ["all-one.1"]
    assert texts("logs", "nothing.") == []
    assert texts("watch", "fit.") == []


def test_of_a_job_with_many_tasks_some_are_offered(home):
    with closing(SqliteState(home / "state.db")) as state:
        put(state, a_job("j"), *(a_task(index) for index in range(1, 500)), a_task(500, state=TaskState.FAILED))

    offered = texts("logs", "j.")

    assert offered[0] == "j.500"
    assert len(offered) == 100
    assert texts("logs", "LAST.500") == ["LAST.500"]


def test_two_jobs_or_a_file_can_be_compared(jobs, tmp_path):
    (tmp_path / "folder" / "fit.yaml").write_text("")

    assert texts("diff", "fi") == ["fit", "fit.yaml"]


def test_fields_of_manifests_are_completed_step_by_step(home):
    assert texts("explain", "spec.no")[:2] == ["spec.nodes", "spec.nodes.max"]
    assert texts("explain", "nodes.ma") == ["nodes.max", "nodes.maxLife"]
    assert texts("explain", "workflow.spec.st")[0] == "workflow.spec.steps"
    assert all(text.count(".") <= 1 for text in texts("explain", ""))


def test_every_field_that_is_offered_can_be_explained():
    from sparkles.manifest import explain, known_fields

    for path in known_fields():
        assert explain(path)


def test_the_fields_of_filters_are_completed(home):
    assert texts("list", "--filter", "sta") == ["state", "started"]
    assert texts("retry", "--filter", "par") == ["params."]
    assert texts("list", "--sort", "mem") == ["memory"]
    assert texts("list", "--fields", "task,sta") == ["task,state", "task,started"]
    assert texts("list", "--fields", "al") == ["all"]


# Without a trace


@pytest.mark.parametrize("words", [["logs", ""], ["logs", "fit."], ["workflow", ""], ["watch", "--local", ""]])
def test_without_a_home_nothing_is_offered_or_made(home, words):
    assert texts(*words) == []

    assert not home.exists()


def test_a_store_is_left_as_it_is(jobs):
    before = listing(jobs)

    texts("logs", "")
    texts("logs", "fit.")

    assert listing(jobs) == before


@pytest.mark.parametrize("version", [1, records.SCHEMA_VERSION + 1])
def test_a_store_of_another_version_is_not_brought_up_to_date(jobs, version):
    with closing(sqlite3.connect(jobs / "state.db")) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before = listing(jobs)

    assert texts("logs", "") == []

    assert listing(jobs) == before


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_what_is_no_store_is_left_as_it_is(home, content):
    home.mkdir()
    (home / "state.db").write_bytes(content)

    assert texts("logs", "") == []

    assert (home / "state.db").read_bytes() == content


def test_a_configuration_that_cannot_be_read_offers_nothing(jobs, tmp_path):
    (tmp_path / "folder" / ".sparkles.yaml").write_text("backend: [")

    assert texts("logs", "") == []


def test_flags_that_exclude_each_other_offer_nothing(jobs):
    assert texts("logs", "--local", "--backend", "gcp", "") == []


def test_commands_that_are_not_there_offer_nothing(home):
    assert texts("report-to", "x") == []


def test_nobody_waits_for_a_store_that_does_not_answer(jobs, monkeypatch):
    answers = threading.Event()

    class Silent:
        def jobs(self):
            answers.wait()
            return []

        def close(self):
            answers.set()

    monkeypatch.setattr(candidates, "_PATIENCE", {"local": 0.1})
    monkeypatch.setattr(candidates, "open_unchanged", lambda _: Silent())

    assert texts("logs", "") == []

    assert not answers.is_set()
    answers.set()
