"""Commands as processes of this machine: the contract, the records they leave, and what to say when one fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import eventually, lives
from contracts.runtime import RuntimeContract

from sparkles.backends.local.runtime import HostRuntime, kill_recorded
from sparkles.backends.process import identity, sample_group, session_members
from sparkles.errors import LaunchError


class TestHostRuntime(RuntimeContract):
    @pytest.fixture
    def running(self, tmp_path: Path) -> Path:
        (tmp_path / "running").mkdir()
        return tmp_path / "running"

    @pytest.fixture
    def runtime(self, running: Path) -> HostRuntime:
        return HostRuntime(running)

    def test_stdout_and_stderr_keep_their_order(self, start, log):
        start("/bin/sh", "-c", "echo one; echo two >&2; echo three").wait()

        assert log.read_text() == "one\ntwo\nthree\n"

    def test_a_command_has_a_record_while_it_runs(self, start, running, log):
        command = start("/bin/sh", "-c", "while :; do sleep 0.01; done")
        record = json.loads((running / "claim").read_text())

        command.signal(signal.SIGKILL)
        command.wait()

        assert record == {"session": os.getpid(), "identity": identity(os.getpid())}
        assert list(running.iterdir()) == []

    def test_a_command_that_cannot_be_executed_leaves_no_record(self, start, running):
        with pytest.raises(LaunchError):
            start("no-such-program")

        assert list(running.iterdir()) == []

    @pytest.mark.parametrize(
        ("content", "mode", "word", "code", "advice"),
        [
            pytest.param("#!/bin/sh\n", 0o755, "fit", 127, r"to run the uploaded file write \./fit", id="no slash"),
            pytest.param("#!/no/such\n", 0o755, "./fit", 127, "the interpreter named in its first line", id="#!"),
            pytest.param("#!/bin/sh\n", 0o644, "./fit", 126, r"not executable; chmod \+x it", id="mode"),
            pytest.param("echo\n", 0o755, "./fit", 126, "neither a program of this machine nor a script", id="text"),
            pytest.param("", 0o755, "./elsewhere", 127, "command not found", id="nothing there"),
        ],
    )
    def test_a_launch_that_fails_says_what_to_do(self, start, folder, content, mode, word, code, advice):
        (folder / "fit").write_text(content)
        (folder / "fit").chmod(mode)

        with pytest.raises(LaunchError, match=advice) as error:
            start(word)

        assert error.value.exit == code

    def test_signals_that_python_ignores_have_their_defaults(self, start):
        assert start("/bin/sh", "-c", "kill -PIPE $$").wait().exit == 128 + signal.SIGPIPE

    def test_no_descriptor_that_the_worker_opens_is_open_in_a_command(self, start, folder, log):
        inherited = {name for name in os.listdir("/proc/self/fd") if is_inheritable(int(name))}
        with (folder / "file").open("w"), socket.socket():
            start("/bin/ls", "/proc/self/fd").wait()

        # 3 is the folder that ls itself reads.
        assert set(log.read_text().split()) - inherited <= {"0", "1", "2", "3"}

    def test_words_that_no_program_can_be_given_are_an_error_of_the_launch(self, start, running):
        with pytest.raises(LaunchError, match="null") as error:
            start("/bin/echo", "a\0b")

        assert error.value.exit == 126
        assert list(running.iterdir()) == []

    def test_a_folder_on_the_path_is_not_a_program(self, start, folder):
        (folder / "bin" / "mine").mkdir(parents=True)

        with pytest.raises(LaunchError, match="mine: ") as error:
            start("mine", env={"PATH": f"{folder}/bin:/usr/bin"})

        assert error.value.exit == 126

    def test_the_current_folder_of_the_node_stays_as_it_is(self, start):
        before = Path.cwd()

        start("/bin/sh", "-c", ":").wait()

        assert Path.cwd() == before

    def test_the_peak_of_memory_is_known_once_it_is_above_the_workers_own(self, start):
        own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
        size = own + (64 << 20)

        ending = start(sys.executable, "-c", f"x = b'x' * {size}").wait()

        assert ending.exit == 0
        assert size <= ending.peak_memory < 2 * size + (64 << 20)


def is_inheritable(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:
        return False  # it was the one that listed the others


@pytest.fixture
def left_behind() -> subprocess.Popen[bytes]:
    """A process that leads a session of its own."""
    process = subprocess.Popen(["/bin/sh", "-c", "sleep 60 & wait"], start_new_session=True)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_what_a_dead_worker_left_running_is_killed(left_behind, tmp_path) -> None:
    record = tmp_path / "claim"
    record.write_text(json.dumps({"session": left_behind.pid, "identity": identity(left_behind.pid)}))

    claims = kill_recorded([record])

    assert claims == {"claim"}
    assert left_behind.wait() == -signal.SIGKILL
    assert session_members(left_behind.pid) == []


def test_what_went_into_a_group_of_its_own_is_killed_as_well(tmp_path) -> None:
    script = "import os, time; os.fork() or os.setpgid(0, 0) or print(os.getpid(), flush=True); time.sleep(60)"
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        (tmp_path / "claim").write_text(json.dumps({"session": process.pid, "identity": identity(process.pid)}))

        kill_recorded([tmp_path / "claim"])

        assert not lives(child)


def test_a_process_that_only_has_the_same_number_is_spared(left_behind, tmp_path) -> None:
    record = tmp_path / "claim"
    record.write_text(json.dumps({"session": left_behind.pid, "identity": "another boot 1"}))

    claims = kill_recorded([record])

    assert claims == {"claim"}
    assert left_behind.pid in session_members(left_behind.pid)
    assert left_behind.poll() is None


@pytest.mark.parametrize("content", [pytest.param("", id="empty"), pytest.param('{"ses', id="cut off")])
def test_a_record_that_was_not_written_whole_stands_for_a_command_that_never_began(tmp_path, content) -> None:
    (tmp_path / "claim").write_text(content)

    assert kill_recorded([tmp_path / "claim", tmp_path / "gone"]) == {"claim", "gone"}


def test_a_group_is_sampled_as_a_whole(left_behind) -> None:
    sample = eventually(lambda: (found := sample_group(left_behind.pid)) and found.processes == 2 and found)

    assert sample.resident <= sample.total
    assert sample_group(2**22 + 1) is None


#: A worker of three slots that does nothing but start commands which run for ever, until it is killed itself.
_WORKER = """
import os, sys, threading
from pathlib import Path
from sparkles.backends.local.runtime import HostRuntime, lead_session
from sparkles.ports.runtime import Launch

lead_session()
root = Path(sys.argv[1])
runtime = HostRuntime(root / "running")

def serve(slot):
    for number in range(1000):
        claim = f"{slot}.{number}"
        argv = ["/bin/sh", "-c", f"echo $$ > started/{claim}; sleep 60 & exec sleep 60"]
        launch = Launch(claim=claim, argv=argv, env={"PATH": os.defpath}, folder=root, log=root / "log")
        runtime.start(launch)

for slot in range(3):
    threading.Thread(target=serve, args=[slot]).start()
"""


@pytest.mark.process
@pytest.mark.parametrize("begun", [0, 1, 2, 5, 9, 14, 20])
def test_whenever_a_worker_is_killed_all_that_it_has_started_is_found(tmp_path, begun) -> None:
    started, running = tmp_path / "started", tmp_path / "running"
    started.mkdir()
    running.mkdir()
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, str(tmp_path)], start_new_session=True)
    eventually(lambda: len(list(running.iterdir())) >= begun)
    worker.kill()
    worker.wait()

    claims = kill_recorded(list(running.iterdir()))

    assert session_members(worker.pid) == []
    assert {path.name for path in started.iterdir()} <= claims
    assert not any(lives(int(pid)) for path in started.iterdir() if (pid := path.read_text()))
