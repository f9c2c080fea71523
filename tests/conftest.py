"""What the tests share: an empty home, and a user who runs commands in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sparkles.backends.local.state import SqliteState
from sparkles.model import Node

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class User:
    """Someone in an empty folder with an empty home, who runs `sparkles`."""

    folder: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(
        self, *words: str, input: str | bytes | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:  # noqa: A002
        """Run a command to its end; text in and out."""
        if isinstance(input, str):
            input = input.encode()
        done = subprocess.run(
            self.argv(*words),
            cwd=self.folder,
            env=self.environment(),
            input=input or b"",
            capture_output=True,
            timeout=timeout,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            self.argv(*words), cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def ok(self, *words: str, **options: Any) -> str:
        """Run a command that must succeed; return what it printed."""
        done = self(*words, **options)
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "sparkles", *words]

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TERM") if name in os.environ}
        return {
            **kept,
            "HOME": str(self.home),
            "SPARKLES_HOME": str(self.sparkles_home),
            "PYTHONPATH": str(ROOT),
            **self.env,
        }

    @property
    def sparkles_home(self) -> Path:
        return self.home / "sparkles"

    def set_timing(self, **seconds: float) -> None:
        """Run the protocol quicker than it is (see sparkles.timing)."""
        self.env["SPARKLES_TIMING"] = json.dumps(seconds)

    def write(self, name: str, content: str | bytes, *, executable: bool = False) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if executable:
            path.chmod(0o755)
        return path

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """Run a command that lists; return its rows."""
        rows: list[dict[str, Any]] = json.loads(self.ok(*words, "-o", "json"))
        return rows

    def job(self, name: str) -> Mapping[str, Any]:
        (row,) = self.rows("status", name)
        return row

    def result(self, job: str, index: int, name: str = "stdout.txt") -> bytes:
        return (self.sparkles_home / "objects" / job / str(index) / name).read_bytes()

    def nodes(self) -> list[Node]:
        """Return the nodes that are not gone."""
        path = self.sparkles_home / "state.db"
        if not path.exists():
            return []
        state = SqliteState(path)
        try:
            return list(state.nodes())
        finally:
            state.close()

    def stop_nodes(self) -> None:
        for node in self.nodes():
            if node.pid:
                with suppress(ProcessLookupError):
                    os.kill(node.pid, signal.SIGKILL)


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    user = User(folder=folder, home=home)
    yield user
    user.stop_nodes()


def eventually(true: Any, *, within: float = 30.0) -> Any:
    """Return the first true value of `true()`; fail if there is none in time."""
    deadline = time.monotonic() + within
    while not (value := true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not become true within {within} s")
        time.sleep(0.02)
    return value
