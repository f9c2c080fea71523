"""Who may do what: the permissions that each method needs, and those of the operator and of each VM.

Whoever shows the token of a VM has the rights of its service account, and no others: that is how a test shows that a
node needs no more than it is given. Everybody else is the operator, who may do all that a test does not deny.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from ..errors import ApiError
from ..service import Call

_GROUPS, _INSTANCES, _TEMPLATES = "compute.instanceGroupManagers", "compute.instances", "compute.instanceTemplates"

#: What each method needs. One that is not here is refused to all VMs, and needs its own name of the operator.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "compute.regionInstanceGroupManagers.insert": (f"{_GROUPS}.create", f"{_INSTANCES}.create"),
    "compute.regionInstanceGroupManagers.get": (f"{_GROUPS}.get",),
    "compute.regionInstanceGroupManagers.list": (f"{_GROUPS}.list",),
    "compute.regionInstanceGroupManagers.listErrors": (f"{_GROUPS}.get",),
    "compute.regionInstanceGroupManagers.listManagedInstances": (f"{_GROUPS}.get",),
    "compute.regionInstanceGroupManagers.resize": (f"{_GROUPS}.update",),
    "compute.regionInstanceGroupManagers.deleteInstances": (f"{_GROUPS}.update",),
    "compute.regionInstanceGroupManagers.recreateInstances": (f"{_GROUPS}.update",),
    "compute.regionInstanceGroupManagers.setInstanceTemplate": (f"{_GROUPS}.update",),
    "compute.regionInstanceGroupManagers.patch": (f"{_GROUPS}.get", f"{_GROUPS}.update"),
    "compute.regionInstanceGroupManagers.delete": (f"{_GROUPS}.delete",),
    "compute.instanceGroupManagers.aggregatedList": (f"{_GROUPS}.list",),
    "compute.instanceGroupManagers.list": (f"{_GROUPS}.list",),
    "compute.regionInstanceTemplates.insert": (f"{_TEMPLATES}.create",),
    "compute.regionInstanceTemplates.get": (f"{_TEMPLATES}.get",),
    "compute.regionInstanceTemplates.list": (f"{_TEMPLATES}.list",),
    "compute.regionInstanceTemplates.delete": (f"{_TEMPLATES}.delete",),
    "compute.instanceTemplates.aggregatedList": (f"{_TEMPLATES}.list",),
    "compute.regionInstanceGroups.list": ("compute.instanceGroups.list",),
    "compute.autoscalers.aggregatedList": ("compute.autoscalers.list",),
    "compute.regionAutoscalers.list": ("compute.autoscalers.list",),
    "compute.acceleratorTypes.aggregatedList": ("compute.acceleratorTypes.list",),
    "compute.globalOperations.aggregatedList": ("compute.globalOperations.list",),
    "compute.instances.aggregatedList": (f"{_INSTANCES}.list",),
    "compute.machineTypes.aggregatedList": ("compute.machineTypes.list",),
    "compute.images.getFromFamily": ("compute.images.getFromFamily",),
    **{f"compute.{kind}.wait": (f"compute.{kind}.get",)
       for kind in ("zoneOperations", "regionOperations", "globalOperations")},
}  # fmt: skip

#: What the service account of a node may do: look at its group, take itself out, and see what became of that.
OF_NODES = frozenset({f"{_GROUPS}.get", f"{_GROUPS}.update", "compute.regionOperations.get"})


class Rights:
    """What the operator and the service accounts of VMs may do."""

    def __init__(self, accounts: Mapping[str, str]) -> None:
        #: What nobody but a VM may do.
        self.denied: set[str] = set()
        #: Of each service account, what its VMs may do.
        self.of: defaultdict[str, set[str]] = defaultdict(lambda: set(OF_NODES))
        #: The service account of each VM's token.
        self._accounts = accounts

    def clear(self) -> None:
        """Allow what is allowed usually."""
        self.denied.clear()
        self.of.clear()

    def check(self, call: Call) -> None:
        """Raise if whoever asks may not do this."""
        for permission in NEEDED.get(call.method.id, (call.method.id,)):
            if not self.has(call, permission):
                raise _refusal(permission, _resource(call))

    def has(self, call: Call, permission: str) -> bool:
        """Say whether whoever asks has a permission."""
        token = call.request.headers.get("authorization", "").removeprefix("Bearer ")
        account = self._accounts.get(token)
        return permission not in self.denied if account is None else permission in self.of[account]


def _refusal(permission: str, resource: str) -> ApiError:
    return ApiError(403, "forbidden", f"Required '{permission}' permission for '{resource}'")


def _resource(call: Call) -> str:
    """Return where the resource of a request stands, as the refusal names it."""
    path = call.request.path.partition("/compute/v1/")[2]
    name = (call.body or {}).get("name") if isinstance(call.body, dict) else None
    return f"{path}/{name}" if name else path
