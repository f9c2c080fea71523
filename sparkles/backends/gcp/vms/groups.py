"""Groups: the calls to Compute Engine, about groups of VMs in a region and what these are made from.

Each change carries a number of its own, so that it is made once however often it is asked for. It is awaited, and what
an operation says went wrong is raised.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import compute_v1
from requests.exceptions import ConnectionError as Unconnected
from requests.exceptions import Timeout

from sparkles.backends.gcp import silence
from sparkles.backends.gcp.vms.clients import ComputeClients
from sparkles.backends.gcp.vms.faults import AbsentError, ThereError, asking
from sparkles.backends.gcp.vms.members import Member, path_of
from sparkles.backends.gcp.vms.reasons import Fault, RefusedError
from sparkles.backends.gcp.vms.zones import zones_for
from sparkles.errors import UnreachableError
from sparkles.machine import Machine

#: Seconds that one request may take, and that an operation is awaited.
_REQUEST, _OPERATION = 20.0, 180.0

#: What passes by itself.
_PASSING = (exceptions.ServerError, exceptions.TooManyRequests, Unconnected, Timeout)

#: The most members that a request may name.
_MANY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of VMs."""

    name: str
    #: The VMs that it is to have.
    target: int


class Groups:
    """The groups of one region. What goes wrong is raised as `vms.faults` says."""

    def __init__(self, clients: ComputeClients, *, project: str, region: str, patience: float = 30.0) -> None:
        self._clients = clients
        self.project = project
        self.region = region
        self._where = {"project": project, "region": region}
        #: Seconds that a request is repeated when nobody answers.
        self._patience = patience

    def find(self, name: str) -> Group | None:
        """Return the group of this name."""
        try:
            with self._asking(f"group {name}"):
                found = self._clients.groups.get(
                    {"instance_group_manager": name, **self._where}, timeout=_REQUEST, retry=self._retry()
                )
        except AbsentError:
            return None
        return Group(name=name, target=found.target_size)

    def make_template(self, template: Mapping[str, Any]) -> None:
        """Make what VMs are made from, if it is not there. `template` is in Google's words."""
        body = compute_v1.InstanceTemplate.from_json(json.dumps(template))
        self._make(
            f"instance template {body.name}",
            self._clients.templates.insert_unary,
            compute_v1.InsertRegionInstanceTemplateRequest(instance_template_resource=body, **self._where),
        )

    def make(self, group: Mapping[str, Any]) -> None:
        """Make a group, if it is not there. `group` is in Google's words."""
        body = compute_v1.InstanceGroupManager.from_json(json.dumps(group))
        self._make(
            f"group {body.name}",
            self._clients.groups.insert_unary,
            compute_v1.InsertRegionInstanceGroupManagerRequest(instance_group_manager_resource=body, **self._where),
        )

    def zones_for(self, machine: Machine) -> Sequence[str]:
        """Return the paths of the zones that have what a machine is made of. Raises RequestError if none has."""
        found = zones_for(machine, self._clients, project=self.project)
        return [f"projects/{self.project}/zones/{zone}" for zone in found]

    def template_path(self, name: str) -> str:
        """Return the path of an instance template."""
        return f"projects/{self.project}/regions/{self.region}/instanceTemplates/{name}"

    def members(self, name: str) -> list[Member]:
        """Return the VMs of a group; none if there is no such group."""
        try:
            with self._asking(f"group {name}"):
                listed = self._clients.groups.list_managed_instances(
                    {"instance_group_manager": name, **self._where}, timeout=_REQUEST, retry=self._retry()
                )
                return [_member(each) for each in listed]
        except AbsentError:
            return []

    def resize(self, name: str, size: int) -> None:
        """Have a group of this many VMs. Never to be used for fewer: it would choose which go."""
        request = compute_v1.ResizeRegionInstanceGroupManagerRequest(
            instance_group_manager=name, size=size, **self._where
        )
        self._change(f"group {name}", self._clients.groups.resize_unary, request)

    def delete_members(self, name: str, paths: Sequence[str]) -> None:
        """Remove VMs of a group for good: it is to have that many fewer. Those that are not there are passed over."""
        for some in _pages(paths):
            request = compute_v1.DeleteInstancesRegionInstanceGroupManagerRequest(
                instance_group_manager=name,
                region_instance_group_managers_delete_instances_request_resource={
                    "instances": some,
                    "skip_instances_on_validation_error": True,
                },
                **self._where,
            )
            self._change(f"group {name}", self._clients.groups.delete_instances_unary, request)

    def recreate_members(self, name: str, paths: Sequence[str]) -> None:
        """Have VMs of a group made anew."""
        for some in _pages(paths):
            request = compute_v1.RecreateInstancesRegionInstanceGroupManagerRequest(
                instance_group_manager=name,
                region_instance_group_managers_recreate_request_resource={"instances": some},
                **self._where,
            )
            self._change(f"group {name}", self._clients.groups.recreate_instances_unary, request)

    def remove(self, name: str) -> None:
        """Remove a group, and all its VMs, if it is there; and what they were made from."""
        self._remove(
            f"group {name}",
            self._clients.groups.delete_unary,
            compute_v1.DeleteRegionInstanceGroupManagerRequest(instance_group_manager=name, **self._where),
        )
        self._remove(
            f"instance template {name}",
            self._clients.templates.delete_unary,
            compute_v1.DeleteRegionInstanceTemplateRequest(instance_template=name, **self._where),
        )

    def _make(self, what: str, call: Callable[..., Any], request: Any) -> None:
        try:
            self._change(what, call, request)
        except ThereError:
            return

    def _remove(self, what: str, call: Callable[..., Any], request: Any) -> None:
        try:
            self._change(what, call, request)
        except AbsentError:
            return

    def _change(self, what: str, call: Callable[..., Any], request: Any) -> None:
        """Ask for a change, and wait until it is made."""
        request.request_id = str(uuid.uuid4())
        with self._asking(what):
            operation = call(request, timeout=_REQUEST, retry=self._retry())
            self._await(operation, what)

    def _await(self, operation: compute_v1.Operation, what: str) -> None:
        deadline = time.monotonic() + _OPERATION
        while operation.status != operation.Status.DONE:
            if time.monotonic() > deadline:
                raise UnreachableError(f"{what}: Compute Engine has not done after {_OPERATION:.0f} s what it began")
            operation = self._clients.operations.wait(
                {"operation": operation.name, **self._where}, timeout=_OPERATION, retry=self._retry()
            )
        _raise_error(operation, what)

    def _asking(self, what: str) -> AbstractContextManager[None]:
        return asking(what, self.project)

    def _retry(self) -> Retry:
        """Return how a request is repeated that nobody has answered, or not now."""
        return Retry(
            predicate=if_exception_type(*_PASSING),
            initial=0.5,
            maximum=10.0,
            timeout=self._patience,
            on_error=silence.COMPUTE.note,
        )


def _member(listed: compute_v1.ManagedInstance) -> Member:
    return Member(
        path=path_of(listed.instance),
        id=str(listed.id) if listed.id else None,
        action=listed.current_action,
        faults=tuple(_fault(error) for error in listed.last_attempt.errors.errors),
    )


def _fault(error: compute_v1.Errors) -> Fault:
    known = {key: value for detail in error.error_details for key, value in detail.error_info.metadatas.items()}
    return Fault(code=error.code, message=error.message, details=known)


def _pages(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    return (paths[at : at + _MANY] for at in range(0, len(paths), _MANY))


def _raise_error(operation: compute_v1.Operation, what: str) -> None:
    """Raise what an operation that is over says went wrong."""
    if not (errors := operation.error.errors):
        return
    code, message = errors[0].code, errors[0].message
    kind = {"RESOURCE_NOT_FOUND": AbsentError, "RESOURCE_ALREADY_EXISTS": ThereError}.get(code)
    raise kind(f"{what}: {message}") if kind else RefusedError(what, Fault(code=code, message=message))
