"""Commands on a terminal: real jobs in a pseudo-terminal, and what a person sees in the end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import User, until

#: Wide enough that no line is wrapped.
COLUMNS, ROWS = 200, 24


class Terminal:
    """A pseudo-terminal, and a command whose stdout it is; its stderr, too, unless that is sent elsewhere."""

    def __init__(self, user: User, *words: str, stderr: int | None = None, **environment: str) -> None:
        self._own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        kept = {"TERM": "xterm", "LC_ALL": "C.UTF-8", **environment}
        self.process = subprocess.Popen(
            user.argv(*words), cwd=user.folder, env={**user.environment(), **kept}, stdin=theirs, stdout=theirs,
            stderr=theirs if stderr is None else stderr, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.raw = b""

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8", "replace").replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        """Read until a text has been written."""
        while text not in self.text:
            assert self._read(), f"{text!r} was not written, but:\n{self.text}"

    def wait_until(self, holds: Callable[[list[str]], bool]) -> None:
        """Read until something is true of the lines that are shown."""
        while not holds(seen(f"{self.text}\n")):
            assert self._read(), f"it has ended with:\n{self.text}"

    def type(self, keys: str) -> None:
        """Press keys, as somebody who sits there."""
        os.write(self._own, keys.encode())

    def end(self) -> int:
        """Read all that is written; return the exit code."""
        while self._read():
            pass
        return self.process.wait(30)

    def press_ctrl_c(self) -> int:
        """Press Ctrl-C, and again if nothing comes of it: between question and answer it can be missed."""
        os.kill(self.process.pid, signal.SIGINT)
        while not select.select([self._own], [], [], 5)[0]:
            os.kill(self.process.pid, signal.SIGINT)
        return self.end()

    def _read(self) -> bytes:
        ready, _, _ = select.select([self._own], [], [], 30)
        assert ready, f"nothing was written for long after:\n{self.text}"
        try:
            piece = os.read(self._own, 1 << 16)
        except OSError:  # so it ends on Linux
            piece = b""
        self.raw += piece
        return piece

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)


@pytest.fixture
def start(user: User) -> Iterator[object]:
    terminals: list[Terminal] = []

    def start(*words: str, **options: object) -> Terminal:
        terminals.append(Terminal(user, *words, **options))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


def seen(text: str) -> list[str]:
    """Return the lines that a terminal shows in the end which understands all that we write to it, and no more."""
    lines = [""]
    for piece in re.split("(\n|\r|\x1b\\[[0-9;?]*[A-Za-z])", text):
        if piece == "\n":
            lines.append("")
        elif up := re.fullmatch("\x1b\\[(\\d+)A", piece):
            del lines[-int(up[1]) :]
        elif piece == "\x1b[J":
            lines[-1] = ""
        elif piece != "\r" and not re.fullmatch("\x1b\\[([0-9;]*m|\\?7[hl])", piece):
            lines[-1] += piece
    return lines[:-1]


def untimed(lines: list[str]) -> list[str]:
    """Return lines without times, and without those that say how things stand."""
    kept = [line for line in lines if not line.startswith("tasks:") and "] Processes running" not in line]
    return [re.sub(r"^\[\d\d:\d\d:\d\d\]", "[TIME]", line) for line in kept]


HOSTILE = "printf '\\033[2J\\033[?25l\\033]0;title\\007one [bold]\\n 5%%\\r50%%'; "

PERMANENT = [
    "0 files (0 bytes) out of 1 files will be uploaded",
    "[TIME] [starting tail of log j.1]",
    "[TIME] one [bold]",
]


def test_on_a_terminal_the_lines_stay_and_the_area_goes(user, start):
    go = user.folder / "go"
    terminal = start("sub", "-n", "j", f"{HOSTILE}{until(go)}; echo; echo last; exit 3")

    terminal.wait_for("  50%")
    terminal.wait_for("claimed 1")
    go.touch()
    code = terminal.end()

    assert code == 1
    assert untimed(seen(terminal.text)) == [
        f"backend: {user.stores.chosen}",
        *PERMANENT,
        "[TIME] 50%",
        "[TIME] last",
        "Job finished. 0 tasks completed successfully, 1 tasks failed",
        f"Done waiting for job. You can download results via '{user.stores.download_line('j')}'",
        "1 task failed: exit code 3, last",
        "  sparkles logs j.1",
        "  sparkles retry j.1",
        "What to do about it: sparkles why j",
    ]
    for sequence in ("\x1b[2J", "\x1b]0;", "\x07", "\x1b[?25l"):  # the last would hide the cursor
        assert sequence not in terminal.text


def test_jobs_that_run_at_the_same_time_are_seen_together(user, start):
    go = user.folder / "go"
    steps = "".join(f'    - {{name: {name}, command: "{until(go)}"}}\n' for name in "ab")
    user.write("w.yaml", f"apiVersion: sparkles/v1\nkind: Workflow\nmetadata: {{name: w}}\nspec:\n  steps:\n{steps}")
    terminal = start("apply", "--wait", "w.yaml")

    running = ["w-a  \u2592", "w-b  \u2592"]  # a bar each
    terminal.wait_until(lambda lines: [line[:6] for line in lines if line[:6] in running] == running)
    again = start("watch", "w")
    again.wait_until(lambda lines: [line[:6] for line in lines if line[:6] in running] == running)
    left = again.press_ctrl_c()
    go.touch()
    code = terminal.end()

    assert (left, code) == (130, 0)
    assert seen(again.text)[-2:] == [
        "", "job w goes on; come back to it with 'sparkles watch w', stop it with 'sparkles kill w'"
    ]  # fmt: skip
    assert [line for line in seen(again.text) if "\u2592" in line] == []
    last = seen(terminal.text)
    assert {line.split(":")[0] for line in last if ": Job finished. 1 tasks" in line} == {"w-a", "w-b"}
    assert [line for line in last if "\u2592" in line] == []


def test_ctrl_c_leaves_a_clean_terminal(user, start):
    terminal = start("sub", "-n", "j", f"{HOSTILE}sleep 600")

    terminal.wait_for("  50%")
    os.kill(terminal.process.pid, signal.SIGINT)
    code = terminal.end()

    assert code == 130
    assert untimed(seen(terminal.text)) == [
        f"backend: {user.stores.chosen}",
        *PERMANENT,
        "",
        "job j goes on; come back to it with 'sparkles watch j', stop it with 'sparkles kill j'",
    ]


@pytest.mark.at_home("is about terminals")
def test_a_terminal_without_unicode_or_colours_gets_neither(user, start):
    go = user.folder / "go"
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    terminal = start("sub", "-n", "j", f"printf 'sch\\303\\266n\\n'; {until(go)}", **ascii_only)

    terminal.wait_for("] sch?n\n")
    terminal.wait_for("= claimed 1")
    go.touch()

    assert terminal.end() == 0
    assert terminal.raw.isascii()
    assert not re.search("\x1b\\[[0-9;]*3[0-9]m", terminal.text)


@pytest.mark.at_home("is about terminals")
def test_a_dumb_terminal_gets_what_a_pipe_gets(user, start):
    go = user.folder / "go"
    words = ["sub", "-n", "j", f"echo one; {until(go)}; echo two"]
    piped = user.start(*words)
    lines = iter(piped.stdout.readline, b"")
    printed = [next(line for line in lines if b"starting tail" in line)]
    go.touch()
    printed += lines
    piped.communicate()
    go.unlink()

    terminal = start(*words, TERM="dumb", stderr=subprocess.DEVNULL)
    terminal.wait_for("starting tail")
    go.touch()

    assert terminal.end() == 0
    assert "\x1b" not in terminal.text
    *_, banner, one, two, finished, done = untimed(terminal.text.splitlines())
    assert [banner, one, two, finished, done] == untimed(b"".join(printed).decode().splitlines())


@pytest.mark.at_home("is about terminals")
def test_where_only_stderr_is_a_terminal_nothing_is_drawn_on_it(user):
    own, theirs = pty.openpty()
    process = subprocess.Popen(
        user.argv("sub", "sleep", "1.5"), cwd=user.folder, env={**user.environment(), "TERM": "xterm"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, text=True,
    )  # fmt: skip
    os.close(theirs)
    output, _ = process.communicate(timeout=60)
    written = os.read(own, 1 << 16)
    os.close(own)

    assert "Job finished. 1 tasks" in output
    assert "\x1b" not in output
    assert written == b"backend: local (default)\r\n"


@pytest.fixture
def ask_of_setup(user: User, start: Callable[..., Terminal], setup_apis: Any) -> Callable[[], Terminal]:
    """Set up a new bucket, up to the question whether to go ahead."""
    for name in ("SPARKLES_BUCKET", "SPARKLES_PROJECT", "SPARKLES_COMPUTE", "SPARKLES_BACKEND"):
        user.env[name] = ""
    user.env["GOOGLEAPIS_EMULATOR_HOST"] = setup_apis.url
    bucket = f"{user.stores.cloud.bucket}-asked"

    def ask_of_setup() -> Terminal:
        terminal = start("setup", "--project", "sparkles-test", "--region", "us-central1", "--bucket", bucket)
        terminal.wait_for("Go ahead? [y/N]: ")
        return terminal

    return ask_of_setup


@pytest.mark.in_cloud
@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"], ids=["no", "nothing", "Ctrl-D"])
def test_setup_makes_nothing_without_a_yes(ask_of_setup, setup_apis, answer):
    terminal = ask_of_setup()

    terminal.type(answer)
    code = terminal.end()

    assert code == 2
    assert seen(terminal.text)[-1] == "error: nothing was changed"
    assert setup_apis.project.accounts == {}


@pytest.mark.in_cloud
def test_ctrl_c_at_the_question_of_setup_makes_nothing(ask_of_setup, setup_apis):
    terminal = ask_of_setup()

    code = terminal.press_ctrl_c()

    assert code == 130
    assert seen(terminal.text)[-1] == "interrupted; nothing was changed"
    assert setup_apis.project.accounts == {}


@pytest.mark.in_cloud
def test_ctrl_c_at_its_second_question_leaves_what_was_made(ask_of_setup, user, setup_apis):
    terminal = ask_of_setup()

    terminal.type("y\n")
    terminal.wait_for("Write it? [y/N]: ")
    code = terminal.press_ctrl_c()

    assert code == 130
    assert seen(terminal.text)[-1] == "interrupted; what was made stays, and 'sparkles setup' goes on from there"
    assert len(setup_apis.project.accounts) == 1
    assert not (user.folder / ".sparkles.yaml").exists()


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["apply", "job.yaml"], id="apply"),
        pytest.param(["delete", "j"], id="delete"),
        pytest.param(["sub", "-n", "j", "--rerun", "all", "echo", "2"], id="sub"),
    ],
)
@pytest.mark.at_home("is about terminals")
def test_ctrl_c_at_a_question_changes_nothing(user, start, words):
    user.ok("sub", "-n", "j", "--no-wait", "sleep", "600")
    manifest = user.ok("get", "j", "-o", "yaml")
    user.write("job.yaml", manifest.replace("600", "601"))
    user.wait_for("j", claimed=1)
    terminal = start(*words)

    terminal.wait_for("Go ahead? [y/N]: ")
    code = terminal.press_ctrl_c()

    assert code == 130
    assert seen(terminal.text)[-1] == "interrupted; nothing was changed"
    assert user.job("j")["claimed"] == 1
    assert user.ok("get", "j", "-o", "yaml") == manifest


@pytest.fixture
def old_file(user: User) -> str:
    """A file of a job that is deleted, old enough to be garbage."""
    user.write("old.txt", "old")
    user.ok("sub", "-n", "j", "-u", "old.txt", "true")
    user.ok("delete", "j", "--results")
    for path in user.sparkles_home.rglob(".sparkles/cas/*"):
        os.utime(path, (0, 0))
    (row,) = (row for row in user.rows("gc", "--dry-run") if row["kind"] == "blob")
    return str(row["name"])


def is_garbage(user: User, name: str) -> bool:
    return name in [row["name"] for row in user.rows("gc", "--dry-run")]


@pytest.mark.at_home("is about terminals")
@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"], ids=["no", "nothing", "Ctrl-D"])
def test_gc_removes_nothing_without_a_yes(user, start, old_file, answer):
    terminal = start("gc")

    terminal.wait_for("would be removed. Go ahead? [y/N]: ")
    terminal.type(answer)

    assert terminal.end() == 2
    assert seen(terminal.text)[-1] == "error: nothing was changed"
    assert is_garbage(user, old_file)


@pytest.mark.at_home("is about terminals")
def test_gc_removes_nothing_after_ctrl_c(user, start, old_file):
    terminal = start("gc")

    terminal.wait_for("would be removed. Go ahead? [y/N]: ")
    code = terminal.press_ctrl_c()

    assert code == 130
    assert seen(terminal.text)[-1] == "interrupted; nothing was changed"
    assert is_garbage(user, old_file)


@pytest.mark.at_home("is about terminals")
def test_gc_asks_and_then_removes(user, start, old_file):
    terminal = start("gc")

    terminal.wait_for("would be removed. Go ahead? [y/N]: ")
    terminal.type("y\n")

    assert terminal.end() == 0
    assert seen(terminal.text)[-1].endswith(" removed")
    assert not is_garbage(user, old_file)


@pytest.mark.in_cloud
@pytest.mark.parametrize(("answer", "is_written"), [("y\n", True), ("n\n", False)])
def test_setup_asks_before_it_makes_and_before_it_writes(ask_of_setup, user, setup_apis, answer, is_written):
    terminal = ask_of_setup()

    terminal.type("y\n")
    terminal.wait_for("Write it? [y/N]: ")
    terminal.type(answer)
    code = terminal.end()

    assert code == 0
    assert len(setup_apis.project.accounts) == 1
    assert (user.folder / ".sparkles.yaml").exists() is is_written


SCATTER = """
import os, time

