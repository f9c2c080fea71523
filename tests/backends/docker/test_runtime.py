"""Commands as containers of a real engine: the contract, who owns what they leave, and what to say when one fails."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FuturesTimeout
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from conftest import ROOT, eventually
from contracts.runtime import RuntimeContract
from cut import Cuttable
from docker.errors import APIError
from engine import busybox_files, containers

from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.outfit import Bind, Outfit
from sparkles.backends.docker.ownership import reclaim
from sparkles.backends.docker.runtime import DockerRuntime
from sparkles.errors import BackendError, LaunchError
from sparkles.ports.runtime import Launch

pytestmark = pytest.mark.process

MACHINES = {"x86_64": b"\x3e\x00", "aarch64": b"\xb7\x00"}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    (tmp_path / "containers").mkdir()
    return tmp_path / "containers"


@pytest.fixture
def engine(api):
    with closing(Engine()) as engine:
        yield engine


class TestDockerRuntime(RuntimeContract):
    @pytest.fixture
    def node(self, tmp_path: Path, api):
        yield tmp_path.name
        assert containers(api, sparkles_node=tmp_path.name) == []

    @pytest.fixture
    def runtime(self, records: Path, engine: Engine, node: str) -> DockerRuntime:
        return DockerRuntime(engine, records, node=node)

    @pytest.fixture
    def image(self, busybox: str) -> str:
        return busybox

    def test_a_command_has_a_record_and_a_labelled_container_while_it_runs(self, start, records, api, node):
        command = start("/bin/sh", "-c", "sleep 60", claim="4711")
        record = json.loads((records / "4711").read_text())
        during = containers(api, sparkles_node=node, sparkles_claim="4711")

        command.signal(signal.SIGKILL)
        command.wait()

        assert record["engine"].startswith("unix://")
        assert during == ["sparkles-4711"]
        assert list(records.iterdir()) == []
        assert containers(api, sparkles_claim="4711") == []

    @pytest.mark.parametrize(
        ("content", "mode", "word", "code", "advice"),
        [
            pytest.param("#!/bin/sh\n", 0o755, "fit", 127, r"to run the uploaded file write \./fit", id="no slash"),
            pytest.param("#!/no/such\n", 0o755, "./fit", 127, "first line was not found in the image", id="#!"),
            pytest.param("#!/bin/sh\n", 0o644, "./fit", 126, r"not executable; chmod \+x it", id="mode"),
            pytest.param("", 0o755, "./else", 127, "command not found in the image", id="nothing there"),
            pytest.param("", 0o755, "/bin/bash", 127, "command not found in the image", id="only on this machine"),
            pytest.param("", 0o755, "no\nsuch", 127, "command not found in the image", id="two lines"),
        ],
    )
    def test_a_launch_that_fails_says_what_to_do_and_nothing_else(
        self, start, folder, log, content, mode, word, code, advice
    ):
        (folder / "fit").write_text(content)
        (folder / "fit").chmod(mode)
        log.write_bytes(b"before\n")

        with pytest.raises(LaunchError, match=advice) as error:
            start(word).wait()

        assert error.value.exit == code
        assert log.read_bytes() == b"before\n"

    def test_a_command_that_says_what_the_engine_would_say_is_believed(self, start, log):
        words = "[FATAL tini (7)] exec x failed: No such file or directory"

        ending = start("/bin/sh", "-c", f"echo '{words}'; echo more; exit 127").wait()

        assert ending.exit == 127
        assert log.read_text() == f"{words}\nmore\n"

    def test_an_image_for_another_machine_is_an_error_of_the_launch(self, runtime, make_image, folder, log):
        files = busybox_files()
        program = bytearray(files["bin/busybox"])
        program[18:20] = MACHINES["x86_64" if os.uname().machine == "aarch64" else "aarch64"]
        image = make_image("other-machine", {**files, "bin/busybox": bytes(program)})
        launch = Launch(claim="a", argv=["echo"], env={}, folder=folder, log=log, image=image)

        with pytest.raises(LaunchError, match=r"echo: made for another kind of machine than this one") as error:
            runtime.start(launch).wait()

        assert error.value.exit == 126
        assert log.read_bytes() == b""

    def test_an_entrypoint_is_not_run_and_that_is_said_when_its_program_is_missed(self, runtime, make_image, log):
        image = make_image("entry", None, 'ENTRYPOINT ["/bin/busybox", "env"]', 'CMD ["seq", "3"]')
        launch = Launch(claim="e", argv=["echo", "mine"], env={}, folder=log.parent, log=log, image=image)

        runtime.start(launch).wait()
        with pytest.raises(LaunchError, match="write it first: /bin/busybox env --of-entry"):
            runtime.start(replace(launch, argv=["--of-entry"])).wait()

        assert log.read_text() == "mine\n"

    def test_a_command_that_needs_more_memory_than_it_may_use_is_out_of_memory(self, start):
        ending = start("/bin/sh", "-c", "x=$(head -c 99999999 /dev/zero | tr '\\0' x); echo $x", memory=16 << 20).wait()

        assert ending.out_of_memory
        assert ending.exit != 0

    def test_a_command_that_fails_otherwise_is_not(self, start):
        assert not start("/bin/sh", "-c", "kill -KILL $$", memory=16 << 20).wait().out_of_memory

    def test_a_limit_that_the_engine_refuses_is_an_error_of_the_launch(self, start, records):
        with pytest.raises(LaunchError, match=r"(?i)minimum memory limit"):
            start("/bin/true", memory=1000)

        assert list(records.iterdir()) == []

    def test_the_peak_of_memory_is_that_of_all_processes(self, start):
        half = "x=$(head -c 30000000 /dev/zero | tr '\\0' x); sleep 1"

        peak = start("/bin/sh", "-c", f"({half}) & ({half}) & wait").wait().peak_memory

        assert 60_000_000 <= peak < 600_000_000

    def test_files_are_the_submitters_whoever_the_image_makes_its_user(self, runtime, engine, make_image, folder, log):
        folder.chmod(0o777)
        image = make_image("user", None, "USER 4321:4321")
        engine._facts = replace(engine.facts, user="1234:1235")
        make = "mkdir d; echo x > d/f; chmod 600 d/f; chown 77 d/f 2> /dev/null"
        line = f"{make} || id -u; echo $HOME; touch $HOME/.cache"
        launch = Launch(claim="u", argv=["/bin/sh", "-c", line], env={}, folder=folder, log=log, image=image)

        runtime.start(launch).wait()

        owners = {(path.stat().st_uid, path.stat().st_gid) for path in (folder / "d", folder / "d" / "f")}
        assert owners == {(1234, 1235)}
        assert log.read_text().splitlines() == ["1234", "/tmp"]

    def test_what_a_rootless_container_left_as_another_user_is_reclaimed(self, engine, folder, busybox):
        inner = folder / "inner"
        inner.mkdir()
        (inner / "file").write_text("x")
        for path in (inner / "file", inner):
            os.chown(path, 4321, 4321)

        reclaim(folder, busybox, engine.api, owner=f"{os.getuid()}:{os.getgid()}")

        assert {path.stat().st_uid for path in (inner, inner / "file")} == {os.getuid()}

    def test_a_container_that_somebody_else_removes_is_lost_and_says_so(self, start, api, records):
        command = start("/bin/sh", "-c", "sleep 60", claim="gone")
        api.remove_container("sparkles-gone", force=True)

        try:
            ending = command.wait()
        except BackendError as error:
            assert "lost" in str(error)  # noqa: PT017 - the engine may still know how it ended
        else:
            assert ending.exit == 128 + signal.SIGKILL
        assert list(records.iterdir()) == []

    def test_what_the_engine_refuses_to_say_of_the_end_is_no_failure_of_the_command(self, start, engine, monkeypatch):
        command = start("/bin/true")
        answer = requests.Response()
        answer.status_code = 500
        monkeypatch.setattr(engine.api, "wait", lambda *_, **__: raising(APIError("500", answer, "out of order")))

        with pytest.raises(BackendError, match="its container was lost"):
            command.wait()

    def test_an_image_that_is_not_here_any_more_is_an_error_of_the_launch(self, runtime, folder, log, records):
        launch = Launch(claim="m", argv=["x"], env={}, folder=folder, log=log, image=f"sha256:{'0' * 64}")

        with pytest.raises(LaunchError, match="build it anew") as error:
            runtime.start(launch)

        assert error.value.exit == 126
        assert list(records.iterdir()) == []

    def test_an_engine_that_will_never_do_is_not_waited_for(self, records, busybox, folder, log, monkeypatch):
        monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waited"))
        runtime = DockerRuntime(Engine("tcp://10.0.0.1:2375"), records, node="n")

        with pytest.raises(LaunchError, match="does not see the folders of this one"):
            runtime.start(Launch(claim="n", argv=["x"], env={}, folder=folder, log=log, image=busybox))

        assert list(records.iterdir()) == []

    def test_a_full_disk_makes_a_container_wait_and_a_kill_ends_that(self, start, log):
        log.symlink_to("/dev/full")
        command = start("/bin/sh", "-c", "echo x; sleep 60")
        eventually(lambda: command.sample() is None or command.sample().processes)

        command.signal(signal.SIGKILL)

        assert command.wait().exit == 128 + signal.SIGKILL


def test_a_task_gets_what_its_machine_has(records, engine, tmp_path, busybox, api):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/data").write_text("from the disk\n")
    bind = Bind(source=str(tmp_path / "disk"), target="/scratch", read_only=True)
    outfit = Outfit(machine="4711", binds=(bind,), devices=("/dev/full",), folders={"PATH": "/scratch", "LIBS": "/l"})
    line = (
        "cat /scratch/data; touch /scratch/x || echo read only; echo x 2>&- >/dev/full || echo full; echo $PATH $LIBS"
    )

    runtime = DockerRuntime(engine, records, node=tmp_path.name, outfit=outfit)
    launch = Launch(
        claim=tmp_path.name, argv=["/bin/sh", "-c", line], env={"LIBS": "/own"}, folder=tmp_path,
        log=tmp_path / "log", image=busybox, work=tmp_path,
    )  # fmt: skip
    ending = runtime.start(launch).wait()

    printed = launch.log.read_text()
    assert ending.exit == 0
    # An engine may hand over the two streams of a container in either order.
    folders = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/scratch /own:/l"
    assert {"from the disk", "read only", "full", folders} < set(printed.splitlines())


@pytest.mark.parametrize(
    ("own", "limit"), [pytest.param(None, 7_000_000, id="the node's"), pytest.param(6_500_000, 6_500_000, id="its own")]
)
def test_a_task_has_a_limit_of_memory_of_its_own_or_the_node_s(records, engine, tmp_path, busybox, api, own, limit):
    runtime = DockerRuntime(engine, records, node=tmp_path.name, outfit=Outfit(machine="4711", memory=7_000_000))
    launch = Launch(
        claim=tmp_path.name, argv=["sleep", "600"], env={}, folder=tmp_path, log=tmp_path / "log", image=busybox,
        work=tmp_path, memory=own,
    )  # fmt: skip

    running = runtime.start(launch)
    made = api.inspect_container(f"sparkles-{tmp_path.name}")
    running.signal(signal.SIGKILL)
    running.wait()

    assert made["HostConfig"]["Memory"] // 4096 == limit // 4096
    assert made["Config"]["Labels"]["sparkles.machine"] == "4711"


def raising(error):
    raise error


@pytest.fixture
def connection(tmp_path: Path, api):
    connection = Cuttable(tmp_path / "engine.sock", Engine().address)
    yield connection
    connection.cut()


@pytest.fixture
def shaky(records: Path, connection: Cuttable, tmp_path: Path, api):
    """A runtime whose engine can get out of reach."""
    with closing(Engine(connection.address)) as engine:
        yield DockerRuntime(engine, records, node=tmp_path.name)
    assert containers(api, sparkles_node=tmp_path.name) == []
    gc.collect()


def test_slots_may_load_the_library_at_the_same_time(api, tmp_path: Path):
    # In a process of its own: here, the library is loaded already. It takes a tenth of a second or two; with one
    # slot coming after the other, some meet in the middle of it.
    program = """
