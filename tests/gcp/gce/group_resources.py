"""How a group, its members and its errors are shown."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

from .group_rules import zone_links
from .links import link
from .operations import timestamp
from .world import Group, Instance, Member, World

#: Google's names of the actions, in the group's summary.
_ACTIONS = {"CREATING": "creating", "RECREATING": "recreating", "DELETING": "deleting", "NONE": "none"}
_NO_ACTION = ("abandoning", "creatingWithoutRetries", "refreshing", "restarting", "verifying")


def path(project: str, region: str, name: str) -> str:
    """Return where a group stands."""
    return f"projects/{project}/regions/{region}/instanceGroupManagers/{name}"


def fingerprint(group: Group) -> str:
    """Return what is another one once somebody changed the group."""
    said = json.dumps([group.said, group.target, group.template], sort_keys=True).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(said).digest()[:8]).decode()


def group(world: World, group: Group) -> dict[str, Any]:
    """Show a group."""
    region = f"projects/{world.project}/regions/{group.region}"
    policy = {**group.said["distributionPolicy"], "zones": zone_links(group.said, world.project)}
    counts = Counter(_ACTIONS[member.action] for member in group.members.values())
    return {
        **group.said,
        "kind": "compute#instanceGroupManager",
        "id": group.id,
        "creationTimestamp": timestamp(group.created),
        "region": link(region),
        "distributionPolicy": policy,
        "instanceTemplate": group.template,
        "versions": [{"instanceTemplate": group.template, "targetSize": {"calculated": group.target}}],
        "instanceGroup": link(f"{region}/instanceGroups/{group.name}"),
        "targetSize": group.target,
        "fingerprint": fingerprint(group),
        "currentActions": {name: counts[name] for name in (*_ACTIONS.values(), *_NO_ACTION)},
        "status": {
            "isStable": group.is_stable,
            "versionTarget": {"isReached": True},
            "stateful": {"hasStatefulConfig": False},
        },
        "selfLink": link(path(world.project, group.region, group.name)),
    }


def member(world: World, group: Group, member: Member) -> dict[str, Any]:
    """Show a member."""
    instance = world.instance(member)
    shown: dict[str, Any] = {
        "instance": link(f"projects/{world.project}/zones/{member.zone}/instances/{member.name}"),
        "name": member.name,
        "currentAction": member.action,
        "version": {"instanceTemplate": group.template},
    }
    if member.errors:
        shown["lastAttempt"] = {"errors": {"errors": [{"code": c, "message": m} for c, m in member.errors]}}
    return shown | (_of_instance(instance) if instance is not None else {})


def error(world: World, group: Group, found: tuple[float, str, str, str, str, str]) -> dict[str, Any]:
    """Show an error."""
    when, action, zone, name, code, message = found
    instance = link(f"projects/{world.project}/zones/{zone}/instances/{name}")
    return {
        "timestamp": timestamp(when),
        "error": {"code": code, "message": message},
        "instanceActionDetails": {
            "action": action, "instance": instance, "version": {"instanceTemplate": group.template},
        },
    }  # fmt: skip


def _of_instance(instance: Instance) -> dict[str, Any]:
    seconds = instance.vm.scheduling.get("maxRunDuration", {}).get("seconds")
    shown: dict[str, Any] = {"id": instance.vm.id, "instanceStatus": instance.status}
    if seconds is not None:
        end = datetime.fromtimestamp(instance.created, tz=timezone.utc) + timedelta(seconds=int(seconds))
        shown["scheduling"] = {"terminationTimestamp": end.isoformat(timespec="milliseconds")}
    return shown
