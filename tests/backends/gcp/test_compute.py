"""Nodes on Compute Engine: groups raised, watched and removed, on the simulator. Its VMs only sleep here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from contracts.compute import ComputeContract
from contracts.nouns import a_cluster, a_machine, a_node, put

from sparkles.errors import BackendError, RequestError
from sparkles.model import Cluster, Key, NodeState
from sparkles.timing import Timing

PLAIN = replace(
    a_machine(), type="n1-standard-1", gpu=None, gpus=0, disks=(), mounts=(), spot=False, on_demand_after=None
)


@pytest.fixture(autouse=True)
def _sleeping(compute: Any) -> None:
    compute.run_instead("#!/bin/sh\nexec sleep 600\n")


@pytest.fixture
def state(cloud: Any) -> Any:
    from sparkles.backends.gcp.datastore import Datastore
    from sparkles.backends.gcp.state import DatastoreState

    namespace = f"n{os.urandom(4).hex()}"
    store = Datastore(project="sparkles-test", database="(default)", namespace=namespace, patience=20.0)
    with closing(DatastoreState(store)) as state:
        yield state


@pytest.fixture
def vms(cloud: Any, bucket: str) -> Any:
    """Compute on the simulator's VMs, as a client has it."""
    return open_compute(bucket)


def open_compute(bucket: str, **options: Any) -> Any:
    from sparkles.backends.gcp.compute import VmCompute
    from sparkles.backends.gcp.storage.bucket import Bucket
    from sparkles.backends.gcp.storage.client import storage_client
    from sparkles.backends.gcp.vms.boot_logs import BootLogs
    from sparkles.backends.gcp.vms.clients import ComputeClients
    from sparkles.backends.gcp.vms.groups import Groups
    from sparkles.paths import Layout

    clients = ComputeClients()

    def metadata(cluster: Cluster, group: Any) -> Mapping[str, str]:
        return {"startup-script": "true"}

    return VmCompute(
        groups=lambda region: Groups(clients, project="sparkles-test", region=region),
        machine=lambda spec, image: PLAIN,
        supplies=lambda machine: {},
        metadata=metadata,
        boot_logs=BootLogs(lambda: Bucket(storage_client("sparkles-test"), bucket), Layout(Path("p"))),
        timing=Timing(),
        **options,
    )


def cluster(state: Any, name: str = "s-0123456789abcdef", **fields: Any) -> Cluster:
    made = a_cluster(name, **{"machine": PLAIN, "owner_job": "Fit.1", "keep": 1, **fields})
    put(state, made)
    return read(state, made)


def read(state: Any, cluster: Cluster) -> Cluster:
    return state.read([cluster.key])[Key.cluster(cluster.name)]


def report(store: Any, compute: Any, cluster: Cluster, **fields: Any) -> Any:
    """Let the worker of a VM write its record."""
    vm = compute.instances[0].vm
    put(store, a_node(f"{vm.id}-1", cluster=cluster.name, instance=vm.name, instance_id=vm.id, zone=vm.zone, **fields))
    return next(each for each in store.nodes(cluster.name) if each.instance_id == vm.id)


class TestVmCompute(ComputeContract):
    @pytest.fixture
    def nodes(self, vms: Any) -> Any:
        return vms

    @pytest.fixture
    def cluster(self, state: Any) -> Cluster:
        return cluster(state)


def test_nodes_are_staging_until_they_report(vms, state, compute) -> None:
    here = cluster(state)

    vms.raise_nodes(here, state, wanted=2)

    assert vms.staffing(here, []).staging == 2
    compute.wait_for_quiet()
    node = report(state, compute, here)
    assert vms.staffing(here, [node]).staging == 1
    assert read(state, here).boots == 2
    assert read(state, here).scaler is None


def test_nodes_that_are_on_their_way_are_not_asked_for_again(vms, state, compute) -> None:
    here = cluster(state)
    vms.raise_nodes(here, state, wanted=2)

    vms.raise_nodes(here, state, wanted=2)
    vms.raise_nodes(here, state, wanted=3)

    assert compute.groups[here.name].target == 3