def get_foreach_args(gate):
    return dict(elements=[1, 2], extra_args=[gate])

def foreach(x, gate):
    print("working")
    while not os.path.exists(gate):
        time.sleep(0.05)

def gather(results, gate):
    print("gathered", len(results))
"""


def test_the_phases_of_a_script_are_shown_one_after_another(user, start):
    go = user.folder / "go"
    user.write("scatter.py", SCATTER)
    terminal = start("sub", "-n", "j", "--foreach", "scatter.py", str(go), stderr=subprocess.DEVNULL)

    terminal.wait_for("claimed 2")
    terminal.wait_for("] working")
    go.touch()
    code = terminal.end()

    assert code == 0
    lines = [line for line in untimed(seen(terminal.text)) if "uploaded" not in line]
    assert lines == [
        f"Submitting job named j-getargs to execute j-getargs('{go}')",
        "Job finished. 1 tasks completed successfully, 0 tasks failed",
        "Submitting job named j to evaluate foreach on 2 elements",
        "[TIME] [starting tail of log j.1]",
        "[TIME] working",
        "Job finished. 2 tasks completed successfully, 0 tasks failed",
        "Submitting job named j-gather to evaluate gather",
        "[TIME] gathered 2",
        "Job finished. 1 tasks completed successfully, 0 tasks failed",
    ]
