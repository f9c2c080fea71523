"""Equivalence: `sub F…` does what `sub F… --dry-run -o yaml | apply --rerun all --wait -f -` does, to the last byte.

Both ways run the real commands on the real stores; only the nodes are on paper, and commands are a Python function.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from click.testing import CliRunner, Result
from contracts.fakes import FakeCompute, ScriptedRunning, a_backend
from contracts.paper import FunctionRuntime, PaperNode
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from sparkles.cli import context, main
from sparkles.model import Cluster, Task
from sparkles.ports.backend import Backend
from sparkles.ports.state import StateStore

FILES = {
    "f.txt": "f",
    "odd {x} 'n\"ame: #.txt": "odd",
    "data/a.txt": "a",
    "data/deep/b.txt": "b",
    "data/run.sh": "echo run",
    "by/1.txt": "one",
    "by/2.txt": "two",
    "by/a b.txt": "with a space",
    "list.txt": "# a list\n\nf.txt\ndata/a.txt:renamed.txt\n@more.txt\n",
    "more.txt": "by/1.txt\n",
    "circle.txt": "@circle.txt\n",
    "table.csv": '\ufeffx,y z\n1,a b\n2,"it\'s ""quoted"", {x} {{y}}"\n1,\n',
    "same.csv": "x,y z\n1,1\n1,1\n",
    "lines.csv": 'x,y z\n1,"two\nlines\t"\n2,$HOME `id` \u2028\n',
    "r.tsv": "\tx\ty z\n1\t1\tä🙂\n",
    "ragged.csv": "x\n1,2\n",
}


@dataclass
class Home:
    """A home, and someone who runs commands with it."""

    root: Path
    #: What the tasks were when they were queued, each time nodes were asked for.
    queued: list[Any] = field(default_factory=list)
    #: What was executed: words, environment, files.
    ran: list[Any] = field(default_factory=list)

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @cached_property
    def backend(self) -> Backend:
        return a_backend(self.root, compute=PromptCompute(self), host=FunctionRuntime(self.execute), default_slots=2)

    def execute(self, running: ScriptedRunning) -> int:
        """Stand in for every command: it writes down what it sees, and fails now and then."""
        launch = running.launch
        files = {
            str(path.relative_to(launch.folder)): (path.read_bytes(), os.access(path, os.X_OK))
            for path in sorted(launch.folder.rglob("*"))
            if path.is_file()
        }
        environment = {name: value for name, value in launch.env.items() if os.environ.get(name) != value}
        environment.pop("PWD", None)
        seen = list(launch.argv), environment, files
        self.ran.append(seen)
        running.say(repr(seen))
        running.write("out/seen.txt", repr(seen))
        running.write("made.txt", "made")
        return crc32(repr(launch.argv).encode()) % 3 // 2

    def work(self, cluster: Cluster) -> None:
        """Do all that is pending, as soon as nodes are asked for."""
        if self.backend.state.pending(cluster.name, limit=1):
            self.queued.append(tasks_of(self.backend))
            PaperNode(f"n{len(self.queued)}", cluster.name, self.backend, self.root / "work").work()

    def run(self, *words: str, text: bytes = b"") -> Result:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(context, "open_backend", lambda *_, **__: self.backend)
            return CliRunner().invoke(main, list(words), input=text, prog_name="sparkles")

    def holds(self) -> dict[str, Any]:
        """Return all that the stores hold, but for times and random names."""
        jobs = [replace(job, submitted=0.0, ended=job.ended and 0.0, version=0) for job in self.backend.state.jobs()]
        return {"jobs": jobs, "tasks": tasks_of(self.backend), "queued": self.queued, "ran": self.ran, **self.files()}

    def files(self) -> dict[str, list[bytes]]:
        """Return the contents of all objects by their names, without the random part of an attempt's log."""
        found: dict[str, list[bytes]] = {}
        for folder, below, names in os.walk(self.objects):
            below[:] = [name for name in below if name != "trash"]  # which a thread of its own empties
            for path in (Path(folder, name) for name in names if name not in ("result.json", "lock")):
                name = path.with_suffix("") if path.parent.name == "logs" else path
                found.setdefault(str(name.relative_to(self.objects)), []).append(path.read_bytes())
        return {name: sorted(contents) for name, contents in found.items()}


class PromptCompute(FakeCompute):
    """Nodes on paper that do all the work the moment they are asked for."""

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._home = home

    def raise_nodes(self, cluster: Cluster, state: StateStore, *, wanted: int) -> None:
        super().raise_nodes(cluster, state, wanted=wanted)
        self._home.work(cluster)


