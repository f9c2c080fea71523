"""Nodes with a machine of their own, whole: the startup script and the worker run in VMs of the simulator.

Its VMs are processes; the tasks run in real containers, of the engine of this machine.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from conftest import User, eventually
from contracts.nouns import a_machine, a_node
from engine import containers
from stores import AtHome

from sparkles.backends.gcp.delivery.worker_lock import worker_lock
from sparkles.backends.gcp.vms.guest import Guest
from sparkles.backends.gcp.vms.node import place_of, read_told
from sparkles.config import Gcp
from sparkles.errors import BackendError
from sparkles.model import NodeState, TaskState

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")


#: The protocol's times, much shorter than they are.
_TIMING = {"beat": 1.0, "commit_gap": 0.02, "idle_look": 2.0, "sweep": 1.0, "look": 0.5, "heal": 1.0, "grace": 2.0}

#: The request to make a machine anew.
_RECREATE = "compute.regionInstanceGroupManagers.recreateInstances"

#: Runs until it is told to end.
_WAITING = "until [ -e /tmp/end ]; do sleep 0.1; done"


@pytest.fixture
def user(cloud: Any, registry: Any, api: Any, busybox: str, tmp_path: Path) -> Iterator[User]:
    """Someone whose nodes are VMs, and whose image is in a registry; that of the worker has what it needs, it says."""
    image = registry.push(api, busybox, name="busybox").tagged
    worker = registry.push(api, busybox, name="worker", tag=worker_lock().tag)
    for name in ("folder", "home"):
        (tmp_path / name).mkdir()
    user = User(folder=tmp_path / "folder", home=tmp_path / "home", stores=AtHome(tmp_path / "home/sparkles"))
    more = {"SPARKLES_COMPUTE": "vm", "SPARKLES_REGION": "us-central1", "SPARKLES_WORKER_IMAGE": worker.repository}
    user.env |= {**cloud.environment, **more, "SPARKLES_TIMING": json.dumps(_TIMING), "IMAGE": image}
    # No other test has such a job, whose containers the engine would show as well.
    user.env["JOB"] = f"vm-{os.urandom(4).hex()}"
    cloud.compute.lives.grace = 5.0
    yield user
    cloud.compute.reset()
    for name in containers(api, sparkles_task=f"{user.env['JOB']}.1"):
        api.remove_container(name, force=True)


@pytest.fixture
def state(cloud: Any) -> Iterator[Any]:
    """The state of the jobs."""
    from sparkles.backends.gcp.backend import namespace_of
    from sparkles.backends.gcp.datastore import Datastore
    from sparkles.backends.gcp.state import DatastoreState

    store = Datastore(project=cloud.project, database="(default)", namespace=namespace_of(cloud.bucket), patience=20.0)
    with closing(DatastoreState(store)) as state:
        yield state


def begin(user: User, api: Any, **nodes: str) -> str:
    """Submit a task that runs until it is told to end; return its container."""
    spec = {"image": user.env["IMAGE"], "command": ["sh", "-c", _WAITING], "nodes": nodes}
    job = {"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": user.env["JOB"]}, "spec": spec}
    user.write("job.yaml", json.dumps(job))
    user.ok("apply", "job.yaml", timeout=60)
    return running(user, api)


def running(user: User, api: Any, *, but: str = "") -> str:
    """Wait for the task's container, or another one than that, and return its name."""
    task = f"{user.env['JOB']}.1"
    return str(eventually(lambda: next(iter({*containers(api, sparkles_task=task)} - {but}), None), within=60))


def worker_of(node: Any, booter: Any) -> int:
    """Return the process of a node's worker."""
    mark = f"VM_FOLDER={booter.folder / f'{node.instance}-{node.instance_id}'}"
    return eventually(
        lambda: next((pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_worker(pid, mark)), None)
    )


def _is_worker(pid: int, mark: str) -> bool:
    try:
        words, variables = (
            (Path("/proc") / str(pid) / name).read_text().split("\0") for name in ("cmdline", "environ")
        )
    except OSError:  # it ended meanwhile
        return False
    return words[1:3] == ["-m", "sparkles.node"] and mark in variables


