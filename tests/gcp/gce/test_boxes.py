"""VMs that are containers: what happens on one happens as on Google's, and nothing of it stays."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engine
import pytest
from gcp.gce import metadata
from gcp.gce.booting import Vm
from gcp.gce.guests import Guest

if TYPE_CHECKING:
    from gcp.gce.boxes import Box, BoxBooter
    from gcp.registry import Registry


ASK = "curl -sSH Metadata-Flavor:Google http://metadata.google.internal/computeMetadata/v1/instance"

#: Runs an image, by its digest. A container has no name for the metadata server, but its address.
STARTUP = f"""#!/bin/bash
image=$({ASK}/attributes/image)
echo "this is $({ASK}/name), $({ASK}/id)"
docker run --rm "$image" \\
    wget -q -O - --header Metadata-Flavor:Google http://169.254.169.254/computeMetadata/v1/instance/name
touch /x
cp /bin/true /var/true && /var/true
docker run -d --oom-score-adj -900 "$image" sleep 86418
echo up
"""


def _vm(name: str, **attributes: str) -> Vm:
    items = [{"key": key.replace("_", "-"), "value": value} for key, value in attributes.items()]
    return Vm(name=name, id=str(sum(name.encode())), project="p", project_number="1", zone="us-central1-a",
              properties={"machineType": "n1-standard-1", "metadata": {"items": items}})  # fmt: skip


@pytest.fixture(scope="module")
def boot(boxes: BoxBooter) -> Callable[..., Box]:
    """Switches a VM on, whose guest is at its `guest`, and waits until it has printed something."""

    def boot(name: str, *, until: str, **attributes: str) -> Any:
        guest = Guest(vm := _vm(name, **attributes))
        box: Any = boxes.boot(vm, partial(metadata.answer, guest))
        box.guest = guest
        _wait(lambda: until in box.serial())
        return box

    return boot


@pytest.fixture(scope="module")
def boot_with_container(boxes: BoxBooter, boot: Callable[..., Box], registry: Registry) -> Callable[[str], Box]:
    """Switches a VM on that has run a container, and runs another."""
    api = engine.connection()
    pushed = registry.push(api, engine.busybox_image(api), name="in-boxes")
    boxes.share(registry.port)
    return partial(boot, until="\nstartup-script: up\n", startup_script=STARTUP, image=pushed.pinned)


@pytest.fixture(scope="module")
def box(boot_with_container: Callable[[str], Box]) -> Box:
    """A VM that is only looked at."""
    return boot_with_container("vm-1")


def test_its_startup_script_is_run_by_googles_own_program(box: Box) -> None:
    assert f"\nstartup-script: this is vm-1, {sum(b'vm-1')}\n" in box.serial()
    assert "\nstartup-script exit status 0\n" in box.serial()


def test_its_own_engine_pulls_by_digest_and_a_container_on_it_knows_which_vm_it_is_on(box: Box) -> None:
    assert "@sha256:" in box.run("docker", "images", "--digests", "--format", "{{.Repository}}@{{.Digest}}")
    assert "startup-script: vm-1" in box.serial()


def test_nothing_but_a_few_folders_can_be_written_and_nothing_written_can_be_executed(box: Box) -> None:
    assert "touch: cannot touch '/x': Read-only file system" in box.serial()
    assert "/var/true: Permission denied" in box.serial()


def test_two_of_them_are_told_apart(box: Box, boot: Callable[..., Box]) -> None:
    other = boot("vm-2", until="exit status", startup_script=f"#!/bin/sh\n{ASK}/name")

    assert "\nstartup-script: vm-2" in other.serial()
    assert box.run("sh", "-c", f"{ASK}/name") == "vm-1"
    other.kill()


def test_one_that_is_taken_away_with_notice_is_told_and_has_its_shutdown_script(boot: Callable[..., Any]) -> None:
    looks = f"#!/bin/sh\nuntil {ASK}/preempted | grep TRUE; do sleep 0.1; done"
    box = boot("vm-3", until="startup", startup_script=looks, shutdown_script="echo going")

    box.guest.preempt()
    _wait(lambda: "startup-script: TRUE" in box.serial())
    box.stop(grace=20)

    assert not box.is_running
    assert "\nshutdown-script: going\n" in box.serial()


def test_one_whose_scripts_do_not_end_is_off_when_its_grace_is_over(boot: Callable[..., Box]) -> None:
    box = boot("vm-4", until="startup", startup_script="echo", shutdown_script="sleep 86400")
    begun = time.monotonic()

    box.stop(grace=2)

    assert 1 < time.monotonic() - begun < 20


def test_one_can_switch_itself_off(boot: Callable[..., Box]) -> None:
    box = boot("vm-5", until="startup", startup_script="poweroff", shutdown_script="echo going")

    box.wait()

    assert not box.is_running
    assert "\nshutdown-script: going\n" in box.serial()


def test_when_its_power_is_cut_nothing_of_it_runs_any_more(boot_with_container: Callable[[str], Box]) -> None:
    box = boot_with_container("vm-6")
    others = _running("sleep 86418") - 1

    box.kill()

    assert not box.is_running
    assert _running("sleep 86418") == others
    assert "\nstartup-script: up\n" in box.serial()


def _running(words: str) -> int:
    """Return how many processes of this machine have these words."""
    wanted = "\0".join([*words.split(), ""]).encode()
    return sum(_words_of(process) == wanted for process in Path("/proc").glob("[0-9]*/cmdline"))


def _words_of(process: Path) -> bytes:
    with suppress(OSError):  # it has just ended
        return process.read_bytes()
    return b""


def _wait(true: Callable[[], bool], *, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
