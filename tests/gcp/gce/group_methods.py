"""The methods of managed instance groups of a region: what a client says of a whole group, and what it is shown."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..errors import ApiError
from ..service import Answer, Call
from . import group_resources, group_rules
from .catalogue import REGIONS, zones
from .links import last, link
from .listing import aggregated, listed, page
from .operations import Operations, exists, gone
from .rights import Rights
from .world import Group, World

_METHOD = "compute.regionInstanceGroupManagers"


class GroupMethods:
    """Answers them."""

    def __init__(self, world: World, rights: Rights, operations: Operations) -> None:
        self._world, self._rights, self._operations = world, rights, operations

    @property
    def answers(self) -> Mapping[str, Answer]:
        """The methods, by their ids."""
        once = self._operations.once
        return {
            f"{_METHOD}.insert": once(self._insert),
            f"{_METHOD}.get": self._get,
            f"{_METHOD}.list": self._list,
            f"{_METHOD}.listErrors": self._list_errors,
            f"{_METHOD}.listManagedInstances": self._list_members,
            f"{_METHOD}.resize": once(self._resize),
            f"{_METHOD}.setInstanceTemplate": once(self._set_template),
            f"{_METHOD}.patch": once(self._patch),
            f"{_METHOD}.delete": once(self._delete),
            "compute.instanceGroupManagers.aggregatedList": self._all,
            "compute.instanceGroupManagers.list": self._none,
        }

    def _insert(self, call: Call) -> dict[str, Any]:
        region, name = call.values["region"], call.body["name"]
        path = group_resources.path(self._world.project, region, name)
        said = group_rules.filled(call.body, region)
        group_rules.check(said, region)
        if (region, name) in self._world.groups:
            raise exists(path)
        template = self._template(said, region)
        account = self._account(region, last(template))
        if account and not self._rights.has(call, "iam.serviceAccounts.actAs"):
            return self._operations.add("insert", path, error=_no_access(account, self._world.project))
        self._world.groups[region, name] = Group(
            name=name, region=region, id=self._world.new_id(), said=said, template=template,
            target=said["targetSize"], created=time.time(),
        )  # fmt: skip
        self._world.tell()
        return self._operations.add("insert", path)

    def _get(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            return group_resources.group(self._world, self.found(call))

    def _list(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            region = call.values["region"]
            found = [group_resources.group(self._world, each) for each in self._of(region)]
        path = f"projects/{self._world.project}/regions/{region}/instanceGroupManagers"
        return listed(call, "compute#regionInstanceGroupManagerList", path, found)

    def _all(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            places: dict[str, list[dict[str, Any]]] = {
                f"regions/{region}": [group_resources.group(self._world, each) for each in self._of(region)]
                for region in REGIONS
            }
        places |= {f"zones/{zone}": [] for region in REGIONS for zone in zones(region)}
        return aggregated(call, "compute#instanceGroupManagerAggregatedList", "instanceGroupManagers", places)

    def _none(self, call: Call) -> dict[str, Any]:
        """List the groups of a zone. All there are belong to regions."""
        path = f"projects/{self._world.project}/zones/{call.values['zone']}/instanceGroupManagers"
        return listed(call, "compute#instanceGroupManagerList", path, [])

    def _list_errors(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            group = self.found(call)
            found = [group_resources.error(self._world, group, each) for each in reversed(group.errors)]
        items, token = page(call, found)
        return {"items": items, **({"nextPageToken": token} if token else {})}

    def _list_members(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            group = self.found(call)
            found = [group_resources.member(self._world, group, each) for each in group.members.values()]
        if group.said.get("listManagedInstancesResults") != "PAGINATED":
            return {"managedInstances": found}
        items, token = page(call, found)
        return {"managedInstances": items, **({"nextPageToken": token} if token else {})}

    def _resize(self, call: Call) -> dict[str, Any]:
        group = self.staying(call)
        group_rules.check_size(int(call.values["size"]))
        group.target = int(call.values["size"])
        self._world.tell()
        return self._done("compute.instanceGroupManagers.resize", group)

    def _set_template(self, call: Call) -> dict[str, Any]:
        group = self.staying(call)
        group.template = self._template(call.body, group.region)
        return self._done("compute.instanceGroupManagers.setInstanceTemplate", group)

    def _patch(self, call: Call) -> dict[str, Any]:
        group = self.staying(call)
        changes = {name: value for name, value in call.body.items() if name != "fingerprint"}
        if call.body.get("fingerprint", "") not in ("", group_resources.fingerprint(group)):
            raise ApiError(412, "conditionNotMet", "Invalid fingerprint.")
        said = {**group.said, **changes}
        group_rules.check(said, group.region)
        group.template = (
            self._template(said, group.region)
            if "versions" in changes or "instanceTemplate" in changes
            else group.template
        )
        group.said, group.target = said, changes.get("targetSize", group.target)
        self._world.tell()
        return self._done("patch", group)

    def _delete(self, call: Call) -> dict[str, Any]:
        group = self.found(call)
        group.is_going, group.target = True, 0
        self._world.tell()
        return self._done("delete", group)

    def found(self, call: Call) -> Group:
        """Return the group that a request names."""
        region, name = call.values["region"], call.values["instanceGroupManager"]
        if (region, name) not in self._world.groups:
            raise gone(group_resources.path(self._world.project, region, name))
        return self._world.groups[region, name]

    def staying(self, call: Call) -> Group:
        """Return the group that a request wants to change."""
        group = self.found(call)
        if group.is_going:
            path = group_resources.path(self._world.project, group.region, group.name)
            raise ApiError(400, "resourceNotReady", f"The resource '{path}' is not ready")
        return group

    def _done(self, kind: str, group: Group) -> dict[str, Any]:
        return self._operations.add(kind, group_resources.path(self._world.project, group.region, group.name))

    def _of(self, region: str) -> list[Group]:
        return [group for group in self._world.groups.values() if group.region == region]

    def _account(self, region: str, template: str) -> str | None:
        """Return the service account of a template's machines."""
        accounts = self._world.templates[region, template].said["properties"].get("serviceAccounts") or [{}]
        found: str | None = accounts[0].get("email")
        return found

    def _template(self, said: Mapping[str, Any], region: str) -> str:
        versions = said.get("versions") or [{}]
        named = said.get("instanceTemplate") or versions[0].get("instanceTemplate", "")
        path = f"projects/{self._world.project}/regions/{region}/instanceTemplates/{last(named)}"
        if (region, last(named)) not in self._world.templates or f"regions/{region}/" not in named:
            raise gone(path if f"regions/{region}/" in named else named)
        return link(path)


def _no_access(account: str, project: str) -> tuple[str, str]:
    message = (
        f"The user does not have access to service account '{account}'.  User: "
        f"'tester@{project}.iam.gserviceaccount.com'.  Ask a project owner to grant you the iam.serviceAccountUser "
        "role on the service account"
    )
    return "SERVICE_ACCOUNT_ACCESS_DENIED", message
