"""What Google does by itself: it keeps each group at its target, repairs what is missing, and ends what lived too long.

One thread, level-based: at each change it looks at all there is and does what is missing. Where it is not known what
Google does, `Behaviour` has a switch, and the tests of sparkles try both.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from .capacity import Capacity, Unavailable
from .lives import Lives
from .making import properties_of
from .operations import Operations
from .world import Group, Instance, Member, World

_LETTERS = "0123456789bcdfghjklmnpqrstvwxz"


@dataclass(kw_only=True)
class Behaviour:
    """What we do not know of Google's service, or what a test wants otherwise."""

    #: Whether a member that is repaired keeps its name.
    repair_keeps_name: bool = True
    #: Whether a member that reached the limit of its life is made anew. Otherwise the group shrinks.
    run_limit_recreates: bool = True
    #: Whether a member can be deleted before there is an instance of it.
    unmade_can_be_deleted: bool = True
    #: Seconds until a member that could not be made is tried again.
    retry: float = 0.5


class Reconciler:
    """Does what is missing, until it is closed."""

    def __init__(self, world: World, capacity: Capacity, lives: Lives, operations: Operations) -> None:
        self._world, self._capacity, self._lives, self._operations = world, capacity, lives, operations
        self.behaviour = Behaviour()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="gce-reconcile", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Do nothing more."""
        with self._world.lock:
            self._closed = True
            self._world.tell()
        self._thread.join()

    def preempt(self, instance: Instance, *, notice: bool) -> None:
        """Take an instance away, as Google does with Spot machines. The world's lock is held."""
        if notice:
            instance.guest.preempt()
        path = f"projects/{instance.vm.project}/zones/{instance.vm.zone}/instances/{instance.vm.name}"
        self._operations.add("compute.instances.preempted", path, system=True)
        self._lives.end(instance, doomed=_deletes(instance), power=notice)

    def expire(self, instance: Instance) -> None:
        """End an instance because it has lived as long as it may. The world's lock is held."""
        instance.expired = True
        if not self.behaviour.run_limit_recreates:
            for group, member in self._world.members_of(instance):
                group.target -= member.action != "DELETING"
                member.action = "DELETING"
        self._lives.end(instance, doomed=_deletes(instance))

    def _run(self) -> None:
        with self._world.lock:
            while not self._closed:
                self._end_what_lived_too_long()
                for group in list(self._world.groups.values()):
                    self._tend(group)
                self._world.tell()
                self._world.changed.wait(self._until_next())

    def _until_next(self) -> float | None:
        """Return the seconds until something is due by itself."""
        now = time.monotonic()
        due = [end for each in self._world.instances.values() if (end := _end(each)) is not None]
        members = [member for group in self._world.groups.values() for member in group.members.values()]
        due += [each.not_before for each in members if each.not_before > now]
        return max(0.0, min(due) - now) if due else None

    def _end_what_lived_too_long(self) -> None:
        for instance in list(self._world.instances.values()):
            end = _end(instance)
            if end is not None and end <= time.monotonic():
                self.expire(instance)

    def _tend(self, group: Group) -> None:
        for member in list(group.members.values()):
            if member.action == "NONE":
                self._repair(group, member, self._world.instance(member))
        self._trim(group)
        while len(group.staying) < group.target:
            self._add(group)
        for member in list(group.members.values()):
            if member.action == "DELETING":
                self._delete(group, member)
            elif member.action != "NONE":
                self._make(group, member, self._world.instance(member))
        if group.is_going and not group.members:
            del self._world.groups[group.region, group.name]

    def _repair(self, group: Group, member: Member, instance: Instance | None) -> None:
        if instance is not None and instance.status != "TERMINATED":
            return
        if group.said.get("instanceLifecyclePolicy", {}).get("defaultActionOnFailure") == "DO_NOTHING":
            return
        if instance is not None:
            self._lives.end(instance, doomed=True)
        if self.behaviour.repair_keeps_name:
            member.action = "RECREATING"
        else:
            del group.members[member.name]

    def _trim(self, group: Group) -> None:
        """Choose whom to delete: those that are not there yet, then the newest."""
        surplus = max(0, len(group.staying) - group.target)
        unmade = [member for member in group.staying if member.action != "NONE"]
        made = [member for member in group.staying if member.action == "NONE"]
        for member in [*unmade, *reversed(made)][:surplus]:
            member.action = "DELETING"

    def _add(self, group: Group) -> None:
        name = next(each for each in _names(group.said["baseInstanceName"]) if each not in group.members)
        group.members[name] = Member(name=name, zone=next(self._zones(group)))

    def _delete(self, group: Group, member: Member) -> None:
        instance = self._world.instance(member)
        if instance is not None:
            self._lives.end(instance, doomed=True)
        if self._world.instance(member) is None:
            del group.members[member.name]

    def _make(self, group: Group, member: Member, instance: Instance | None) -> None:
        if instance is not None and instance.status == "RUNNING":
            member.action, member.errors = "NONE", []
        elif instance is not None and instance.status == "TERMINATED":
            self._lives.end(instance, doomed=True)
            self._failed(group, member, "INTERNAL_ERROR", instance.serial.strip() or "The instance did not boot.")
        elif instance is None and member.not_before <= time.monotonic():
            self._attempt(group, member)

    def _attempt(self, group: Group, member: Member) -> None:
        template = self._world.templates[_key(group.template)]
        try:
            zone = self._capacity.zone_for(self._zones(group, member), template.said["properties"])
        except Unavailable as error:
            self._failed(group, member, error.code, error.message)
            return
        member.zone = zone
        properties = properties_of(template, group, zone=zone, name=member.name, world=self._world)
        member.instance_id = self._lives.make(member.name, zone, properties).vm.id

    def _failed(self, group: Group, member: Member, code: str, message: str) -> None:
        member.errors = [(code, message)]
        member.not_before = time.monotonic() + self.behaviour.retry
        group.errors.append((time.time(), member.action, member.zone, member.name, code, message))

    def _zones(self, group: Group, member: Member | None = None) -> Iterator[str]:
        """Yield the zones to try for a member, the best one first: that of its old self, then the emptiest."""
        policy = group.said["distributionPolicy"]
        zones = [each["zone"].rpartition("/")[2] for each in policy["zones"]]
        used = [each.zone for each in group.members.values() if each is not member]
        order = sorted(zones, key=used.count)
        if member is not None and policy.get("targetShape", "EVEN") == "EVEN":
            order = [member.zone]
        elif member is not None and member.instance_id:
            change = group.said.get("instanceLifecyclePolicy", {}).get("onRepair", {}).get("allowChangingZone", "NO")
            others = [zone for zone in order if zone != member.zone] if change == "YES" else []
            order = [member.zone, *others]
        yield from order


def _names(base: str) -> Iterator[str]:
    while True:
        yield f"{base}-{''.join(secrets.choice(_LETTERS) for _ in range(4))}"


def _key(template: str) -> tuple[str, str]:
    words = template.split("/")
    return words[-3], words[-1]


def _deletes(instance: Instance) -> bool:
    return instance.vm.scheduling.get("instanceTerminationAction") == "DELETE"


def _end(instance: Instance) -> float | None:
    """Return the time.monotonic() at which an instance has lived as long as it may."""
    seconds = instance.vm.scheduling.get("maxRunDuration", {}).get("seconds")
    if seconds is None or instance.started is None or instance.status != "RUNNING":
        return None
    return instance.started + float(seconds)
