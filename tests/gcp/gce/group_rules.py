"""What Google demands of a group beyond its shape, and what it fills in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ApiError, invalid
from .catalogue import zones
from .links import last, link

#: Members of a group of a region, at most.
_MOST = 2000

#: What changes what a group does, and does nothing here: whoever sends it is told.
_NOT_SIMULATED = (
    "allInstancesConfig", "autoHealingPolicies", "instanceFlexibilityPolicy", "resourcePolicies", "standbyPolicy",
    "statefulPolicy", "targetStoppedSize", "targetSuspendedSize",
)  # fmt: skip

#: Characters of the names of members, before what is added to them.
_LONGEST = 58


def filled(body: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Return what was said of a group, with what goes without saying."""
    said = {name: value for name, value in body.items() if value is not None}
    policy = dict(said.get("distributionPolicy", {}))
    policy.setdefault("targetShape", "EVEN")
    if not policy.get("zones"):
        policy["zones"] = [{"zone": f"zones/{zone}"} for zone in zones(region)[:3]]
    said["distributionPolicy"] = policy
    said.setdefault("baseInstanceName", said["name"])
    said.setdefault("updatePolicy", {"type": "OPPORTUNISTIC", "instanceRedistributionType": "PROACTIVE"})
    said.setdefault("listManagedInstancesResults", "PAGELESS")
    said.setdefault("instanceLifecyclePolicy", {}).setdefault("defaultActionOnFailure", "REPAIR")
    return said


def check(said: Mapping[str, Any], region: str) -> None:
    """Raise ApiError if a group would be refused."""
    _check_simulated(said)
    check_size(said.get("targetSize", 0))
    if len(said["baseInstanceName"]) > _LONGEST:
        raise _wrong("baseInstanceName", said["baseInstanceName"], f"Must be at most {_LONGEST} characters long.")
    policy = said["distributionPolicy"]
    redistribution = said["updatePolicy"].get("instanceRedistributionType", "PROACTIVE")
    if policy["targetShape"] != "EVEN" and redistribution != "NONE":
        wanted = f"Must be NONE for the target shape {policy['targetShape']}."
        raise _wrong("updatePolicy.instanceRedistributionType", redistribution, wanted)
    for each in policy["zones"]:
        if last(each["zone"]) not in zones(region):
            raise _wrong("distributionPolicy.zones", each["zone"], f"Must be a zone of the region {region}.")


def _check_simulated(said: Mapping[str, Any]) -> None:
    unknown = [name for name in _NOT_SIMULATED if said.get(name)]
    if said["distributionPolicy"]["targetShape"] == "ANY_SINGLE_ZONE":
        unknown.append("the target shape ANY_SINGLE_ZONE")
    if said.get("targetSizePolicy", {}).get("mode", "INDIVIDUAL") != "INDIVIDUAL":
        unknown.append("another targetSizePolicy")
    if len(said.get("versions", ())) > 1 or said["updatePolicy"].get("type", "OPPORTUNISTIC") != "OPPORTUNISTIC":
        unknown.append("an update of what there is")
    if unknown:
        raise ApiError(501, "notImplemented", f"{', '.join(unknown)}: not simulated")


def check_size(size: int) -> None:
    """Raise ApiError if a group cannot be so large."""
    if not 0 <= size <= _MOST:
        raise _wrong("size", str(size), f"Must be between 0 and {_MOST}.")


def zone_links(said: Mapping[str, Any], project: str) -> list[dict[str, str]]:
    """Return the zones of a group, as links."""
    zone_names = [last(each["zone"]) for each in said["distributionPolicy"]["zones"]]
    return [{"zone": link(f"projects/{project}/zones/{name}")} for name in zone_names]


def _wrong(field: str, value: str, wanted: str) -> ApiError:
    return invalid(f"Invalid value for field 'resource.{field}': '{value}'. {wanted}")
