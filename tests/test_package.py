"""The package as a whole: what starting it loads, and what its parts may use."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import sparkles
from sparkles.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[1]

#: What takes long to load, and is not needed by everyone.
HEAVY = {"docker", "google", "jinja2", "jsonschema", "rich"}

PURE = [
    "authoring", "canonical", "changes", "compile", "digests", "errors", "filters", "image_name", "indices",
    "lifecycle", "manifest", "model", "names", "pace", "placeholders", "plan", "plan_text", "quantities", "references",
    "shell_line", "sight", "spec", "staffing", "sweep",
]  # fmt: skip


def loaded(*words, user):
    """Return the top-level names of all modules that a command loads, and ours in full."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "sparkles", *words], cwd=user.folder, env=user.environment(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    names = {line.rpartition("|")[2].strip() for line in lines}
    return {name if name.startswith("sparkles.") else name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "words", [["--help"], ["version"], ["status"], ["config"], ["sub", "--help"], ["apply", "--help"]], ids=" ".join
)
def test_starting_loads_nothing_heavy(user, words):
    found = loaded(*words, user=user)

    assert "click" in found
    assert found & HEAVY == set()


@pytest.mark.parametrize("environment", [{}, {"SPARKLES_BACKEND": "local"}], ids=["by default", "by choice"])
def test_at_home_gcloud_s_files_are_not_even_thought_of(user, environment):
    user.env |= environment

    assert "configparser" not in loaded("status", user=user)
    assert "configparser" in loaded("config", user=user)


def test_who_looks_at_home_loads_nothing_about_machines(user):
    parts = {f"sparkles.{name}" for name in ("machine", "spec", "staffing", "startup", "setup", "validate")}

    assert loaded("status", user=user) & parts == set()


@pytest.mark.parametrize("command", [["echo", "hello world"], ["sleep", "1"]], ids=" ".join)
def test_a_submission_loads_nothing_heavy(user, command):
    assert loaded("sub", *command, user=user) & HEAVY == set()


@pytest.mark.parametrize(("name", "heavy"), [("job.yaml", set()), ("job.yaml.j2", {"jinja2"})])
@pytest.mark.parametrize("words", [["apply", "--dry-run"], ["apply"], ["apply", "--render"]], ids=" ".join)
def test_only_a_template_loads_the_template_engine(user, words, name, heavy):
    user.write(name, "apiVersion: sparkles/v1\nkind: Job\nmetadata: {name: j}\nspec: {command: [true]}\n")

    assert loaded(*words, name, user=user) & HEAVY == heavy


def test_status_makes_no_file(user):
    user.ok("status")

    assert not user.sparkles_home.exists()


def test_a_command_s_line_in_the_list_is_the_first_line_of_its_help():
    context = click.Context(main)
    first_lines = {name: inspect.cleandoc(main.get_command(context, name).help).partition("\n")[0] for name in COMMANDS}

    assert first_lines == {name: line for name, (_, line) in COMMANDS.items()}


def test_the_pure_core_loads_no_library_for_input_and_output():
    # Each alone, in a process of its own; warm modules of this test's would hide what it loads.
    program = (
        f"import sys, sparkles.{', sparkles.'.join(PURE)}\n"
        "print(*sorted({'subprocess', 'socket', 'sqlite3', 'click', 'yaml', 'jsonschema'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert done.stdout.split() == []


def test_the_version_is_the_package_s(user):
    assert user.ok("version") == f"sparkles {sparkles.__version__}\n"


@pytest.mark.parametrize(("required", "outcome"), [("", "1 skipped"), ("all", "1 failed")])
def test_a_test_that_is_skipped_fails_where_all_are_required(tmp_path, required, outcome):
    (tmp_path / "test_it.py").write_text("import pytest\n\ndef test_it():\n    pytest.skip('no docker')\n")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path), "-p", "conftest", "-ra", "."],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "SPARKLES_TEST_REQUIRE": required},
    )  # fmt: skip

    assert outcome in done.stdout, done.stdout
    assert "no docker" in done.stdout