def tasks_of(backend: Backend) -> list[Task]:
    return [
        replace(
            task, claim=None, node=None, version=0, queued=None, started=task.started and 0.0, ended=task.ended and 0.0,
            history=tuple(replace(past, claim="", node="", started=0.0, ended=0.0) for past in task.history),
            result_generation=task.result_generation and "some",
        )
        for job in backend.state.jobs()
        for task in backend.state.tasks(job.name)
    ]  # fmt: skip


@dataclass
class Outcome:
    """What one request led to."""

    exit: int
    said: list[str]
    holds: dict[str, Any]


def submitted(home: Home, flags: Sequence[str], words: Sequence[str]) -> Outcome:
    done = home.run("sub", *flags, *words)
    return outcome(home, done)


def piped(home: Home, flags: Sequence[str], words: Sequence[str], *, form: str) -> Outcome:
    made = home.run("sub", *flags, "--dry-run", "-o", form, *words)
    if made.exit_code:
        return outcome(home, made)
    assert made.stderr == ""
    return outcome(home, home.run("apply", "--rerun", "all", "--wait", "-f", "-", text=made.stdout_bytes))


def outcome(home: Home, done: Result) -> Outcome:
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    said = [re.sub(r"^(error: |warning: )?(sub|<stdin>)(:\d+:\d+)?: ", r"\1", line) for line in lines(done.stderr)]
    last = [line for line in lines(done.stdout) if line.startswith(("Job finished", "Done waiting"))]
    return Outcome(done.exit_code, said + last, home.holds())


def lines(text: str) -> list[str]:
    return text.split("\n")


# What people type

PLAIN = ["a", "echo", "0.10", "yes", "~", "null", "012", "1e3", "", "ä🙂", "-n", "--", "=", "a,b"]
ODD = [
    " ", "  ", "\t", "\n", "\r", "\r\n", "'", '"', "\\", "#", " #", ": ", "- ", "? ", "| ", "&", "*", "!", "%", "@",
    "`",
    "<<", ">", ";", "|", "$HOME", "${HOME}", "{}", "{a..z}", '{"k": {"l": 1}}', "{{.Names}}", "{print $1}", "---",
    "...", "\u2028", "\x85", "\ufeff", "\x7f", "\x1b", "\x01", "\u200b", "\ufffe", "\udcff", "{{x}}", "{{index}}",
    "{{{x}}}",
]  # fmt: skip
CARRIED = ["^f.txt", "^data", "^^f.txt", "^missing", "^", "^odd {x} 'n\"ame: #.txt"]