def tell(container: str, api: Any) -> None:
    """Tell the task in a container to end."""
    eventually(lambda: api.inspect_container(container)["State"]["Running"])
    api.exec_start(api.exec_create(container, ["touch", "/tmp/end"])["Id"])


def end(user: User, state: Any, api: Any, *, but: str) -> Any:
    """Wait until the task runs again, have it end, and return it."""
    again = running(user, api, but=but)
    tell(again, api)
    user.ok("wait", user.env["JOB"], timeout=60)
    (task,) = state.tasks(user.env["JOB"])
    assert task.state is TaskState.SUCCEEDED
    return task


def the_node(state: Any) -> Any:
    """Return the one node that there is."""
    (node,) = eventually(state.nodes)
    return node


def test_a_task_runs_in_its_image_on_a_machine_that_goes_afterwards(user, cloud, state, api) -> None:
    container = begin(user, api, linger="0s")
    before = the_node(state)
    tell(container, api)
    cloud.compute.wait_until(lambda: not cloud.compute.instances, within=60)

    after = state.read([before.key])[before.key]
    assert after.state is NodeState.GONE
    assert {"boot", "images", "worker"} <= set(after.phases)
    assert [task.state for task in state.tasks(user.env["JOB"])] == [TaskState.SUCCEEDED]
    assert [group.target for group in cloud.compute.groups.values()] in ([], [0])
    assert containers(api, sparkles_machine=before.instance_id) == []


def test_a_machine_that_is_taken_away_gives_its_task_back_at_no_cost(user, cloud, state, api) -> None:
    container = begin(user, api, provisioning="spot")
    node = the_node(state)

    cloud.compute.preempt(node.instance)

    task = end(user, state, api, but=container)
    assert (task.attempts, task.losses, task.failures) == (1, 0, 0)
    assert state.read([node.key])[node.key].state is NodeState.GONE


def test_a_worker_that_is_told_to_end_has_its_machine_made_anew(user, cloud, state, api, process_booter) -> None:
    container = begin(user, api)
    node = the_node(state)

    os.kill(worker_of(node, process_booter), signal.SIGTERM)

    task = end(user, state, api, but=container)
    assert (task.attempts, task.losses) == (1, 0)
    assert state.read([node.key])[node.key].state is NodeState.GONE
    assert the_node(state).instance_id != node.instance_id
    assert cloud.compute.count(_RECREATE) > 0


def test_the_next_worker_of_a_machine_gives_back_what_the_first_one_held(
    user, cloud, state, api, process_booter
) -> None:
    container = begin(user, api)
    node = the_node(state)

    os.kill(worker_of(node, process_booter), signal.SIGKILL)

    task = end(user, state, api, but=container)
    assert (task.attempts, task.losses) == (2, 1)
    assert state.read([node.key])[node.key].state is NodeState.GONE
    assert the_node(state).instance_id == node.instance_id


# What it is told


def told(**fields: Any) -> Mapping[str, str]:
    known = {key: value for key, value in asdict(Gcp(project="p", zones=["z-a"])).items() if key != "origins"}
    machine = {**asdict(a_machine()), **fields}
    about = {"gcp": known, "cluster": "s-1", "group": "s-1-od", "slots": 2, "machine": machine}
    return {"SPARKLES_VM": json.dumps(about), "SPARKLES_PHASES": "boot=12.5\nimages=3.00"}


def test_what_the_script_hands_on_is_what_the_machine_was_told() -> None:
    read = read_told({**told(), "SPARKLES_DEVICES": "/dev/nvidia0\n/dev/nvidiactl"})

    assert read.machine == a_machine()
    assert read.phases == {"boot": 12.5, "images": 3.0}
    assert read.devices == ("/dev/nvidia0", "/dev/nvidiactl")


def test_the_life_of_a_machine_is_over_so_long_after_its_script_began(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SPARKLES_HOME", str(tmp_path))

    place = place_of(read_told(told(max_life=100.0)), a_node("7-b", instance_id="7"), Guest())

    assert place.end == 112.5
    place.leave()


def test_a_node_without_a_startup_script_says_so() -> None:
    with pytest.raises(BackendError, match="startup script"):
        read_told({})
