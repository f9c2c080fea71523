"""The phases of foreach, run as tasks run them: each in a folder of its own, with what it is given."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "templates"
EXAMPLES = ROOT / "examples" / "foreach"


@dataclass
class Phases:
    """A script in a folder of its own, and the tasks of its phases."""

    folder: Path
    #: What runs a script of this language.
    interpreter: Sequence[str]
    #: The name of the runner's file, and how the files end in which values travel.
    runner: str
    suffix: str
    #: What the folder of a task starts with.
    files: dict[str, bytes] = field(default_factory=dict)
    script: str = ""
    env: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str | bytes, *, is_script: bool = True) -> None:
        """Put a file into the folder of every task, by default the script."""
        self.files[name] = text.encode() if isinstance(text, str) else text
        if is_script:
            self.script = name

    def run(
        self, task: str, phase: str, *words: str | bytes, given: Mapping[str, Path] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a phase in a new folder, which has the script, the runner, and what of other tasks is given."""
        argv = self.prepare(task, phase, *words, given=given or {})
        done = subprocess.run(
            argv, cwd=self.folder / task, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=60,
        )  # fmt: skip
        return subprocess.CompletedProcess(
            argv, done.returncode, *(text.decode() for text in (done.stdout, done.stderr))
        )

    def prepare(self, task: str, phase: str, *words: str | bytes, given: Mapping[str, Path]) -> list[str | bytes]:
        place = self.folder / task
        shutil.rmtree(place, ignore_errors=True)
        (place / ".foreach").mkdir(parents=True)
        shutil.copy(TEMPLATES / self.runner, place / ".foreach" / f"run.{self.runner.rpartition('.')[2]}")
        for name, content in self.files.items():
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_bytes(content)
        for name, path in given.items():
            (place / ".foreach" / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if path.is_dir() else shutil.copy)(path, place / ".foreach" / name)
        return [*self.interpreter, f".foreach/run.{self.runner.rpartition('.')[2]}", phase, self.script, *words]

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, "LC_ALL": "C.UTF-8", **self.env}

    def getargs(
        self, *args: str | bytes, size: int = 1, function: str = "get_foreach_args"
    ) -> subprocess.CompletedProcess[str]:
        return self.run("getargs", "getargs", function, str(size), *args)

    def foreach(self, batch: int, function: str = "foreach") -> subprocess.CompletedProcess[str]:
        key = self.batches()[batch - 1][1]
        given = {"elements": self.made(f"elements/{batch}"), **self._extra()}
        return self.run(f"foreach-{batch}", "foreach", function, key, given=given)

    def gather(
        self, tasks: Mapping[int, int] | None = None, function: str = "gather"
    ) -> subprocess.CompletedProcess[str]:
        """Run the gather with the results of the batches; `tasks` says which task ran which, if not as numbered."""
        tasks = {batch: batch for batch, _ in self.batches()} if tasks is None else tasks
        results = {f"results/{task}/.foreach/result.{self.suffix}": self.result(batch) for task, batch in tasks.items()}
        return self.run(
            "gather", "gather", function, given={"batches.csv": self.made("batches.csv"), **self._extra(), **results}
        )

    def all(self, *args: str | bytes, size: int = 1) -> list[subprocess.CompletedProcess[str]]:
        """Run everything; all must succeed."""
        done = [ok(self.getargs(*args, size=size))]
        done += [ok(self.foreach(batch)) for batch, _ in self.batches()]
        return [*done, ok(self.gather())]

    def made(self, name: str) -> Path:
        """Return a path of what the first phase left."""
        return self.folder / "getargs" / ".foreach" / name

    def result(self, batch: int) -> Path:
        return self.folder / f"foreach-{batch}" / ".foreach" / f"result.{self.suffix}"

    def batches(self) -> list[tuple[int, str]]:
        with self.made("batches.csv").open(newline="") as table:
            return [(int(row["batch"]), row["key"]) for row in csv.DictReader(table)]

    def keys(self) -> list[str]:
        return [key for _, key in self.batches()]

    def _extra(self) -> dict[str, Path]:
        return {f"extra.{self.suffix}": self.made(f"extra.{self.suffix}")}


def ok(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
