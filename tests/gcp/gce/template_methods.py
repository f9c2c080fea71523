"""The methods of instance templates of a region."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..errors import ApiError
from ..service import Answer, Call
from . import template_rules
from .catalogue import REGIONS
from .links import link
from .listing import aggregated, listed
from .operations import Operations, exists, gone, timestamp
from .world import Template, World


class TemplateMethods:
    """Answers them."""

    def __init__(self, world: World, operations: Operations) -> None:
        self._world, self._operations = world, operations

    @property
    def answers(self) -> Mapping[str, Answer]:
        """The methods, by their ids."""
        once = self._operations.once
        return {
            "compute.regionInstanceTemplates.insert": once(self._insert),
            "compute.regionInstanceTemplates.get": self._get,
            "compute.regionInstanceTemplates.list": self._list,
            "compute.regionInstanceTemplates.delete": once(self._delete),
            "compute.instanceTemplates.aggregatedList": self._all,
        }

    def _insert(self, call: Call) -> dict[str, Any]:
        template_rules.check(call.body)
        key = call.values["region"], call.body["name"]
        path = self._path(*key)
        if key in self._world.templates:
            raise exists(path)
        self._world.templates[key] = Template(
            name=key[1], region=key[0], id=self._world.new_id(), said=call.body, created=time.time()
        )
        return self._operations.add("insert", path)

    def _get(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            return self._resource(self._found(call))

    def _list(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            region = call.values["region"]
            found = [self._resource(each) for each in self._world.templates.values() if each.region == region]
        path = self._path(region, "").rstrip("/")
        return listed(call, "compute#instanceTemplateList", path, found)

    def _all(self, call: Call) -> dict[str, Any]:
        places: dict[str, list[dict[str, Any]]] = {f"regions/{region}": [] for region in REGIONS}
        with self._world.lock:
            for each in self._world.templates.values():
                places[f"regions/{each.region}"].append(self._resource(each))
        return aggregated(call, "compute#instanceTemplateAggregatedList", "instanceTemplates", places)

    def _delete(self, call: Call) -> dict[str, Any]:
        template = self._found(call)
        path = self._path(template.region, template.name)
        for group in self._world.groups.values():
            if group.template == link(path):
                user = f"projects/{self._world.project}/regions/{group.region}/instanceGroupManagers/{group.name}"
                message = f"The instance_template resource '{path}' is already being used by '{user}'"
                raise ApiError(400, "resourceInUseByAnotherResource", message)
        del self._world.templates[template.region, template.name]
        return self._operations.add("delete", path)

    def _found(self, call: Call) -> Template:
        key = call.values["region"], call.values["instanceTemplate"]
        if key not in self._world.templates:
            raise gone(self._path(*key))
        return self._world.templates[key]

    def _path(self, region: str, name: str) -> str:
        return f"projects/{self._world.project}/regions/{region}/instanceTemplates/{name}"

    def _resource(self, template: Template) -> dict[str, Any]:
        return {
            "kind": "compute#instanceTemplate",
            "id": template.id,
            "creationTimestamp": timestamp(template.created),
            "name": template.name,
            "description": template.said.get("description", ""),
            "properties": template_rules.shown(template.said["properties"]),
            "region": link(f"projects/{self._world.project}/regions/{template.region}"),
            "selfLink": link(self._path(template.region, template.name)),
        }
