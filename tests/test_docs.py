"""The documentation is true: its references are fresh, its links lead somewhere, its sessions are what happens."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest
from conftest import eventually

from sparkles.cli import COMMANDS, main
from sparkles.manifest import describe

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])

#: Pages with sessions.
SESSIONS = [
    "docs/images.md",
    "README.md",
    *(
        f"docs/{page}.md"
        for page in (
            "changing-jobs",
            "configuration",
            "foreach",
            "getting-started",
            "guards",
            "lists",
            "logs",
            "pipelines",
            "templates",
            "workflows",
        )
    ),
]

#: A marked block of a page: its mark, and what is in it.
BLOCK = re.compile(r"^<!-- (?P<mark>run|file: (?P<file>\S+)) -->\n```\w*\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)

#: Flags of `sub` that set no field of a manifest; DESIGN §8 lists them.
OF_THE_INVOCATION = {
    "--backend",
    "--local",
    "--config",
    "--no-wait",
    "--dry-run",
    "--save",
    "--rerun",
    "--output",
    "--force",
    "--yes",
    "--start-at",
}

#: Those that say that a field is not what it usually is, which their help says in their own words.
OF_THEIR_OWN = {"--foreach", "--no-gather"}  # fmt: skip

#: Flag of `sub` → the field that it sets.
FIELDS = {
    "--name": "metadata.name",
    "--label": "metadata.labels",
    "--image": "spec.image",
    "--upload": "spec.uploads",
    "--seq": "spec.parameters.seq",
    "--params": "spec.parameters.csv",
    "--matrix": "spec.parameters.matrix",
    "--env": "spec.env",
    "--cd": "spec.workingDir",
    "--machine-type": "spec.resources.machineType",
    "--slots": "spec.resources.slots",
    "--memory": "spec.resources.memory",
    "--nodes": "spec.nodes.max",
    "--spot": "spec.nodes.provisioning",
    "--timeout": "spec.timeout",
    "--needs": "spec.needs",
    "--retries": "spec.retries.limit",
    "--fail-fast": "spec.failFast.maxFailures",
    "--canary": "spec.canary",
    "--results": "spec.outputs.include",
    "--ignore": "spec.outputs.exclude",
    "--foreach-batch-size": "foreach.spec.batchSize",
    "--getargs-function": "foreach.spec.functions.getargs",
    "--foreach-function": "foreach.spec.functions.foreach",
    "--gather-function": "foreach.spec.functions.gather",
    "--interpreter": "foreach.spec.interpreter",
}


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Generated pages


def test_the_generated_pages_are_fresh():
    assert generator().run(["--check"]) == 0, "run: python docs/generate.py"


def test_a_stale_page_is_found(monkeypatch, capsys):
    module = generator()
    monkeypatch.setattr(module, "pages", lambda: {ROOT / "docs" / "cli.md": "something else"})

    assert module.run(["--check"]) == 1

    assert "docs/cli.md is stale" in capsys.readouterr().err


# Links


def anchors(page):
    """Return the anchors of a page's headings, as they are made on the web."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)]+)\)", prose):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_leads_to_every_page():
    readme = (ROOT / "README.md").read_text()

    for page in PAGES:
        assert page.name == "README.md" or f"]({page.relative_to(ROOT)})" in readme


def test_the_glossary_is_in_order():
    words = re.findall(r"^\*\*([^*]+)\*\*", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)

    assert words == sorted(words)


def test_the_architecture_has_a_word_on_every_module():
    page = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "sparkles"
    modules = [
        *(path.stem for path in package.glob("[a-z]*.py")),
        *(path.parent.name for path in package.glob("*/__init__.py")),
        *(
            path.stem
            for folder in ("worker", "backends/local", "backends/docker", "manifest", "plan", "templating")
            for path in package.glob(f"{folder}/[a-z]*.py")
        ),
    ]

    missing = [name for name in modules if not re.search(rf"[`/]{name}[`/.]", page)]
    assert missing == []


# Commands


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    command = main.get_command(click.Context(main), name)

    assert re.search(rf"\n *Examples?:\n +sparkles {name}\b", command.help)
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, option.name
            assert option.help.endswith("."), option.name


def test_the_help_of_a_flag_of_sub_is_the_description_of_its_field():
    command = main.get_command(click.Context(main), "sub")
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    given = {option.opts[-1]: option.help for option in options}

    of_fields = {flag: words for flag, words in given.items() if flag not in OF_THE_INVOCATION | OF_THEIR_OWN}
    assert of_fields == {flag: describe(field) for flag, field in FIELDS.items()}


# Sessions


