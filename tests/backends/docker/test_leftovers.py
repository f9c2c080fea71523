"""Containers that a dead worker may have left, by its records. (tests/cli/test_images.py kills a real worker.)"""

from __future__ import annotations

import gc
import json
from contextlib import closing

import pytest
from engine import containers

from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.leftovers import remove_of_machine, remove_recorded
from sparkles.backends.process import boot_id
from sparkles.errors import BackendError


def test_what_runs_is_removed_and_what_was_only_asked_for_does_no_harm(api, busybox, tmp_path) -> None:
    api.create_container(busybox, ["sleep", "600"], name="sparkles-ran", labels={"sparkles.node": "dead"})
    api.start("sparkles-ran")
    record = json.dumps({"engine": Engine().address, "boot": boot_id()})
    for claim in ("ran", "never"):
        (tmp_path / claim).write_text(record)
    (tmp_path / "torn").write_text(record[:9])

    # Asked for, and made when the worker was dead already.
    api.create_container(busybox, ["sleep", "600"], name="sparkles-late", labels={"sparkles.node": "dead"})

    claims = remove_recorded([*tmp_path.iterdir(), tmp_path / "gone"], node="dead")

    assert claims == {"ran", "never", "torn", "gone"}
    assert containers(api, sparkles_node="dead") == []


# The docker library leaves a connection that failed to the garbage collector, which complains.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_only_after_a_restart_a_silent_engine_has_nothing_running(tmp_path) -> None:
    record = {"engine": f"unix://{tmp_path}/none.sock", "boot": "another"}
    (tmp_path / "claim").write_text(json.dumps(record))

    assert remove_recorded([tmp_path / "claim"], node="n") == {"claim"}

    (tmp_path / "claim").write_text(json.dumps({**record, "boot": boot_id()}))
    with pytest.raises(BackendError, match="no docker engine answers"):
        remove_recorded([tmp_path / "claim"], node="n")
    gc.collect()


def test_all_of_a_machine_goes_and_nothing_of_another(api, busybox) -> None:
    for name, machine in (("one", "m-1"), ("two", "m-1"), ("other", "m-2")):
        labels = {"sparkles.node": name, "sparkles.machine": machine}
        api.create_container(busybox, ["sleep", "600"], name=f"sparkles-{name}", labels=labels)

    with closing(Engine()) as engine:
        remove_of_machine(engine, "m-1")
        left = containers(api, sparkles_machine="m-1"), containers(api, sparkles_machine="m-2")
        remove_of_machine(engine, "m-2")

    assert left == ([], ["sparkles-other"])
