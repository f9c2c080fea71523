"""Who may do what: the operator all that is not denied, a VM what its service account may."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from gcp.gce.conftest import PROJECT, REGION, Project

if TYPE_CHECKING:
    from gcp.gce.simulator import ComputeSimulator

Grouping = Callable[..., list[str]]
_ACCOUNT = "node@sparkles-test.iam.gserviceaccount.com"
_WITH_ACCOUNT: dict[str, Any] = {
    "service_accounts": [{"email": _ACCOUNT, "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}]
}


class Vm(Project):
    """What a VM sends, with its token."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url)
        object.__setattr__(self, "token", token)

    def client(self, kind: str) -> Any:
        """Return a client that shows the token of the VM."""
        from google.cloud import compute_v1
        from google.oauth2.credentials import Credentials

        options = {"api_endpoint": self.url}
        return getattr(compute_v1, f"{kind}Client")(credentials=Credentials(self.token), client_options=options)


@pytest.fixture
def vm(group: Grouping, compute: ComputeSimulator) -> Vm:
    """A VM of a group of two, which has a service account."""
    name, _ = group(2, **_WITH_ACCOUNT)
    return Vm(compute.url, compute.instance(name).guest.token)


def test_what_is_denied_is_refused_in_google_s_words(project: Project, compute: ComputeSimulator) -> None:
    from google.api_core.exceptions import Forbidden

    compute.rights.denied.add("compute.instanceGroupManagers.create")
    project.make_template()

    resource = f"projects/{PROJECT}/regions/{REGION}/instanceGroupManagers/s-1"
    with pytest.raises(Forbidden, match=f"Required 'compute.instanceGroupManagers.create' permission for '{resource}'"):
        project.make_group()


def test_machines_with_an_account_need_the_right_to_act_as_it(project: Project, compute: ComputeSimulator) -> None:
    compute.rights.denied.add("iam.serviceAccounts.actAs")
    project.make_template(**_WITH_ACCOUNT)

    (error,) = project.ended(project.make_group()).error.errors

    assert error.code == "SERVICE_ACCOUNT_ACCESS_DENIED"
    assert f"does not have access to service account '{_ACCOUNT}'" in error.message
    assert compute.groups == {}


def test_a_vm_takes_itself_out_of_its_group(vm: Vm, compute: ComputeSimulator) -> None:
    member = vm.members()[0]

    ended = vm.ended(vm.delete_members(member.instance))

    assert not ended.error.errors
    compute.wait_until(lambda: len(compute.instances) == 1)
    vm.recreate_members(vm.members()[0].instance)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda vm: vm.make_template("s-2"), id="template"),
        pytest.param(lambda vm: vm.make_group("s-2"), id="group"),
        pytest.param(lambda vm: list(vm.templates.list(project=PROJECT, region=REGION)), id="templates"),
        pytest.param(lambda vm: dict(vm.instances.aggregated_list(project=PROJECT)), id="instances"),
        pytest.param(
            lambda vm: vm.groups.delete_unary(project=PROJECT, region=REGION, instance_group_manager="s-1"), id="delete"
        ),
    ],
)
def test_a_vm_may_do_no_more_than_a_node_has_to(vm: Vm, act: Callable[[Vm], object]) -> None:
    from google.api_core.exceptions import Forbidden

    with pytest.raises(Forbidden, match="Required 'compute"):
        act(vm)


def test_the_rights_of_an_account_can_be_set(vm: Vm, compute: ComputeSimulator) -> None:
    from google.api_core.exceptions import Forbidden

    compute.rights.of[_ACCOUNT] = {"compute.instances.list"}

    assert dict(vm.instances.aggregated_list(project=PROJECT))
    with pytest.raises(Forbidden):
        vm.group()


def test_what_the_operator_lacks_a_vm_may_have(vm: Vm, project: Project, compute: ComputeSimulator) -> None:
    from google.api_core.exceptions import Forbidden

    compute.rights.denied.add("compute.instanceGroupManagers.get")

    assert vm.group().name == "s-1"
    with pytest.raises(Forbidden):
        project.group()
