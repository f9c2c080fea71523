"""What the tests of the Compute Engine simulator share: Google's client, and a project that makes groups with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gcp.gce.simulator import ComputeSimulator
    from google.cloud import compute_v1

PROJECT, REGION = "sparkles-test", "us-central1"
IDLE = "#!/bin/bash\necho idle\nexec sleep 1000\n"


@dataclass(frozen=True)
class Project:
    """Google's unmodified clients, and the requests that the tests send most."""

    url: str

    def client(self, kind: str) -> Any:
        """Return a client, such as `Instances`."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import compute_v1

        made = getattr(compute_v1, f"{kind}Client")
        return made(credentials=AnonymousCredentials(), client_options={"api_endpoint": self.url})

    @cached_property
    def groups(self) -> Any:
        return self.client("RegionInstanceGroupManagers")

    @cached_property
    def templates(self) -> Any:
        return self.client("RegionInstanceTemplates")

    @cached_property
    def instances(self) -> Any:
        return self.client("Instances")

    @cached_property
    def operations(self) -> Any:
        return self.client("RegionOperations")

    def make_template(self, name: str = "s-1", *, script: str = IDLE, **properties: Any) -> compute_v1.Operation:
        body = {"name": name, "properties": properties_with(script, **properties)}
        return self.templates.insert_unary(project=PROJECT, region=REGION, instance_template_resource=body)

    def make_group(self, name: str = "s-1", *, size: int = 1, **said: Any) -> compute_v1.Operation:
        body = {
            "name": name,
            "base_instance_name": name,
            "instance_template": f"projects/{PROJECT}/regions/{REGION}/instanceTemplates/{name}",
            "target_size": size,
            "distribution_policy": {"target_shape": "ANY", "zones": zones("a", "b")},
            "update_policy": {"type_": "OPPORTUNISTIC", "instance_redistribution_type": "NONE"},
            "list_managed_instances_results": "PAGINATED",
            **said,
        }
        return self.groups.insert_unary(project=PROJECT, region=REGION, instance_group_manager_resource=body)

    def group(self, name: str = "s-1") -> compute_v1.InstanceGroupManager:
        return self.groups.get(project=PROJECT, region=REGION, instance_group_manager=name)

    def members(self, name: str = "s-1") -> list[compute_v1.ManagedInstance]:
        return list(self.groups.list_managed_instances(project=PROJECT, region=REGION, instance_group_manager=name))

    def errors(self, name: str = "s-1") -> list[compute_v1.InstanceManagedByIgmError]:
        return list(self.groups.list_errors(project=PROJECT, region=REGION, instance_group_manager=name))

    def resize(self, size: int, name: str = "s-1") -> compute_v1.Operation:
        return self.groups.resize_unary(project=PROJECT, region=REGION, instance_group_manager=name, size=size)

    def delete_members(self, *instances: str, skip: bool = False, name: str = "s-1") -> compute_v1.Operation:
        body = {"instances": list(instances), "skip_instances_on_validation_error": skip}
        return self.groups.delete_instances_unary(
            project=PROJECT, region=REGION, instance_group_manager=name,
            region_instance_group_managers_delete_instances_request_resource=body,
        )  # fmt: skip

    def recreate_members(self, *instances: str, name: str = "s-1") -> compute_v1.Operation:
        return self.groups.recreate_instances_unary(
            project=PROJECT, region=REGION, instance_group_manager=name,
            region_instance_group_managers_recreate_request_resource={"instances": list(instances)},
        )  # fmt: skip

    def ended(self, operation: compute_v1.Operation) -> compute_v1.Operation:
        """Return what became of an operation."""
        return self.operations.wait(project=PROJECT, region=REGION, operation=operation.name)


def zones(*letters: str) -> list[dict[str, str]]:
    return [{"zone": f"zones/{REGION}-{letter}"} for letter in letters]


def properties_with(script: str, *, spot: bool = False, seconds: int | None = None, **others: Any) -> dict[str, Any]:
    """Return the properties of a template."""
    items = [{"key": "startup-script", "value": script}, *others.pop("items", [])]
    scheduling: dict[str, Any] = {}
    if spot:
        scheduling = {"provisioning_model": "SPOT", "automatic_restart": False, "on_host_maintenance": "TERMINATE"}
    if spot or seconds is not None:
        scheduling["instance_termination_action"] = "DELETE"
    if seconds is not None:
        scheduling["max_run_duration"] = {"seconds": seconds}
    image = {"source_image": "projects/cos-cloud/global/images/family/cos-stable", "disk_size_gb": 20}
    return {
        "machine_type": "n1-standard-1",
        "disks": [{"boot": True, "auto_delete": True, "initialize_params": image}],
        "network_interfaces": [{"access_configs": [{"name": "External NAT"}]}],
        "metadata": {"items": items},
        "scheduling": scheduling,
        **others,
    }


@pytest.fixture
def project(compute: ComputeSimulator) -> Project:
    pytest.importorskip("google.cloud.compute_v1", reason="needs google-cloud-compute: pip install sparkles")
    return Project(compute.url)


@pytest.fixture
def group(project: Project, compute: ComputeSimulator) -> Callable[..., list[str]]:
    """Makes a group of a template of its own, and waits until it is complete; returns the names of its members."""

    def group(size: int = 1, *, script: str = IDLE, said: dict[str, Any] | None = None, **properties: Any) -> list[str]:
        project.make_template(script=script, **properties)
        project.make_group(size=size, **(said or {}))
        compute.wait_for_quiet()
        return [each.vm.name for each in compute.instances]

    return group
