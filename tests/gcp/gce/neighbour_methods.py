"""The methods of what stands beside groups: gcloud asks for it, and so does whoever checks a project's network.

Of autoscalers there are none. Of a group of instances there is what its managed group says. A test may add routers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..service import Answer, Call
from .catalogue import REGIONS
from .links import link
from .listing import aggregated, listed
from .operations import timestamp
from .world import Group, World


class NeighbourMethods:
    """Answers them."""

    def __init__(self, world: World) -> None:
        self._world = world
        #: The names of the Cloud NATs of each region.
        self.nats: dict[str, list[str]] = {}

    @property
    def answers(self) -> Mapping[str, Answer]:
        """The methods, by their ids."""
        return {
            "compute.autoscalers.aggregatedList": self._no_autoscalers,
            "compute.regionAutoscalers.list": self._no_autoscalers_here,
            "compute.regionInstanceGroups.list": self._groups,
            "compute.routers.list": self._routers,
        }

    def _no_autoscalers(self, call: Call) -> dict[str, Any]:
        places: dict[str, list[dict[str, Any]]] = {f"regions/{region}": [] for region in REGIONS}
        return aggregated(call, "compute#autoscalerAggregatedList", "autoscalers", places)

    def _no_autoscalers_here(self, call: Call) -> dict[str, Any]:
        return listed(call, "compute#regionAutoscalerList", self._path(call, "autoscalers"), [])

    def _groups(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            here = [group for group in self._world.groups.values() if group.region == call.values["region"]]
            found = [self._group(group) for group in here]
        return listed(call, "compute#regionInstanceGroupList", self._path(call, "instanceGroups"), found)

    def _group(self, group: Group) -> dict[str, Any]:
        region = f"projects/{self._world.project}/regions/{group.region}"
        return {
            "kind": "compute#instanceGroup",
            "id": group.id,
            "name": group.name,
            "creationTimestamp": timestamp(group.created),
            "size": sum(self._world.instance(each) is not None for each in group.members.values()),
            "region": link(region),
            "selfLink": link(f"{region}/instanceGroups/{group.name}"),
        }

    def _routers(self, call: Call) -> dict[str, Any]:
        found = [
            {
                "kind": "compute#router",
                "name": f"{name}-router",
                "network": link(f"projects/{self._world.project}/global/networks/default"),
                "nats": [{"name": name}],
            }
            for name in self.nats.get(call.values["region"], ())
        ]
        return listed(call, "compute#routerList", self._path(call, "routers"), found)

    def _path(self, call: Call, what: str) -> str:
        return f"projects/{self._world.project}/regions/{call.values['region']}/{what}"
