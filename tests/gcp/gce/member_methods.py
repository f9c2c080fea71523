"""The methods that name members of a group: they are deleted, or made anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import invalid
from ..service import Answer, Call
from . import group_resources
from .group_methods import GroupMethods
from .links import instance_of
from .lives import Lives
from .operations import Operations
from .reconcile import Reconciler
from .world import Group, Member, World

_METHOD = "compute.regionInstanceGroupManagers"
_OPERATION = "compute.instanceGroupManagers"

#: Members that one request may name.
_MOST = 1000


class MemberMethods:
    """Answers them."""

    def __init__(
        self, world: World, groups: GroupMethods, lives: Lives, reconciler: Reconciler, operations: Operations
    ) -> None:
        self._world, self._groups, self._lives = world, groups, lives
        self._reconciler, self._operations = reconciler, operations

    @property
    def answers(self) -> Mapping[str, Answer]:
        """The methods, by their ids."""
        once = self._operations.once
        return {
            f"{_METHOD}.deleteInstances": once(self._delete),
            f"{_METHOD}.recreateInstances": once(self._recreate),
        }

    def _delete(self, call: Call) -> dict[str, Any]:
        skips = bool(call.body.get("skipInstancesOnValidationError"))
        return self._each(call, f"{_OPERATION}.deleteInstances", self._delete_one, skips=skips)

    def _recreate(self, call: Call) -> dict[str, Any]:
        return self._each(call, f"{_OPERATION}.recreateInstances", self._recreate_one, skips=False)

    def _each(self, call: Call, kind: str, act: Callable[[Group, Member], None], *, skips: bool) -> dict[str, Any]:
        """Act on all that are named, or on none. Those that cannot be acted on are skipped, if that is wanted."""
        group = self._groups.staying(call)
        found = [(named, self._member(group, named)) for named in self._named(call)]
        wrong = [named for named, member in found if member is None]
        path = group_resources.path(self._world.project, group.region, group.name)
        messages = [f"Instance '{named}' is not a member of '{path}', or is being deleted." for named in wrong]
        if wrong and not skips:
            return self._operations.add(kind, path, error=("INVALID_USAGE", " ".join(messages)))
        for _, member in found:
            if member is not None:
                act(group, member)
        self._world.tell()
        return self._operations.add(kind, path, warnings=messages)

    def _named(self, call: Call) -> list[str]:
        named: list[str] = call.body.get("instances") or []
        if not named or len(named) > _MOST:
            raise invalid(f"Invalid value for field 'instances': ''. Must name 1 to {_MOST} instances.")
        for place, each in enumerate(named):
            if instance_of(each) is None:
                raise invalid(f"Invalid value for field 'instances[{place}]': '{each}'. The URL is malformed.")
        return list(dict.fromkeys(named))

    def _member(self, group: Group, named: str) -> Member | None:
        zone, name = instance_of(named) or ("", "")
        member = group.members.get(name)
        if member is None or member.zone != zone or member.action == "DELETING":
            return None
        unmade = self._world.instance(member) is None
        return None if unmade and not self._reconciler.behaviour.unmade_can_be_deleted else member

    def _delete_one(self, group: Group, member: Member) -> None:
        member.action = "DELETING"
        group.target -= 1

    def _recreate_one(self, group: Group, member: Member) -> None:
        instance = self._world.instance(member)
        if instance is not None and member.action == "NONE":
            member.action = "RECREATING"
            self._lives.end(instance, doomed=True)
