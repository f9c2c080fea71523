"""The contract of every Runtime. An adapter's test inherits it and gives `runtime`; `image` if it needs one."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import eventually

from sparkles.errors import LaunchError
from sparkles.ports.runtime import Launch, Running, Runtime

PATH = "/usr/local/bin:/usr/bin:/bin"

Start = Callable[..., Running]


class RuntimeContract:
    """What every runtime must do. `runtime` is a fixture of the adapter's test."""

    @pytest.fixture
    def image(self) -> str | None:
        return None

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "work").mkdir()
        return tmp_path / "work"

    @pytest.fixture
    def log(self, tmp_path: Path) -> Path:
        return tmp_path / "log"

    @pytest.fixture
    def start(self, runtime: Runtime, image: str | None, folder: Path, log: Path) -> Start:
        def start(
            *argv: str, env: Mapping[str, str] | None = None, claim: str = "claim", memory: int | None = None
        ) -> Running:
            env = {"PATH": PATH} if env is None else env
            return runtime.start(
                Launch(claim=claim, argv=argv, env=env, folder=folder, log=log, image=image, work=folder, memory=memory)
            )

        return start

    @pytest.mark.parametrize("code", [0, 1, 7, 255])
    def test_the_exit_code_is_the_commands(self, start, code):
        assert start("/bin/sh", "-c", f"exit {code}").wait().exit == code

    def test_a_command_that_a_signal_ended_has_the_exit_code_of_a_shell(self, start):
        assert start("/bin/sh", "-c", "kill -TERM $$").wait().exit == 128 + signal.SIGTERM

    def test_a_command_may_be_interrupted_although_its_node_ignores_that(self, start):
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            assert start("/bin/sh", "-c", "kill -INT $$; echo no").wait().exit == 128 + signal.SIGINT
        finally:
            signal.signal(signal.SIGINT, before)

    def test_words_reach_the_program_as_they_are(self, start, log):
        words = ["", "a  b", "'\"$HOME`x`", "ä\n*", "--", "{}"]

        start("/bin/sh", "-c", 'for word; do printf "<%s>" "$word"; done', "sh", *words).wait()

        assert log.read_text(encoding="utf-8") == "".join(f"<{word}>" for word in words)

    def test_a_program_without_a_slash_is_looked_for_on_its_own_path(self, start, folder, log):
        program = folder / "bin" / "mine"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\necho found\n")
        program.chmod(0o755)

        start("mine", env={"PATH": f"{folder}/bin:{PATH}"}).wait()

        assert log.read_text() == "found\n"

    def test_the_environment_is_exactly_the_given_one(self, start, log):
        start("/usr/bin/env", env={"A": "1", "B": "two words", "PATH": PATH}).wait()

        # A shell or an engine may add a few of its own, but none of the worker's comes through.
        lines = set(log.read_text().splitlines())
        assert {"A=1", "B=two words", f"PATH={PATH}"} <= lines
        assert not [line for line in lines if line.startswith("PYTEST")]

    def test_a_command_starts_in_its_folder(self, start, folder):
        start("/bin/sh", "-c", "echo here > file").wait()

        assert (folder / "file").read_text() == "here\n"

    def test_what_is_written_is_appended_to_the_log_byte_for_byte(self, start, log):
        log.write_bytes(b"before\n")

        start("/bin/sh", "-c", r"echo one; printf '\377\000\r\n'").wait()

        assert log.read_bytes() == b"before\none\n\xff\x00\r\n"

    def test_stdout_and_stderr_both_come_whole(self, start, log):
        start("/bin/sh", "-c", "seq 20000; seq 20000 | sed s/^/e/ >&2").wait()

        lines = log.read_text().splitlines()
        assert [line for line in lines if not line.startswith("e")] == [str(n) for n in range(1, 20001)]
        assert [line for line in lines if line.startswith("e")] == [f"e{n}" for n in range(1, 20001)]

    def test_there_is_a_log_even_of_a_command_that_says_nothing(self, start, log):
        start("/bin/sh", "-c", ":").wait()

        assert log.read_bytes() == b""

    def test_stdin_is_empty(self, start, log):
        start("/bin/sh", "-c", "cat; echo done").wait()

        assert log.read_text() == "done\n"

    def test_a_signal_reaches_the_command_and_all_it_started(self, start, log):
        child = "trap 'echo child; exit' TERM; echo up; while :; do sleep 0.01; done"
        running = start("/bin/sh", "-c", f"trap 'wait; echo parent; exit 3' TERM; ({child}) & wait")
        eventually(lambda: "up" in log.read_text())

        running.signal(signal.SIGTERM)

        assert running.wait().exit == 3
        assert {"child", "parent"} <= set(log.read_text().splitlines())

    def test_a_command_that_ignores_the_request_can_be_killed(self, start, log):
        running = start("/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done")
        eventually(lambda: log.read_text() == "up\n")

        running.signal(signal.SIGTERM)
        running.signal(signal.SIGKILL)

        assert running.wait().exit == 128 + signal.SIGKILL

    def test_what_a_command_leaves_running_ends_with_it(self, start, folder):
        start(
            "/bin/sh", "-c", "(while :; do n=1$n; echo $n > beat; sleep 0.005; done) & while [ ! -s beat ]; do :; done"
        ).wait()

        last = (folder / "beat").read_bytes()
        for _ in range(1000):
            assert (folder / "beat").read_bytes() == last

    def test_a_signal_after_the_end_is_harmless(self, start):
        running = start("/bin/sh", "-c", ":")
        running.wait()

        running.signal(signal.SIGKILL)

        assert running.sample() is None

    def test_what_runs_can_be_sampled_or_that_is_not_known(self, start, log):
        running = start("/bin/sh", "-c", "echo up; sleep 60 & wait")
        eventually(log.read_text)

        sample = running.sample()

        running.signal(signal.SIGKILL)
        running.wait()
        if sample is not None:
            assert sample.processes >= 1
            assert 0 < sample.resident <= sample.total

    def test_several_commands_run_at_once(self, start, folder):
        first = start("/bin/sh", "-c", "until [ -e two ]; do sleep 0.005; done; touch one", claim="a")
        second = start("/bin/sh", "-c", "touch two; until [ -e one ]; do sleep 0.005; done", claim="b")

        assert [second.wait().exit, first.wait().exit] == [0, 0]

    def test_a_program_that_does_not_exist_is_an_error_of_the_launch(self, start):
        with pytest.raises(LaunchError, match="no-such-program: command not found") as error:
            start("no-such-program").wait()

        assert error.value.exit == 127

    def test_a_file_that_is_not_executable_is_an_error_of_the_launch(self, start, folder):
        (folder / "script").write_text("#!/bin/sh\n")

        with pytest.raises(LaunchError, match="script") as error:
            start("./script").wait()

        assert error.value.exit == 126