def as_printed(text):
    """Return output without what differs from run to run: times, generated names, progress, the width of columns."""
    lines = [line for line in text.splitlines() if not line.startswith("tasks: ")]
    text = "\n".join(re.sub(r" {2,}", " ", line).rstrip() for line in lines)
    text = re.sub(r"\[\d\d:\d\d:\d\d\]", "[TIME]", text)
    text = re.sub(r"\b\d{8}-\d{6}-[0-9a-f]{4}\b", "NAME", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", "DATE", text)
    text = re.sub(r"\b\d+\.\d+ DATE (-|\d+)", "SECONDS DATE MEMORY", text)
    text = re.sub(r"\(\d{5,} bytes\) out of", "(MANY bytes) out of", text)  # the runner of foreach is among them
    return re.sub(r"( files \()[\d.]+ \w+(?=.* copied to)", r"\1SOME bytes", text).strip()


def steps(session):
    """Yield (command, what it prints) of a console session."""
    for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, printed = step.partition("\n")
        yield command, printed


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_of_a_page_is_what_happens(user, name, request):
    if "-i r-base" in (ROOT / name).read_text():
        request.getfixturevalue("r_base")
    script = user.home / "bin" / "sparkles"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sparkles "$@"\n')
    script.chmod(0o755)
    environment = user.environment()
    environment["PATH"] = f"{script.parent}:{environment['PATH']}"
    environment["LOGNAME"] = "ann"
    page = (ROOT / name).read_text()
    code = 0

    for block in BLOCK.finditer(page):
        if block["file"]:
            user.write(block["file"], block["text"])
            continue
        for command, printed in steps(block["text"]):
            done = subprocess.run(
                ["bash", "-c", f"(exit {code}); {command}"], cwd=user.folder, env=environment, timeout=60,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            code = done.returncode
            shown = done.stdout.replace(str(user.folder), "/home/ann/fits")
            assert as_printed(shown) == as_printed(printed), command


def test_the_sessions_are_found():
    for name in SESSIONS:
        page = (ROOT / name).read_text()
        assert len(BLOCK.findall(page)) == page.count("```console") + page.count("<!-- file: ")


# What docs/local.md says


def test_things_are_where_the_page_on_this_machine_says(user):
    page = (ROOT / "docs" / "local.md").read_text()
    user.write("in.txt", "x")
    # This file has been as it is for a while: hashes of others are not kept.
    user.ok("sub", "-n", "j", "-u", "in.txt", "-u", __file__, "sh", "-c", "echo out; echo err >&2; echo y > made.txt")

    places = re.findall(r"^\| `([^`]+)` \|", page.partition("## One node")[0], re.MULTILINE)
    assert places
    for place in places:
        found = list(
            user.sparkles_home.glob(re.sub(r"<index>", "1", place.replace("<job>", "j").replace("<node>", "*")))
        )
        assert found, place
    assert stat.S_IMODE(user.sparkles_home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in user.sparkles_home.glob("environments/*")} == {0o600}
    assert sorted(user.result("j", 1).splitlines()) == [b"err", b"out"]
    assert sorted(path.name for path in (user.sparkles_home / "objects/j/1").iterdir()) == [
        "made.txt",
        "result.json",
        "stdout.txt",
    ]


def test_memory_below_the_worker_s_own_is_unknown(user):
    user.ok("sub", "-n", "small", "true")
    user.ok("sub", "-n", "large", sys.executable, "-c", "x = bytearray(200_000_000)")

    (small,), (large,) = user.rows("list", "small"), user.rows("list", "large")
    assert small["memory"] is None
    assert large["memory"] > 200_000_000
    assert user.ok("list", "small").splitlines()[1].endswith("  -")


def test_a_killed_node_is_noticed_by_the_next_command_that_waits(user):
    user.ok("sub", "-n", "j", "--no-wait", "sh", "-c", "echo attempt; sleep 2")
    eventually(lambda: user.job("j")["claimed"])
    (node,) = user.nodes()

    os.kill(node.pid, signal.SIGKILL)

    assert user.job("j")["claimed"] == 1  # status only looks
    assert "1 tasks completed successfully" in user.ok("watch", "j")
    assert user.result("j", 1) == b"attempt\n"


def state_of(pid):
    """Return the state of a process; a zombie (Z) has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


def test_what_a_task_leaves_running_ends_with_it(user):
    user.ok("sub", "-n", "j", "sh", "-c", "sleep 600 & echo $!")

    (pid,) = user.result("j", 1).split()
    assert eventually(lambda: state_of(pid.decode()) in ("gone", "Z"), within=5)


# What README.md says is not built


def test_fields_about_other_machines_are_accepted_without_an_effect(user):
    user.write(
        "job.yaml",
        "apiVersion: sparkles/v1\nkind: Job\nmetadata: {name: j}\nspec:\n  command: [echo, hi]\n"
        "  resources: {machineType: n1-standard-1, gpus: {type: nvidia-tesla-t4}, bootDisk: {sizeGb: 40},\n"
        "    disks: [{sizeGb: 100, mount: /scratch}], mounts: [{bucket: data, path: /data}]}\n"
        "  nodes: {max: 10, provisioning: spot, onDemandAfter: 2, keep: 2, maxLife: 1d, externalIp: false}\n",
    )

    user.ok("apply", "--wait", "job.yaml")

    assert user.result("j", 1) == b"hi\n"
