"""What a test can do to the simulator: take machines away, have none, allow few, be slow, fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from conftest import eventually
from gcp.gce.booting import BootError, Metadata, Vm
from gcp.gce.conftest import PROJECT, REGION, Project
from gcp.gce.processes import ProcessBooter, ProcessMachine
from gcp.gce.simulator import ComputeSimulator

Grouping = Callable[..., list[str]]

#: Waits until it is told that it is being taken away, and writes down what it was told.
_WATCHING = """#!/bin/bash
md() { curl -sf -H Metadata-Flavor:Google "http://$GCE_METADATA_HOST/computeMetadata/v1/instance/$1"; }
trap 'echo "$(md name) $(md id) button $(md preempted)" >> LOG; exit' TERM
echo "$(md name) $(md id) up" >> LOG
while :; do sleep 0.02; done
"""


def ids(compute: ComputeSimulator) -> dict[str, str]:
    return {each.vm.name: each.vm.id for each in compute.instances}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def lines(log: Path, count: int) -> list[str]:
    """Return what VMs have written, once it is so many lines."""
    return eventually(lambda: found if log.exists() and len(found := log.read_text().splitlines()) >= count else None)


@pytest.mark.parametrize("keeps", [True, False], ids=["same-name", "new-name"])
def test_a_preemption_with_notice(group: Grouping, compute: ComputeSimulator, log: Path, keeps: bool) -> None:
    compute.behaviour.repair_keeps_name = keeps
    (name,) = group(spot=True, script=_WATCHING.replace("LOG", str(log)))
    lines(log, 1)
    first = ids(compute)[name]

    compute.preempt(name)

    up, button, again = lines(log, 3)
    assert (up, button) == (f"{name} {first} up", f"{name} {first} button TRUE")
    assert again.startswith(f"{name} ") == keeps
    assert first not in again


def test_a_preemption_without_notice(group: Grouping, compute: ComputeSimulator, log: Path) -> None:
    (name,) = group(spot=True, script=_WATCHING.replace("LOG", str(log)))
    lines(log, 1)

    compute.preempt(name, notice=False)

    assert [line.split()[-1] for line in lines(log, 2)] == ["up", "up"]


def test_a_preemption_is_in_the_operations_of_the_zone(project: Project, group: Grouping, compute) -> None:
    (name,) = group(spot=True)
    zone = compute.instance(name).vm.zone

    compute.preempt(name, notice=False)

    found = project.client("ZoneOperations").list(
        {"project": PROJECT, "zone": zone, "filter": 'operationType="compute.instances.preempted"'}
    )
    assert [each.target_link.rpartition("/")[2] for each in found] == [name]


@pytest.mark.parametrize("recreates", [True, False], ids=["made-anew", "shrinks"])
def test_what_a_group_does_at_the_end_of_a_life(project, group: Grouping, compute, recreates: bool) -> None:
    compute.behaviour.run_limit_recreates = recreates
    name, _ = group(2, seconds=3600)
    before = ids(compute)[name]

    compute.expire(name)

    compute.wait_until(lambda: before not in ids(compute).values())
    compute.wait_for_quiet()
    assert project.group().target_size == len(ids(compute)) == (2 if recreates else 1)


def test_a_life_ends_by_itself(group: Grouping, compute: ComputeSimulator) -> None:
    (name,) = group(1, seconds=3600)
    before = ids(compute)[name]

    with compute.world.lock:
        compute.instance(name).started -= 3600
        compute.world.tell()

    compute.wait_until(lambda: ids(compute).get(name, before) != before)


def test_a_stockout_is_told_and_ends(project: Project, group: Grouping, compute: ComputeSimulator) -> None:
    group(0)
    compute.stockout(machine_types=["n1-standard-1"])

    project.resize(1)

    compute.wait_until(lambda: compute.groups["s-1"].errors)
    (member,) = project.members()
    assert member.current_action == "CREATING"
    assert [each.code for each in member.last_attempt.errors.errors] == ["ZONE_RESOURCE_POOL_EXHAUSTED"]
    shown = project.errors()[0]
    assert (shown.error.code, shown.instance_action_details.action) == ("ZONE_RESOURCE_POOL_EXHAUSTED", "CREATING")
    assert not project.group().status.is_stable
    compute.restock()
    compute.wait_for_quiet()
    assert not project.members()[0].last_attempt.errors.errors


def test_a_stockout_of_spot_machines_leaves_the_standard_ones(project, group: Grouping, compute) -> None:
    compute.stockout(spot=True)
    project.make_template(spot=True)
    project.make_group()
    project.make_template("s-1-od")
    project.make_group("s-1-od")

    compute.wait_until(lambda: compute.instances and compute.groups["s-1"].errors)

    assert [each.vm.spot for each in compute.instances] == [False]


@pytest.mark.parametrize(("metric", "limit"), [("CPUS", 4), ("INSTANCES", 2)])
def test_a_quota_is_kept(project, group: Grouping, compute, metric: str, limit: int) -> None:
    group(0, machine_type="n1-standard-2")
    compute.quota(metric, limit)

    project.resize(3)

    compute.wait_until(lambda: compute.groups["s-1"].errors and len(compute.instances) == 2)
    message = f"Quota '{metric}' exceeded.  Limit: {limit}.0 in region {REGION}."
    assert (project.errors()[0].error.code, project.errors()[0].error.message) == ("QUOTA_EXCEEDED", message)
    region = project.client("Regions").get(project=PROJECT, region=REGION)
    assert [(q.usage, q.limit) for q in region.quotas if q.metric == metric] == [(limit, limit)]
    project.resize(2)
    compute.wait_for_quiet()


def test_spot_machines_have_a_quota_of_their_own_if_there_is_one(project, group: Grouping, compute) -> None:
    compute.quota("PREEMPTIBLE_CPUS", 1)
    compute.quota("CPUS", 0)

    group(1, spot=True)
    project.resize(2)

    compute.wait_until(lambda: compute.groups["s-1"].errors)
    assert "'PREEMPTIBLE_CPUS'" in project.errors()[0].error.message


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({"machine_type": "n1-standard-3"}, "resource.machineType"),
        ({"guest_accelerators": [{"accelerator_type": "nvidia-k99", "accelerator_count": 1}],
          "scheduling": {"on_host_maintenance": "TERMINATE"}}, "acceleratorType"),
    ],
    ids=["type", "gpu"],
)  # fmt: skip
def test_a_machine_that_no_zone_has(project, compute, properties: dict[str, object], field: str) -> None:
    project.make_template(**properties)
    project.make_group()

    compute.wait_until(lambda: compute.groups["s-1"].errors)

    assert field in project.errors()[0].error.message
    assert "does not exist" in project.errors()[0].error.message


def test_a_wait_may_ask_the_service(project: Project, group: Grouping, compute: ComputeSimulator) -> None:
    group(1)
    project.resize(2)

    assert compute.wait_until(lambda: project.group().status.is_stable)


def test_any_error_can_keep_machines_from_coming(project: Project, compute: ComputeSimulator) -> None:
    compute.refuse_machines("PERMISSIONS_ERROR", "Required 'compute.disks.create' permission", times=1)
    project.make_template()

    project.make_group()

    compute.wait_for_quiet()
    assert [each.error.code for each in project.errors()] == ["PERMISSIONS_ERROR"]


def test_slow_boots_show_each_step(project: Project, group: Grouping, compute: ComputeSimulator) -> None:
    compute.slow_boots(30)
    project.make_template()
    project.make_group()
    compute.wait_until(lambda: compute.instances)

    (member,) = project.members()
    assert (member.current_action, member.instance_status) == ("CREATING", "PROVISIONING")
    assert project.group().current_actions.creating == 1
    project.delete_members(member.instance)
    compute.wait_for_quiet()


def test_a_startup_script_that_always_fails(group: Grouping, compute: ComputeSimulator) -> None:
    compute.run_instead("#!/bin/sh\necho no luck; exit 1\n")

    (name,) = group(1)

    eventually(lambda: compute.serial(name) == "no luck\n")
    assert compute.instance(name).status == "RUNNING"


def test_a_machine_that_cannot_be_switched_on_is_tried_again(tmp_path: Path) -> None:
    class Weak(ProcessBooter):
        """Has no power at first."""

        tries = 0

        def boot(self, vm: Vm, metadata: Metadata) -> ProcessMachine:
            self.tries += 1
            if self.tries == 1:
                raise BootError("no power")
            return super().boot(vm, metadata)

    with closing(ComputeSimulator(Weak(tmp_path / "vms"), project=PROJECT)) as compute:
        project = Project(compute.url)
        project.make_template()
        project.make_group()

        compute.wait_for_quiet()

        assert [(each.error.code, each.error.message) for each in project.errors()] == [("INTERNAL_ERROR", "no power")]


def test_an_image_that_cannot_be_fetched(group: Grouping, compute, process_booter: ProcessBooter) -> None:
    process_booter.lose_images("i@sha256:1")

    (name,) = group(1, script="#!/bin/sh\ndocker pull i@sha256:1 2>&1\necho code $?\n")

    assert "not found" in eventually(lambda: "code 1" in compute.serial(name) and compute.serial(name))
    process_booter.lose_images()


def test_answers_that_fail_are_asked_for_again_by_google_s_client(project, group: Grouping, compute) -> None:
    group(1)
    method = "compute.regionInstanceGroupManagers.get"
    compute.faults.fail(method, 503, times=2)

    assert project.group().target_size == 1

    assert compute.count(method, status=503) == 2


def test_a_change_whose_reply_was_lost_has_happened(project, group: Grouping, compute) -> None:
    from google.api_core.exceptions import GoogleAPIError
    from requests import ConnectionError as RequestsConnectionError

    group(1)
    compute.faults.lose_reply("compute.regionInstanceGroupManagers.resize")

    with pytest.raises((GoogleAPIError, RequestsConnectionError)):
        project.resize(2)

    assert project.group().target_size == 2


def test_a_reset_leaves_nothing(project: Project, group: Grouping, compute: ComputeSimulator) -> None:
    group(2)
    pids = [each.machine.pid for each in compute.instances if each.machine is not None]

    compute.reset()

    from conftest import lives

    assert (compute.instances, compute.groups, list(compute.requests)) == ([], {}, [])
    assert not any(map(lives, pids))
