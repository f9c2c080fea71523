"""Jobs on VMs on bad days: machines are taken away, do not come, or break, and Google does not answer.

Nobody looks after the jobs: the one client there is has submitted them, and is gone. What the tests see of them they
see by reading the records. After each: every task has one result, the one that its record names, and no VM is left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from conftest import User, eventually

from sparkles.model import OPEN, Key, Task, TaskState

pytestmark = pytest.mark.in_cloud

#: The protocol's times, all of them shorter by about the same factor.
_QUICK = {"lease": 9.0, "claim_margin": 4.0, "term_margin": 3.0, "kill_margin": 1.5, "silence": 11.0, "beat": 1.0,
          "look": 0.5, "idle_look": 2.0, "sweep": 2.0, "heal": 1.0, "grace": 1.0, "upload_patience": 30.0}  # fmt: skip


@pytest.fixture
def hasty(owner: User) -> User:
    """The owner, whose nodes give each other up soon."""
    owner.set_timing(**_QUICK)
    return owner


class Watched:
    """A job that nobody looks after; it is only looked at."""

    def __init__(self, user: User, machines: Any, state: Any, name: str, *, booted: Path) -> None:
        self._user, self._machines, self._state, self.name = user, machines, state, name
        #: Where each machine that ever came up has a folder.
        self._booted = booted

    @property
    def boots(self) -> int:
        """How many machines have come up for it."""
        return len(list(self._booted.glob(f"{self.cluster}-*")))

    @property
    def cluster(self) -> str:
        """The cluster whose nodes serve it."""
        return str(self._state.read([Key.job(self.name)])[Key.job(self.name)].cluster)

    @property
    def tasks(self) -> Sequence[Task]:
        """All its tasks."""
        return list(self._state.tasks(self.name))

    def wait_for(self, state: TaskState, number: int, *, within: float = 60.0) -> None:
        """Wait until so many tasks are in this state."""
        eventually(lambda: self._state.counts(self.name).get(state, 0) >= number, within=within)

    @property
    def is_open(self) -> bool:
        """Whether any task has not ended."""
        return bool(self._state.is_open(self.name))

    def workers(self) -> list[str]:
        """Return the machines that hold tasks now."""
        holders = {task.node for task in self._state.tasks(self.name, states=[TaskState.CLAIMED])}
        return [node.instance for node in self._state.nodes() if node.name in holders and node.instance]

    def lose_one(self, *, notice: bool) -> None:
        """Take a machine away that holds tasks; one that has left by itself since they were read does not count."""

        def is_lost() -> bool:
            with suppress(KeyError):
                self._machines.preempt(random.choice(eventually(self.workers)), notice=notice)
                return True
            return False

        eventually(is_lost)

    def end(self, *, within: float = 60.0) -> Sequence[Task]:
        """Wait until all is over and no machine is left; return the tasks, each of which has its one result."""
        eventually(lambda: not self.is_open, within=within)
        self._machines.wait_until(lambda: not self._machines.instances, within=60)
        assert {group.target for group in self._machines.groups.values()} <= {0}
        tasks = self.tasks
        for task in tasks:
            results = f"{self.name}/{task.index}"
            assert task.state is TaskState.SUCCEEDED, task
            assert task.result_generation == str(self._user.stores.objects()[f"{results}/result.json"])
            assert self._user.log(task.id) == f"{task.index}\n"
        return tasks


Submit = Callable[..., Watched]


@pytest.fixture
def submit(hasty: User, machines: Any, tools: str, process_booter: Any) -> Iterator[Submit]:
    """Submits a job, and has no client left."""
    with hasty.stores.state() as state:

        def submit(name: str, *, tasks: int, slots: int = 2, seconds: float = 0.0, **nodes: Any) -> Watched:
            command = ["sh", "-c", f"sleep {seconds}; echo {{index}}"]
            spec = {"image": tools, "command": command, "parameters": {"seq": tasks}, "resources": {"slots": slots},
                    "nodes": {"linger": "0s", **nodes}}  # fmt: skip
            job = {"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
            hasty.write("job.json", json.dumps(job))
            hasty.ok("apply", "job.json", timeout=100)
            return Watched(hasty, machines, state, name, booted=process_booter.folder)

        yield submit
        # Seen if the test has failed.
        print(*state.nodes(), *machines.groups.values(), sep="\n")
        print(*(task for job in state.jobs() for task in state.tasks(job.name, states=OPEN)), sep="\n")
        print(*state.read([Key.cluster(job.cluster) for job in state.jobs()]).values(), sep="\n")
    for instance in machines.instances:
        print(f"--- {instance.vm.name}", machines.serial(instance.vm.name), sep="\n")


@pytest.mark.timeout(300)
def test_machines_are_taken_away_all_the_time(submit: Submit, machines: Any) -> None:
    job = submit("sweep", tasks=200, slots=4, seconds=0.2, max=4, provisioning="spot")

    for done in range(20, 181, 20):  # every few seconds
        job.wait_for(TaskState.SUCCEEDED, done)
        machines.behaviour.repair_keeps_name = done < 100
        job.lose_one(notice=done % 60 != 0)

    tasks = job.end(within=120)
    assert len(tasks) == 200
    assert all(task.attempts == 1 + task.losses and task.failures == 0 for task in tasks)
    assert max(task.losses for task in tasks) <= 3  # machines that went without a word


def test_all_machines_are_gone_at_once(submit: Submit, machines: Any) -> None:
    job = submit("sweep", tasks=12, seconds=1, max=3, provisioning="spot")
    job.wait_for(TaskState.CLAIMED, 6)

    for instance in machines.instances:
        machines.preempt(instance.vm.name, notice=False)

    tasks = job.end()
    assert sum(task.losses for task in tasks) >= 3
    assert all(task.attempts == 1 + task.losses for task in tasks)


def test_a_quota_for_one_machine_boots_no_other_when_it_is_lifted(submit: Submit, machines: Any) -> None:
    machines.quota("CPUS", 1)
    job = submit("sweep", tasks=5, slots=1, max=5)
    tasks = job.end()

    machines.restock()
    machines.wait_for_quiet()

    assert {task.attempts for task in tasks} == {1}
    assert job.boots == 1


def test_machines_that_come_after_a_stockout_do_all_the_work(submit: Submit, machines: Any) -> None:
    machines.stockout()
    job = submit("sweep", tasks=6, max=2)
    (group,) = machines.groups.values()
    machines.wait_until(lambda: [member for member in group.members.values() if member.errors])

    machines.restock()

    assert {task.attempts for task in job.end()} == {1}
    assert job.boots <= 2


def test_a_worker_that_does_not_have_its_checksum_is_said_and_not_tried_for_ever(
    hasty: User, submit: Submit, machines: Any
) -> None:
    machines.stockout()
    job = submit("sweep", tasks=4, max=2)
    spoil_program(hasty, machines)
    machines.restock()
    eventually(lambda: job.boots == 2)
    machines.wait_until(lambda: not machines.instances)  # nobody asks for more
    boots_without_a_client = job.boots

    watched = hasty("watch", "sweep", timeout=100)

    assert boots_without_a_client == 2
    assert watched.returncode == 3
    assert "does not have its checksum" in watched.stdout + watched.stderr
    assert "does not have its checksum" in hasty.ok("why", "sweep")
    assert job.boots <= 3 * 2
    machines.wait_until(lambda: not machines.instances)
    assert {group.target for group in machines.groups.values()} <= {0}


def spoil_program(user: User, machines: Any) -> None:
    """Change a bit of what the machines are to fetch as their program."""
    (template,) = machines.world.templates.values()
    items = {item["key"]: item["value"] for item in template.said["properties"]["metadata"]["items"]}
    name = unquote(items["sparkles-program"].split()[1])
    path = user.stores.cloud.storage.holdings.bucket(user.stores.cloud.bucket).live(name).content.path
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def test_standard_machines_finish_what_spot_ones_cannot(submit: Submit, machines: Any) -> None:
    job = submit("sweep", tasks=8, slots=1, seconds=1, max=2, provisioning="spot", onDemandAfter=1)

    while job.is_open:
        for instance in machines.instances:
            if instance.vm.spot and instance.status == "RUNNING" and instance.vm.name in job.workers():
                machines.preempt(instance.vm.name)
        time.sleep(0.1)

    tasks = job.end()
    assert {task.losses for task in tasks} == {0}
    assert {task.attempts for task in tasks} == {1}
    assert any(name.endswith("-od") for name in machines.groups)


def test_a_job_is_made_smaller_and_larger_while_it_runs(hasty: User, submit: Submit, machines: Any) -> None:
    job = submit("sweep", tasks=40, slots=1, seconds=0.8, max=3)
    eventually(lambda: len(set(job.workers())) == 3, within=60)

    hasty.ok("scale", "sweep", "1", timeout=100)
    machines.wait_until(lambda: len(machines.instances) == 1)
    hasty.ok("scale", "sweep", "2", timeout=100)
    machines.wait_until(lambda: len(machines.instances) == 2)

    assert {task.attempts for task in job.end()} == {1}
    assert job.boots == 4


def test_a_kill_ends_the_machines(hasty: User, submit: Submit, machines: Any) -> None:
    job = submit("sweep", tasks=4, slots=1, seconds=1000, max=2)
    eventually(lambda: len(set(job.workers())) == 2, within=60)

    hasty.ok("kill", "sweep", timeout=100)

    machines.wait_until(lambda: not machines.instances, within=20)
    assert {task.state for task in job.tasks} == {TaskState.KILLED}
    assert {group.target for group in machines.groups.values()} <= {0}


_GROUPS = "compute.regionInstanceGroupManagers"
_CALLS = [f"{_GROUPS}.{call}" for call in ("get", "listManagedInstances", "resize", "deleteInstances")]


@pytest.mark.parametrize("status", [503, 429])
def test_google_has_no_time(submit: Submit, machines: Any, status: int) -> None:
    for call in _CALLS:
        machines.faults.fail(call, status, times=3)

    tasks = submit("sweep", tasks=6, max=2).end(within=90)

    assert {task.attempts for task in tasks} == {1}
    assert machines.faults.armed == 0


def test_google_does_not_say_that_it_has_done_something(submit: Submit, machines: Any) -> None:
    for call in _CALLS:
        machines.faults.lose_reply(call, times=2)

    job = submit("sweep", tasks=6, max=2)

    assert {task.attempts for task in job.end(within=90)} == {1}
    assert job.boots == 2


def test_a_machine_waits_for_what_it_is_to_be_told(submit: Submit, machines: Any) -> None:
    machines.lives.deaf_requests = 8  # more than a few tries
    job = submit("sweep", tasks=2, max=1)

    assert {task.attempts for task in job.end()} == {1}
    assert job.boots == 1


def test_an_engine_that_starts_again_does_not_cost_the_machine(
    submit: Submit, machines: Any, process_booter: Any
) -> None:
    job = submit("sweep", tasks=4, slots=2, seconds=2, max=1)
    job.wait_for(TaskState.CLAIMED, 2)
    (machine,) = machines.instances

    with process_booter.without_engine():
        os.kill(process_booter.worker(machine.vm), signal.SIGKILL)  # the engine takes it along
        time.sleep(6)  # longer than all restarts of a worker that cannot start

    tasks = job.end()
    assert job.boots == 1
    assert max(task.losses for task in tasks) == 1
