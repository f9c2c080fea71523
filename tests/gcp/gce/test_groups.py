"""Groups: Google keeps each at its target size, whatever happens to its members."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from gcp.gce.conftest import PROJECT, REGION, zones

if TYPE_CHECKING:
    from gcp.gce.conftest import Project
    from gcp.gce.simulator import ComputeSimulator

Grouping = Callable[..., list[str]]


def ids(compute: ComputeSimulator) -> dict[str, str]:
    return {each.vm.name: each.vm.id for each in compute.instances}


def test_a_larger_target_adds_members_and_leaves_the_others_alone(project, group: Grouping, compute) -> None:
    group(1)
    before = ids(compute)

    project.resize(3)

    assert project.group().target_size == 3
    compute.wait_for_quiet()
    assert len(ids(compute)) == 3
    assert before.items() <= ids(compute).items()


def test_deleted_members_lower_the_target(project: Project, group: Grouping, compute: ComputeSimulator) -> None:
    group(3)
    gone = project.members()[1]

    project.delete_members(gone.instance)

    assert project.group().target_size == 2
    compute.wait_for_quiet()
    assert gone.name not in ids(compute)
    assert len(ids(compute)) == 2


def test_of_several_to_delete_those_that_are_no_members_are_skipped(project, group: Grouping, compute) -> None:
    names = group(2)
    there = project.members()[0].instance
    stranger = f"zones/{REGION}-a/instances/stranger"

    ended = project.ended(project.delete_members(there, stranger, skip=True))

    assert not ended.error.errors
    assert "stranger" in ended.warnings[0].message
    compute.wait_for_quiet()
    assert len(ids(compute)) == project.group().target_size == len(names) - 1


def test_a_member_that_is_deleted_twice_lowers_the_target_once(project, group: Grouping, compute) -> None:
    group(2)
    member = project.members()[0].instance

    for _ in range(2):
        project.delete_members(member, skip=True)

    compute.wait_for_quiet()
    assert project.group().target_size == 1


def test_a_member_made_anew_has_its_name_and_another_id(project: Project, group: Grouping, compute) -> None:
    group(2)
    before = ids(compute)
    member = project.members()[0]

    project.recreate_members(member.instance)

    compute.wait_until(lambda: compute.groups["s-1"].is_stable and ids(compute).get(member.name) != before[member.name])
    compute.wait_for_quiet()
    changed = {name for name, each in ids(compute).items() if before[name] != each}
    assert changed == {member.name}
    assert project.group().target_size == 2


@pytest.mark.parametrize("keeps", [True, False], ids=["same-name", "new-name"])
def test_an_instance_that_is_deleted_by_itself_is_repaired(project, group: Grouping, compute, keeps: bool) -> None:
    compute.behaviour.repair_keeps_name = keeps
    (name,) = group(1)
    before = ids(compute)

    project.instances.delete_unary(project=PROJECT, zone=compute.instance(name).vm.zone, instance=name)

    compute.wait_until(lambda: ids(compute) and ids(compute) != before)
    compute.wait_for_quiet()
    assert (name in ids(compute)) == keeps
    assert len(ids(compute)) == project.group().target_size == 1


def test_an_instance_that_switches_itself_off_is_repaired(group: Grouping, compute, tmp_path: Path) -> None:
    off = tmp_path / "off"
    (name,) = group(1, script=f"#!/bin/bash\nuntil rm '{off}' 2>&-; do sleep 0.02; done\npoweroff\nsleep 1000\n")
    before = ids(compute)

    off.touch()

    compute.wait_until(lambda: ids(compute).get(name, before[name]) != before[name])
    compute.wait_for_quiet()


def test_a_group_that_repairs_nothing(project: Project, group: Grouping, compute: ComputeSimulator) -> None:
    (name,) = group(1, said={"instance_lifecycle_policy": {"default_action_on_failure": "DO_NOTHING"}})

    project.instances.delete_unary(project=PROJECT, zone=compute.instance(name).vm.zone, instance=name)

    compute.wait_until(lambda: not compute.instances)
    assert [member.name for member in project.members()] == [name]


def test_members_are_spread_over_the_zones_that_have_some(project, group: Grouping, compute) -> None:
    compute.stockout([f"{REGION}-b"])

    group(4, said={"distribution_policy": {"target_shape": "ANY", "zones": zones("a", "b", "c")}})

    assert sorted(each.vm.zone[-1] for each in compute.instances) == ["a", "a", "c", "c"]


def test_a_smaller_target_takes_those_first_that_are_not_there(project, group: Grouping, compute) -> None:
    (name,) = group(1)
    compute.stockout()
    project.resize(3)
    compute.wait_until(lambda: len(compute.groups["s-1"].errors) > 1)

    project.resize(1)

    compute.wait_for_quiet()
    assert [each.vm.name for each in compute.instances] == [name]


@pytest.mark.parametrize("can", [True, False], ids=["it-can", "it-cannot"])
def test_a_member_is_deleted_before_it_is_there(project, group: Grouping, compute, can: bool) -> None:
    group(1)
    compute.behaviour.unmade_can_be_deleted = can
    compute.stockout()
    project.resize(2)
    compute.wait_until(lambda: len(compute.groups["s-1"].members) == 2)
    (unmade,) = [member for member in project.members() if member.current_action == "CREATING"]

    ended = project.ended(project.delete_members(unmade.instance))

    assert (project.group().target_size, bool(ended.error.errors)) == ((1, False) if can else (2, True))


def test_a_group_that_is_deleted_takes_its_members_with_it(project, group: Grouping, compute) -> None:
    from google.api_core.exceptions import BadRequest, NotFound

    group(2, script="#!/bin/bash\ntrap 'sleep 0.3; exit' TERM\nwhile :; do sleep 0.05; done\n")

    project.groups.delete_unary(project=PROJECT, region=REGION, instance_group_manager="s-1")

    with pytest.raises(BadRequest, match="is not ready"):
        project.resize(5)
    compute.wait_until(lambda: not compute.groups)
    assert compute.instances == []
    with pytest.raises(NotFound):
        project.group()


def test_new_members_are_made_of_the_new_template(project: Project, group: Grouping, compute) -> None:
    group(1)
    project.make_template("s-2", labels={"new": "yes"})
    template = f"projects/{PROJECT}/regions/{REGION}/instanceTemplates/s-2"

    project.groups.set_instance_template_unary(
        project=PROJECT, region=REGION, instance_group_manager="s-1",
        region_instance_group_managers_set_template_request_resource={"instance_template": template},
    )  # fmt: skip
    project.resize(2)

    compute.wait_for_quiet()
    assert [each.vm.properties.get("labels", {}) for each in compute.instances] == [{}, {"new": "yes"}]