#: Flags with values that are fine by themselves; and with those that never are.
GOOD = {
    "--label": ["project=a b", "k=0.10", "k2=", "ä=yes"],
    "-u": [
        "f.txt", "f.txt:g.txt", "./f.txt:in/f.txt", "data", "data/:in", "data:in/", "@list.txt", "list.txt",
        "data/run.sh:run.sh", "odd {{x}} 'n\"ame: #.txt",
    ],
    "--cd": ["data", ".", "new/folder", "a b"],
    "--slots": ["1", "3"],
    "--nodes": ["1", "7"],
    "--timeout": ["2h", "90s", "1d12h"],
    "--retries": ["0", "2"],
    "--results": ["*.txt", "out/**", "**", "[ab]*", "ä b", "{x}"],
    "--ignore": ["*.txt", "out/**", "no*", "made.txt"],
    "-m": ["n1-standard-4"],
}  # fmt: skip
BAD = {
    "-n": ["a.b", "LAST", "", "ä", "yes"],
    "--label": ["novalue", "=v", "k=1"],
    "-u": ["missing", "@missing", "@circle.txt", "../up.txt", "f.txt:../g", "by/1.txt:f.txt", "gs://b/x", "f.txt:"],
    "--cd": ["../x", "/", "", "{x}"],
    "--slots": ["0", "-1", "x"],
    "--timeout": ["0", "0s", "1.5h", "2 h", "90"],
    "--retries": ["-1"],
    "--results": ["[", "", "/abs", "../x", "a\\"],
    "--ignore": ["***", "!x"],
    "--env": ["A", "=1", "A B=1", "SPARKLES_X=1", "A=1", "1=2", "Z={unknown}"],
    "-i": ["python:3", "not an image", ""],
    "--params": ["missing.csv", "ragged.csv", "data", "list.txt"],
    "--matrix": ["index=1", "x", "x=1,2", "{=1"],
    "--seq": ["0", "2"],
    "--array": ["1"],
}  # fmt: skip
#: Flags → the parameters that there are with them.
SWEEPS: dict[tuple[str, ...], list[str]] = {
    (): ["index"],
    ("--seq", "3"): ["index"],
    ("--params", "table.csv"): ["index", "x", "y z"],
    ("--params", "same.csv"): ["index", "x", "y z"],
    ("--params", "lines.csv"): ["index", "x", "y z"],
    ("--params", "r.tsv"): ["index", "x", "y z"],
    ("--matrix", "x=1,2", "--matrix", "y z=a b,,~"): ["index", "x", "y z"],
}
REPEATED = {"--label", "-u", "--env", "--results", "--ignore", "--matrix"}


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Return flags and the words of a command; most are fine, some are not."""
    sweep = draw(st.sampled_from(sorted(SWEEPS)))
    flags = ["-n", "j", *sweep]
    names = [f"{{{name}}}" for name in SWEEPS[sweep]]
    for flag in draw(st.lists(st.sampled_from(sorted(GOOD)), max_size=4)):
        if flag in REPEATED or flag not in flags:
            flags += [flag, draw(st.sampled_from(GOOD[flag]))]
    if "{x}" in names and draw(st.booleans()):
        flags += ["-u", draw(st.sampled_from(["by/{x}.txt", "by/{x}.txt:in.txt", "f.txt:{x}/{index}"]))]
    for name in draw(st.lists(st.sampled_from(["A", "_b", "PATH", "a9"]), max_size=2, unique=True)):
        flags += ["--env", f"{name}={draw(texts(names))}"]
    if draw(st.integers(0, 6)) == 0:
        flag = draw(st.sampled_from(sorted(BAD)))
        flags += [flag, draw(st.sampled_from(BAD[flag]))]
    if draw(st.booleans()):
        flags.append("--spot")
    return flags, draw(commands(names))


def texts(names: Sequence[str]) -> st.SearchStrategy[str]:
    """Return texts of pieces that each mean something to somebody: YAML, a shell, placeholders."""
    wild = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3)
    pieces = st.one_of(st.sampled_from(PLAIN), st.sampled_from([*names, *PLAIN]), st.sampled_from(ODD), wild)
    return st.lists(pieces, max_size=4).map("".join)


def commands(names: Sequence[str]) -> st.SearchStrategy[list[str]]:
    words = st.one_of(texts(names), texts(names), st.sampled_from(CARRIED))
    line = st.lists(
        st.sampled_from(["echo a", "; ", " && ", ' "$x" ', " 'q' ", " > out ", *names, " ", "# "]), min_size=2
    )
    return st.one_of(
        st.tuples(st.sampled_from(["echo", "python3", "^f.txt", *names]), st.lists(words, max_size=4)).map(
            lambda drawn: ["--", drawn[0], *drawn[1]]
        ),
        line.map(lambda pieces: ["".join(["true ", *pieces])]),
        st.lists(words, max_size=3),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all commands are run in."""
    folder = tmp_path_factory.mktemp("folder")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "data/run.sh").chmod(0o755)
    (folder / ".sparkles.yaml").write_text("defaults: {machineType: n1-standard-2}\n")
    return folder


@settings(deadline=None, max_examples=120, print_blob=True)
@given(requests=st.lists(requests(), min_size=1, max_size=2), form=st.sampled_from(["yaml", "json"]))
@example(requests=[(["-n", "j"], ["echo", "hello", "world"])], form="yaml")
@example(requests=[(["-n", "j"], ["echo", "\x7f \x85 \u2028 \ufeff"])], form="json")
def test_to_submit_is_to_apply_the_manifest_that_the_flags_stand_for(folder: Path, requests, form: str) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        here, there = Home(Path(root, "here")), Home(Path(root, "there"))
        for flags, words in requests:
            one, other = submitted(here, flags, words), piped(there, flags, words, form=form)

            event(f"exit {one.exit}")
            assert (one.exit, one.said) == (other.exit, other.said)
            assert one.holds == other.holds
            assert one.exit in (0, 1) or one.said


@settings(deadline=None, max_examples=40, print_blob=True)
@given(request=requests())
def test_a_saved_manifest_makes_the_same_tasks_from_another_folder(folder: Path, request) -> None:
    flags, words = request
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        here, there, saved = Home(Path(root, "here")), Home(Path(root, "there")), str(Path(root, "jobs", "j.yaml"))
        made = there.run("sub", *flags, "--save", saved, *words)
        if made.exit_code:
            assert made.exit_code == 2 or "-i" in flags
            return
        assert there.holds() == {"jobs": [], "tasks": [], "queued": [], "ran": []}

        one = submitted(here, flags, words)
        other = outcome(there, there.run("apply", "--rerun", "all", "--wait", saved))

        assert one.exit == other.exit
        for what in ("tasks", "queued", "ran"):
            assert one.holds[what] == other.holds[what]
