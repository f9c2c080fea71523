"""Google's unmodified client against the simulator: what it sends is understood, and what it reads is as it expects."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from gcp.gce.conftest import PROJECT, REGION

if TYPE_CHECKING:
    from gcp.gce.conftest import Project
    from gcp.gce.simulator import ComputeSimulator

Grouping = Callable[..., list[str]]
_ZONE = f"{REGION}-a"


def test_a_group_makes_machines_that_run_their_script(project: Project, group: Grouping, compute) -> None:
    names = group(2)

    members = project.members()

    assert sorted(member.name for member in members) == sorted(names)
    assert {(member.current_action, member.instance_status) for member in members} == {("NONE", "RUNNING")}
    assert {member.instance.split("/")[-3] for member in members} == {f"{REGION}-a", f"{REGION}-b"}
    shown = project.group()
    assert (shown.target_size, shown.status.is_stable, shown.current_actions.none) == (2, True, 2)
    compute.wait_until(lambda: True)


def test_an_instance_is_shown_and_listed(project: Project, group: Grouping) -> None:
    (name,) = group(labels={"sparkles-job": "j"}, items=[{"key": "Some_key-x", "value": "v"}])
    zone = project.members()[0].instance.split("/")[-3]

    shown = project.instances.get(project=PROJECT, zone=zone, instance=name)

    attributes = {item.key: item.value for item in shown.metadata.items}
    assert shown.status == "RUNNING"
    assert attributes["Some_key-x"] == "v"
    assert attributes["created-by"].endswith(f"/regions/{REGION}/instanceGroupManagers/s-1")
    assert [each.name for each in project.instances.list(project=PROJECT, zone=zone)] == [name]
    wanted = project.instances.list({"project": PROJECT, "zone": zone, "filter": "labels.sparkles-job=other"})
    assert list(wanted) == []
    everywhere = dict(project.instances.aggregated_list(project=PROJECT))
    assert [each.name for each in everywhere[f"zones/{zone}"].instances] == [name]


def test_serial_output_is_read_on(project: Project, group: Grouping, compute: ComputeSimulator) -> None:
    (name,) = group()
    zone = compute.instance(name).vm.zone
    output = _eventually_printed(compute, name, "idle\n")

    first = project.instances.get_serial_port_output(project=PROJECT, zone=zone, instance=name)
    rest = project.instances.get_serial_port_output(
        {"project": PROJECT, "zone": zone, "instance": name, "start": first.next_}
    )

    assert (first.contents, rest.contents) == (output, "")


def test_a_change_says_that_it_goes_on_and_its_operation_how_it_ended(project: Project) -> None:
    from google.cloud.compute_v1 import Operation

    project.make_template()
    started = project.make_group(size=0)

    ended = project.ended(started)

    assert (started.status, ended.status) == (Operation.Status.RUNNING, Operation.Status.DONE)
    assert ended.target_link.endswith(f"regions/{REGION}/instanceGroupManagers/s-1")
    assert started.name in [each.name for each in project.operations.list(project=PROJECT, region=REGION)]


def test_an_error_of_an_operation_is_only_in_its_end(project: Project, group: Grouping) -> None:
    group()

    started = project.delete_members(f"zones/{_ZONE}/instances/s-1-none")

    assert not started.error.errors
    assert [each.code for each in project.ended(started).error.errors] == ["INVALID_USAGE"]
    assert project.group().target_size == 1


def test_a_request_that_comes_again_under_its_id_is_done_once(project: Project) -> None:
    project.make_template()
    body = {"name": "s-2", "properties": project.templates.get(
        project=PROJECT, region=REGION, instance_template="s-1").properties}  # fmt: skip
    request = {
        "project": PROJECT,
        "region": REGION,
        "instance_template_resource": body,
        "request_id": str(uuid.uuid4()),
    }

    first, second = (project.templates.insert_unary(request) for _ in range(2))

    assert first.name == second.name
    assert sorted(each.name for each in project.templates.list(project=PROJECT, region=REGION)) == ["s-1", "s-2"]


def test_what_is_there_already_and_what_is_not(project: Project) -> None:
    from google.api_core.exceptions import Conflict, NotFound

    project.make_template()
    project.make_group(size=0)

    with pytest.raises(Conflict, match="instanceTemplates/s-1' already exists"):
        project.make_template()
    with pytest.raises(Conflict, match="instanceGroupManagers/s-1' already exists"):
        project.make_group()
    with pytest.raises(NotFound, match="instanceGroupManagers/other' was not found"):
        project.group("other")
    with pytest.raises(NotFound, match="instanceTemplates/other' was not found"):
        project.make_group("other")
    with pytest.raises(NotFound, match="projects/other"):
        project.groups.list(project="other", region=REGION)


def test_a_template_in_use_stays(project: Project, compute: ComputeSimulator) -> None:
    from google.api_core.exceptions import BadRequest

    project.make_template()
    project.make_group(size=0)
    delete = {"project": PROJECT, "region": REGION, "instance_template": "s-1"}

    with pytest.raises(BadRequest, match=r"is already being used by .*instanceGroupManagers/s-1"):
        project.templates.delete_unary(delete)

    project.groups.delete_unary(project=PROJECT, region=REGION, instance_group_manager="s-1")
    compute.wait_until(lambda: not compute.groups)
    project.templates.delete_unary(delete)
    assert list(project.templates.list(project=PROJECT, region=REGION)) == []


def test_members_come_in_pages(project: Project, group: Grouping) -> None:
    names = group(5)

    pager = project.groups.list_managed_instances(
        {"project": PROJECT, "region": REGION, "instance_group_manager": "s-1", "max_results": 2}
    )

    pages = [[each.name for each in page.managed_instances] for page in pager.pages]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(name for page in pages for name in page) == sorted(names)


def test_a_group_without_pages_ignores_them(project: Project, group: Grouping) -> None:
    group(3, said={"list_managed_instances_results": "PAGELESS"})

    pager = project.groups.list_managed_instances(
        {"project": PROJECT, "region": REGION, "instance_group_manager": "s-1", "max_results": 2}
    )

    assert [len(page.managed_instances) for page in pager.pages] == [3]


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        pytest.param({"scheduling": {"provisioning_model": "SPOT"}}, "AutomaticRestart", id="spot-restarts"),
        pytest.param(
            {"scheduling": {"instance_termination_action": "DELETE"}}, "termination action", id="standard-dies"
        ),
        pytest.param({"seconds": 5}, "maxRunDuration", id="short-life"),
        pytest.param({"machine_type": f"zones/{_ZONE}/machineTypes/n1-standard-1"}, "machineType", id="type-as-link"),
        pytest.param({"disks": []}, "boot disk", id="no-boot-disk"),
        pytest.param({"network_interfaces": []}, "network interface", id="no-network"),
        pytest.param({"labels": {"job": "Capital"}}, "lowercase", id="label"),
        pytest.param({"items": [{"key": "startup-script", "value": ""}]}, "metadata.items.key", id="key-twice"),
        pytest.param({"items": [{"key": "a", "value": "x" * 300_000}]}, "too large", id="long-value"),
    ],
)
def test_a_template_that_google_would_refuse(project: Project, properties: dict[str, object], message: str) -> None:
    from google.api_core.exceptions import BadRequest

    with pytest.raises(BadRequest, match=message):
        project.make_template(**properties)


def test_a_shape_other_than_even_needs_redistribution_to_be_off(project: Project) -> None:
    from google.api_core.exceptions import BadRequest

    project.make_template()

    with pytest.raises(BadRequest, match="instanceRedistributionType"):
        project.make_group(update_policy={"type_": "OPPORTUNISTIC"})


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"target_size_policy": {"mode": "BULK"}}, id="bulk"),
        pytest.param({"distribution_policy": {"target_shape": "ANY_SINGLE_ZONE"}}, id="single-zone"),
        pytest.param({"standby_policy": {"mode": "MANUAL"}}, id="standby"),
    ],
)
def test_what_a_group_can_be_at_google_and_not_here_is_501(project: Project, said: dict[str, object]) -> None:
    from google.api_core.exceptions import MethodNotImplemented

    project.make_template()

    with pytest.raises(MethodNotImplemented, match="not simulated"):
        project.make_group(**said)


def test_a_patch_with_an_old_fingerprint_is_refused(project: Project) -> None:
    from google.api_core.exceptions import PreconditionFailed

    project.make_template()
    project.make_group(size=0)
    old = project.group().fingerprint
    patch = {"project": PROJECT, "region": REGION, "instance_group_manager": "s-1"}
    project.groups.patch_unary({**patch, "instance_group_manager_resource": {"description": "a", "fingerprint": old}})

    with pytest.raises(PreconditionFailed):
        project.groups.patch_unary(
            {**patch, "instance_group_manager_resource": {"description": "b", "fingerprint": old}}
        )

    assert project.group().description == "a"


def test_what_there_is_to_choose_from(project: Project) -> None:
    from google.api_core.exceptions import NotFound

    types = project.client("MachineTypes")
    kind = types.get(project=PROJECT, zone=_ZONE, machine_type="t2a-standard-4")
    region = project.client("Regions").get(project=PROJECT, region=REGION)
    image = project.client("Images").get_from_family(project="cos-cloud", family="cos-stable")

    assert (kind.guest_cpus, kind.memory_mb, kind.architecture) == (4, 16384, "ARM64")
    assert "CPUS" in [quota.metric for quota in region.quotas]
    assert [zone.rpartition("/")[2][-1] for zone in region.zones] == ["a", "b", "c", "f"]
    assert image.status == "READY"
    with pytest.raises(NotFound):
        types.get(project=PROJECT, zone=f"{REGION}-c", machine_type="t2a-standard-4")


def test_a_known_method_that_is_not_simulated_is_501(project: Project) -> None:
    from google.api_core.exceptions import MethodNotImplemented

    with pytest.raises(MethodNotImplemented, match=r"compute\.disks\.list is not simulated"):
        project.client("Disks").list(project=PROJECT, zone=_ZONE)


def _eventually_printed(compute: ComputeSimulator, name: str, text: str) -> str:
    from conftest import eventually

    return eventually(lambda: (found := compute.serial(name)) == text and found)