def test_live_nodes_are_enough_without_a_look_at_the_group(vms, state, compute) -> None:
    here = cluster(state)
    put(state, a_node("n", cluster=here.name))

    vms.raise_nodes(here, state, wanted=1)

    assert compute.count("compute.regionInstanceGroupManagers.get") == 0


def test_a_node_that_leaves_is_not_counted_on(vms, state, compute) -> None:
    here = cluster(state)
    vms.raise_nodes(here, state, wanted=1)
    compute.wait_for_quiet()
    report(state, compute, here, state=NodeState.LEAVING)

    vms.raise_nodes(here, state, wanted=1)

    assert compute.groups[here.name].target == 2


def test_what_has_yet_to_be_made_is_taken_back(vms, state, compute) -> None:
    here = cluster(state)
    compute.stockout()
    vms.raise_nodes(here, state, wanted=3)

    vms.shed(here, [])

    assert compute.groups[here.name].target == 0


def test_a_stockout_is_said_in_words(vms, state, compute) -> None:
    here = cluster(state)
    compute.stockout()
    vms.raise_nodes(here, state, wanted=1)

    staffing = eventually(lambda: found if (found := vms.staffing(here, [])).troubles else None)

    assert (staffing.submitted, staffing.staging) == (1, 0)
    assert "Google has no n1-standard-1 free" in staffing.troubles[0]


def test_a_machine_type_that_no_zone_has_is_refused_before_anything_is_made(vms, state, compute) -> None:
    here = cluster(state, machine=replace(PLAIN, type="n1-standrad-1"))

    with pytest.raises(RequestError, match=r"n1-standrad-1.*did you mean 'n1-standard-1'"):
        vms.require(here, [])

    assert not compute.groups


def test_a_zone_that_there_is_not_is_spoken_of_once_and_passed_over(vms, state, compute, caplog) -> None:
    zones = ("us-central1-b", "us-central1-x")
    for name in ("s-0123456789abcdef", "s-1123456789abcdef"):
        vms.require(cluster(state, name, machine=replace(PLAIN, zones=zones)), [])

    policy = compute.groups["s-1123456789abcdef"].said["distributionPolicy"]
    assert [each["zone"][-1] for each in policy["zones"]] == ["b"]
    (said,) = [record.getMessage() for record in caplog.records if "zone" in record.getMessage()]
    assert "there is no zone 'us-central1-x' in us-central1; did you mean 'us-central1-" in said


def test_a_zone_without_such_machines_is_not_worth_a_word(vms, state, compute, caplog) -> None:
    rare = replace(PLAIN, type="g2-standard-4", zones=("us-central1-a", "us-central1-f"))

    vms.require(here := cluster(state, machine=rare), [])

    policy = compute.groups[here.name].said["distributionPolicy"]
    assert [each["zone"][-1] for each in policy["zones"]] == ["a"]
    assert not caplog.records


def test_a_gpu_narrows_the_zones(vms, state, compute) -> None:
    here = cluster(state, machine=replace(PLAIN, gpu="nvidia-tesla-v100", gpus=1, zones=()))

    vms.require(here, [])

    policy = compute.groups[here.name].said["distributionPolicy"]
    assert [each["zone"][-1] for each in policy["zones"]] == ["a", "f"]


def test_a_right_that_is_missing_is_named_with_the_way_to_get_it(vms, state, compute) -> None:
    here = cluster(state)
    compute.rights.denied.add("compute.instanceGroupManagers.create")

    with pytest.raises(BackendError, match=r"instanceGroupManagers\.create.*gcloud projects add-iam-policy-binding"):
        vms.require(here, [])


def test_who_may_not_give_nodes_their_account_is_told_the_command_that_allows_it(vms, state, compute) -> None:
    here = cluster(state, machine=replace(PLAIN, account="node@sparkles-test.iam.gserviceaccount.com"))
    compute.rights.denied.add("iam.serviceAccounts.actAs")

    with pytest.raises(BackendError) as refused:
        vms.require(here, [])

    assert (
        "'gcloud iam service-accounts add-iam-policy-binding node@sparkles-test.iam.gserviceaccount.com "
        "--project=sparkles-test --member=user:EMAIL --role=roles/iam.serviceAccountUser'"
    ) in str(refused.value)


