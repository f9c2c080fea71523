"""VMs that are processes: they run the scripts of their metadata, and nothing of them outlives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, eventually, lives
from gcp.gce import metadata
from gcp.gce.booting import Vm
from gcp.gce.guests import Guest
from gcp.gce.processes import ProcessBooter, ProcessMachine

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")

Boot = Callable[..., ProcessMachine]
_PID = "echo pid $$; "


@pytest.fixture
def booter(tmp_path: Path) -> Iterator[ProcessBooter]:
    with closing(ProcessBooter(tmp_path / "vms")) as booter:
        yield booter


@pytest.fixture
def boot(booter: ProcessBooter) -> Boot:
    def boot(script: str, *, number: str = "1", **others: str) -> ProcessMachine:
        scripts = {"startup-script": f"#!/bin/bash\n{script}\n", **{k.replace("_", "-"): v for k, v in others.items()}}
        items = [{"key": key, "value": value} for key, value in scripts.items()]
        properties = {"machineType": "e2-small", "metadata": {"items": items}}
        vm = Vm(name="vm", id=number, project="p", project_number="2", zone="z", properties=properties)
        return booter.boot(vm, partial(metadata.answer, Guest(vm)))

    return boot


def printed(machine: ProcessMachine, text: str) -> str:
    return eventually(lambda: machine.serial() if text in machine.serial() else None)


def pid_in(text: str) -> int:
    return int(text.partition("pid ")[2].split()[0])


def test_it_runs_its_startup_script_and_stays_on(boot: Boot) -> None:
    machine = boot(
        'curl -sf -H Metadata-Flavor:Google "http://$GCE_METADATA_HOST/computeMetadata/v1/instance/name"; echo " here"'
    )

    assert printed(machine, "here") == "vm here\n"
    assert machine.is_running


def test_the_button_is_a_signal_to_all_of_it(boot: Boot) -> None:
    machine = boot("trap 'wait; echo outer ends; exit' TERM\n"
                   "(trap 'echo inner ends; exit' TERM; echo ready; while :; do sleep 0.02; done) &\nwait")  # fmt: skip
    printed(machine, "ready")

    machine.stop(grace=20)

    assert not machine.is_running
    assert "inner ends\nouter ends\n" in machine.serial()


def test_the_button_runs_its_shutdown_script(boot: Boot) -> None:
    machine = boot("echo ready; sleep 1000", shutdown_script="#!/bin/sh\nsleep 0.2; echo bye\n")
    printed(machine, "ready")

    machine.stop(grace=20)

    assert machine.serial().endswith("bye\n")


def test_who_does_not_heed_the_button_is_killed_after_the_grace(boot: Boot) -> None:
    machine = boot("trap '' TERM; setsid sleep 1000 & echo ready; wait")
    printed(machine, "ready")

    machine.stop(grace=0.3)

    assert not machine.is_running


def test_nothing_escapes_when_the_power_is_cut(boot: Boot) -> None:
    machine = boot(f"setsid bash -c '{_PID} exec sleep 1000' & disown; sleep 1000")
    pid = pid_in(printed(machine, "pid"))

    machine.kill()

    assert not lives(pid)


def test_it_can_switch_itself_off(boot: Boot) -> None:
    machine = boot("echo going; poweroff; sleep 1000")

    machine.wait()

    assert machine.serial() == "going\n"


def test_it_does_not_outlive_the_simulator(tmp_path: Path) -> None:
    program = f"""
import os, signal, time
from pathlib import Path
from gcp.gce.booting import Vm
from gcp.gce.processes import ProcessBooter
items = [{{"key": "startup-script", "value": "#!/bin/bash\\n{_PID} setsid sleep 1000"}}]
vm = Vm(name="vm", id="1", project="p", project_number="2", zone="z", properties={{"metadata": {{"items": items}}}})
machine = ProcessBooter(Path({str(tmp_path / "vms")!r})).boot(vm, None)
while not (text := machine.serial()).endswith("\\n"):
    time.sleep(0.02)