import sys, threading, time
from pathlib import Path
from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.runtime import DockerRuntime
from sparkles.errors import LaunchError
from sparkles.ports.runtime import Launch
folder = Path(sys.argv[1])
runtime = DockerRuntime(Engine(), folder, node="first")
def run(number):
    time.sleep(number / 100)
    image = f"sha256:{'0' * 64}"
    try:
        runtime.start(Launch(claim=str(number), argv=["x"], env={}, folder=folder, log=folder / "log", image=image))
    except LaunchError as error:
        sys.stdout.write(f"{error.exit} ")
threads = [threading.Thread(target=run, args=[number]) for number in range(30)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert (done.stdout.split(), done.stderr) == (["126"] * 30, "")


# The docker library leaves a connection that failed to the garbage collector, which complains.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestAnEngineOutOfReach:
    @pytest.fixture
    def launch(self, tmp_path: Path, busybox: str) -> Launch:
        argv = ["/bin/sh", "-c", "echo up; sleep 600"]
        return Launch(claim=tmp_path.name, argv=argv, env={}, folder=tmp_path, log=tmp_path / "log", image=busybox)

    def test_a_command_is_only_given_up_when_its_container_is_gone(
        self, shaky, connection, launch, records, api, tmp_path
    ):
        running = shaky.start(launch)
        eventually(lambda: launch.log.read_text() == "up\n")
        waiting = ThreadPoolExecutor().submit(running.wait)

        connection.cut()
        with pytest.raises(FuturesTimeout):
            waiting.result(timeout=1.5)
        still_there = containers(api, sparkles_node=tmp_path.name)
        connection.mend()

        with pytest.raises(BackendError, match="its container was lost"):
            waiting.result(timeout=30)
        assert len(still_there) == 1
        assert list(records.iterdir()) == []

    def test_a_start_waits_for_it(self, shaky, connection, launch, records):
        connection.cut()
        starting = ThreadPoolExecutor().submit(shaky.start, launch)
        with pytest.raises(FuturesTimeout):
            starting.result(timeout=1.5)
        connection.mend()

        running = starting.result(timeout=30)
        running.signal(signal.SIGKILL)

        assert running.wait().exit == 128 + signal.SIGKILL
        assert list(records.iterdir()) == []