def test_boots_that_lead_to_nothing_come_to_an_end(vms, state, compute) -> None:
    here = cluster(state, boots=3)

    vms.raise_nodes(here, state, wanted=1)

    assert compute.groups[here.name].target == 0


def test_who_slept_while_it_asked_for_nodes_does_not_shrink_what_others_have_made_of_the_group(
    vms, state, compute, bucket, monkeypatch
) -> None:
    from sparkles.backends.gcp.vms.groups import Groups

    here, members, asleep = cluster(state), Groups.members, [True]
    vms.require(here, [])

    def sleep(groups: Any, name: str) -> Any:
        found = members(groups, name)
        if asleep and asleep.pop():
            put(state, replace(read(state, here), scaler=None))  # its lease is over by then
            open_compute(bucket).raise_nodes(here, state, wanted=3)
        return found

    monkeypatch.setattr(Groups, "members", sleep)

    vms.raise_nodes(here, state, wanted=1)

    assert compute.groups[here.name].target == 3
    assert read(state, here).boots == 3


def test_a_group_that_another_client_has_cleared_away_is_made_anew(vms, state, compute, bucket) -> None:
    here = cluster(state)
    vms.require(here, [])
    open_compute(bucket).clean_up(here, state)

    vms.raise_nodes(here, state, wanted=1)

    assert compute.groups[here.name].target == 1


def test_standard_machines_take_over_when_too_many_spot_ones_were_taken_away(vms, state, compute) -> None:
    here = cluster(state, machine=replace(PLAIN, spot=True, on_demand_after=1))
    compute.stockout(spot=True)
    vms.raise_nodes(here, state, wanted=3)
    before = {name: group.target for name, group in compute.groups.items()}

    vms.raise_nodes(cluster(state, machine=here.machine, preemptions=2), state, wanted=3)

    assert before == {here.name: 2, f"{here.name}-od": 1}
    assert compute.groups[f"{here.name}-od"].target == 3


def test_an_empty_group_is_removed_and_made_anew_when_it_is_wanted(vms, state, compute) -> None:
    here = cluster(state)
    vms.require(here, [])

    vms.clean_up(here, state)
    without = dict(compute.groups)
    vms.raise_nodes(here, state, wanted=1)

    assert without == {}
    assert compute.groups[here.name].target == 1


def test_a_group_with_nodes_stays(vms, state, compute) -> None:
    here = cluster(state)
    vms.raise_nodes(here, state, wanted=1)

    vms.clean_up(here, state)

    assert here.name in compute.groups


@pytest.mark.parametrize(("needed", "target"), [(True, 1), (False, 0)])
def test_the_machine_of_a_dead_node_is_made_anew_if_it_is_needed(vms, state, compute, needed, target) -> None:
    here = cluster(state)
    vms.raise_nodes(here, state, wanted=1)
    compute.wait_for_quiet()
    node = report(state, compute, here, state=NodeState.LOST)

    vms.forget(node, needed=needed)
    compute.wait_for_quiet()

    assert compute.groups[here.name].target == target
    assert node.instance_id not in [each.vm.id for each in compute.instances]


def test_a_machine_that_was_made_anew_is_not_the_dead_one_s(vms, state, compute) -> None:
    here = cluster(state)
    vms.raise_nodes(here, state, wanted=1)
    compute.wait_for_quiet()
    (before,) = compute.instances

    vms.forget(a_node(cluster=here.name, instance=before.vm.name, instance_id="1", zone=before.vm.zone), needed=False)

    assert compute.groups[here.name].target == 1


def test_a_worker_takes_an_earlier_one_of_its_own_machine_for_dead(cloud, bucket) -> None:
    own = a_node("7-b", instance_id="7")
    vms = open_compute(bucket, own=own)

    nodes = [a_node("7-a", instance_id="7"), own, a_node("8-a", instance_id="8")]

    assert vms.lapsed(nodes) == [nodes[0]]
