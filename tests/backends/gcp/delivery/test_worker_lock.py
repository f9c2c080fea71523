"""The libraries of the lock are all that the program needs on a node, wherever it may get to there."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import engine
import pytest
from conftest import until

from sparkles.backends.gcp.delivery.program import ProgramArchive

ROOT = Path(__file__).resolve().parents[4]

#: Where a node's process begins.
START = "sparkles.node"

#: What could be imported there, and never is: what is stored has been validated by whoever stored it.
NEVER = {"jsonschema"}

#: Python runs it at the start of each process. In that of a node there is nothing of these, and a file says so.
WITHOUT = f"""
import pathlib, sys
if any("{START}" in word for word in sys.orig_argv):
    sys.modules.update(dict.fromkeys({sorted(NEVER)}))
    pathlib.Path(__file__).with_name("done").touch()
"""


def module(name: str) -> Path | None:
    path = ROOT / name.replace(".", "/")
    return next((each for each in (path / "__init__.py", path.with_suffix(".py")) if each.is_file()), None)


def imports(tree: ast.AST) -> Iterator[str]:
    """Name what a module imports, at once or some day, but for what only type checkers read."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield str(child.module)
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from imports(child)


def reachable() -> tuple[set[str], set[str]]:
    """Return the modules of sparkles that a node can reach, and what of others these import."""
    found, others, left = set[str](), set[str](), [START]
    while left:
        name = left.pop()
        path = module(name) if name.partition(".")[0] == "sparkles" else None
        if path and name not in found:
            found.add(name)
            left += [name.rpartition(".")[0] or name, *imports(ast.parse(path.read_text()))]
        elif not name.startswith("sparkles"):
            others.add(name)
    foreign = {name for name in others if name.partition(".")[0] not in {*sys.stdlib_module_names, *NEVER}}
    return found, foreign


def test_a_node_reaches_no_command_and_no_template():
    found, _ = reachable()

    assert "sparkles.backends.gcp.vms.node" in found
    assert [name for name in found if name.startswith(("sparkles.cli", "sparkles.templating"))] == []


IMPORTER = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:  # a name in a module, perhaps
        parent, _, last = name.rpartition(".")
        getattr(importlib.import_module(parent), last)
print(sys.version_info[:2])
"""


@pytest.fixture(scope="module")
def container(fetched):
    """A container of the stock image, with the program and its libraries as on a node."""
    api = engine.connection()
    if not engine.has_image(api, "sparkles-test/python"):
        pytest.skip("needs the image sparkles-test/python: bash tests/images/python")
    started = api.create_container("sparkles-test/python", ["sleep", "600"], host_config=api.create_host_config())["Id"]
    try:
        api.start(started)
        program = ProgramArchive()
        files = {"program.zip": program.path, "wheels.zip": fetched("amd64")}
        api.put_archive(
            started, "/srv", engine.archive({name: path.read_bytes() for name, path in files.items()}, folders={})
        )
        yield lambda *words: run(api, started, *words)
    finally:
        api.remove_container(started, force=True)


def run(api, container, *words):
    started = api.exec_create(container, list(words), workdir="/srv")["Id"]
    said = api.exec_start(started).decode()
    assert api.exec_inspect(started)["ExitCode"] == 0, said
    return said


INSTALL = """
python -m zipfile -e program.zip program && python -m zipfile -e wheels.zip wheels &&
python -m pip install -q --root-user-action ignore --no-index --find-links wheels --no-deps --require-hashes \
    --no-compile --target libraries -r program/sparkles/templates/worker.lock
"""


def test_all_that_a_node_can_reach_is_there_with_no_other_libraries_than_the_lock_s(container):
    own, foreign = reachable()
    container("sh", "-c", INSTALL)

    said = container("env", "PYTHONPATH=program:libraries", "python", "-c", IMPORTER, *sorted(own | foreign))

    assert said.strip() == "(3, 13)"


def test_a_node_begins_a_job_that_waited_without_what_is_never_imported(user):
    user.write("without/sitecustomize.py", WITHOUT)
    user.env["PYTHONPATH"] = f"{user.folder / 'without'}{os.pathsep}{ROOT}"
    gate = user.folder / "gate"
    user.write("jobs.yaml", JOBS.format(line=until(gate)))

    user.ok("apply", "jobs.yaml")
    gate.touch()

    user.wait_for("use", state="finished", succeeded=2)
    assert user.log("use.2") == "data b\n"
    assert (user.folder / "without" / "done").exists()


JOBS = """
apiVersion: sparkles/v1
kind: Job
metadata: {{name: use}}
spec:
  needs: [make]
  command: "echo $(cat in.txt) {{y}}"
  parameters: {{csv: "{{results.make}}/1/rows.csv"}}
  uploads: ["{{results.make}}/1/in.txt:in.txt"]
---
apiVersion: sparkles/v1
kind: Job
metadata: {{name: make}}
spec:
  command: "{line}; printf 'y\\\\na\\\\nb\\\\n' > rows.csv; echo data > in.txt"
"""