print(machine.pid, text, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    started = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert started.returncode == -signal.SIGKILL, started.stderr
    first, script = int(started.stdout.split()[0]), pid_in(started.stdout)
    eventually(lambda: not lives(first) and not lives(script))


def test_what_would_change_this_machine_is_only_written_down(boot: Boot, booter: ProcessBooter) -> None:
    machine = boot("mount -o remount,exec /var/lib/sparkles; mkfs.ext4 /dev/sdb && echo done")
    printed(machine, "done")

    kept = booter.folder / "vm-1"
    assert booter.recorded("vm") == [f"mount -o remount,exec {kept}/var/lib/sparkles", "mkfs.ext4 /dev/sdb"]


def test_its_containers_end_with_it(boot: Boot, api: Any, busybox: str) -> None:
    ours, other = (
        api.create_container(busybox, ["sleep", "1000"], labels={"sparkles.node": f"{vm}-abcd"})["Id"]
        for vm in ("731", "7310")
    )
    for container in (ours, other):
        api.start(container)
    machine = boot("sleep 1000", number="731")

    machine.kill()

    left = [found["Id"] for found in api.containers(all=True, filters={"label": "sparkles.node"})]
    api.remove_container(other, force=True)
    assert (ours in left, other in left) == (False, True)


class TestDocker:
    """`docker` in such a VM."""

    def test_a_command_in_an_image_runs_on_this_python(self, boot: Boot) -> None:
        machine = boot(
            "NAMED=inherited LEFT=behind docker run --rm --network host -e A='b  c' -e NAMED -e NONE python:3.13-slim "
            'python -c \'import os; print(*map(os.environ.get, ("A", "NAMED", "LEFT", "NONE")), sep="|")\''
        )

        assert printed(machine, "\n") == "b  c|inherited|None|None\n"

    def test_its_exit_code_is_that_of_the_command(self, boot: Boot) -> None:
        machine = boot("docker run --rm image sh -c 'exit 7'; echo code $?")

        assert printed(machine, "code") == "code 7\n"

    def test_when_a_container_ends_so_does_what_it_started(self, boot: Boot, tmp_path: Path) -> None:
        (tmp_path / "sleeper").write_text(f"{_PID} exec sleep 1000")

        machine = boot(f"docker run --rm image sh -c 'setsid sh {tmp_path}/sleeper & sleep 0.2'; echo over")

        assert not lives(pid_in(printed(machine, "over")))

    def test_one_in_the_background_is_waited_for_and_stopped(self, boot: Boot) -> None:
        machine = boot("""
            docker run -d --name work image sh -c 'echo hello; trap "exit 5" TERM; while :; do sleep 0.02; done'
            until [ "$(docker logs work)" ]; do sleep 0.02; done
            echo runs $(docker ps); docker stop -t 5 work; docker wait work; docker logs work
            docker rm -f work; docker ps -a; echo over
        """)

        assert printed(machine, "over").split("\n")[:-1] == ["work", "runs work", "work", "5", "hello", "work", "over"]

    def test_one_in_the_background_says_which_process_it_is(self, boot: Boot) -> None:
        machine = boot("""
            docker run -d --name work image sh -c 'echo up; sleep 1000'
            until [ "$(docker logs work)" ]; do sleep 0.02; done
            pid=$(docker inspect --format '{{.State.Pid}}' work)
            echo parents $(ps -o comm= -p $(cat /proc/$pid/task/$pid/children)); echo over
        """)

        assert "parents sh\n" in printed(machine, "over")

    def test_an_image_that_is_not_there(self, boot: Boot, booter: ProcessBooter) -> None:
        booter.lose_images("gone@sha256:1")

        machine = boot("docker pull other && docker pull gone@sha256:1; echo code $?")

        assert "manifest unknown" in printed(machine, "code 1")

    def test_an_image_in_a_registry_of_this_machine_is_really_pulled(self, boot: Boot, api: Any) -> None:
        machine = boot("docker pull 127.0.0.1:1/none:latest; echo code $?")

        assert "connection refused" in printed(machine, "code 1")

    def test_a_password_is_read_and_forgotten(self, boot: Boot) -> None:
        machine = boot("echo secret | docker login -u oauth2accesstoken --password-stdin https://eu-docker.pkg.dev")

        assert printed(machine, "\n") == "Login Succeeded\n"

    @pytest.mark.parametrize("words", ["build .", "run -v /a:/b image true", "inspect work"])
    def test_what_it_cannot_do_it_refuses(self, boot: Boot, words: str) -> None:
        machine = boot(f"docker {words} || echo refused")

        assert "not simulated" in printed(machine, "refused")
