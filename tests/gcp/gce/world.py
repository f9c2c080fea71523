"""What there is: templates, groups with their members, instances. One lock guards all; whoever changes it tells all.

Mutable records, so that a thread that waits for a change sees it. Nothing here decides anything.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .booting import Machine, Vm
from .guests import Guest

#: So many errors of a group are kept.
_ERRORS = 1000


@dataclass(kw_only=True, eq=False)
class Template:
    """An instance template of a region."""

    name: str
    region: str
    id: str
    #: As it was sent.
    said: dict[str, Any]
    created: float


@dataclass(kw_only=True, eq=False)
class Instance:
    """An instance, from the moment when the order to make it was accepted."""

    vm: Vm
    guest: Guest
    #: Google's word: PROVISIONING, STAGING, RUNNING, STOPPING, TERMINATED.
    status: str = "PROVISIONING"
    created: float = field(default_factory=time.time)
    #: time.monotonic() when it was on; None until then.
    started: float | None = None
    machine: Machine | None = None
    #: Its serial output so far; from the machine, while there is one.
    serial: str = ""
    #: Whether it is taken away once it is off, rather than kept as TERMINATED.
    doomed: bool = False
    #: Whether the limit of its life has ended it.
    expired: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Zone and name."""
        return self.vm.zone, self.vm.name

    @property
    def is_going(self) -> bool:
        """Whether it is on its way out."""
        return self.status in ("STOPPING", "TERMINATED") or self.doomed


@dataclass(kw_only=True, eq=False)
class Member:
    """A place in a group: a name, and what the group is doing about the instance that is to have it."""

    name: str
    zone: str
    #: Google's word: CREATING, RECREATING, DELETING, NONE.
    action: str = "CREATING"
    #: Of the instance that was made for it last. Empty until one was.
    instance_id: str = ""
    #: Why it could not be made at the last attempt: code and message.
    errors: list[tuple[str, str]] = field(default_factory=list)
    #: time.monotonic() before which it is not tried again.
    not_before: float = 0.0


@dataclass(kw_only=True, eq=False)
class Group:
    """A group of instances in a region that Google keeps at its target size."""

    name: str
    region: str
    id: str
    #: As it was sent.
    said: dict[str, Any]
    #: The link of the template of new members.
    template: str
    target: int
    created: float
    members: dict[str, Member] = field(default_factory=dict)
    #: time.time(), action, zone, name, code, message; the newest last.
    errors: deque[tuple[float, str, str, str, str, str]] = field(default_factory=lambda: deque(maxlen=_ERRORS))
    is_going: bool = False

    @property
    def staying(self) -> list[Member]:
        """The members that are not on their way out."""
        return [member for member in self.members.values() if member.action != "DELETING"]

    @property
    def is_stable(self) -> bool:
        """Whether nothing is left to do."""
        settled = all(member.action == "NONE" for member in self.members.values())
        return settled and len(self.members) == self.target and not self.is_going


class World:
    """All records, and the lock that guards them."""

    def __init__(self, project: str, number: str) -> None:
        self.project, self.number = project, number
        self.lock = threading.RLock()
        #: Notified of every change. Its lock is `lock`.
        self.changed = threading.Condition(self.lock)
        self._changes = 0
        self.templates: dict[tuple[str, str], Template] = {}
        self.groups: dict[tuple[str, str], Group] = {}
        self.instances: dict[tuple[str, str], Instance] = {}
        #: Ids are of nothing else on this machine: containers are told apart by them.
        self._last_id = 10**18 + secrets.randbelow(10**12) * 10**6

    def new_id(self) -> str:
        """Return an id that nothing has had yet."""
        with self.lock:
            self._last_id += 1
            return str(self._last_id)

    def instance(self, member: Member) -> Instance | None:
        """Return the instance of a member, if it has one now."""
        found = self.instances.get((member.zone, member.name))
        return found if found is not None and found.vm.id == member.instance_id else None

    def members_of(self, instance: Instance) -> Iterator[tuple[Group, Member]]:
        """Yield the group and the place of an instance, if it has one."""
        for group in self.groups.values():
            member = group.members.get(instance.vm.name)
            if member is not None and member.instance_id == instance.vm.id:
                yield group, member

    def tell(self) -> None:
        """Wake whoever waits for a change."""
        with self.lock:
            self._changes += 1
            self.changed.notify_all()

    def wait_until(self, true: Callable[[], Any], *, within: float = 30.0) -> Any:
        """Return the first true value of `true()`, asked at each change; fail if there is none in time.

        It is asked without the lock, so it may send requests.
        """
        deadline = time.monotonic() + within
        while True:
            seen = self._changes
            if value := true():
                return value
            with self.lock:
                while self._changes == seen:
                    left = deadline - time.monotonic()
                    assert left > 0, f"did not become true within {within} s: {self.shown()}"
                    self.changed.wait(left)

    def shown(self) -> str:
        """Return the groups and instances in a line, for messages."""
        groups = [
            f"{group.name} {len(group.members)}/{group.target}: "
            + ", ".join(f"{each.name} {each.action} {each.errors or ''}".rstrip() for each in group.members.values())
            for group in self.groups.values()
        ]
        return "; ".join([*groups, *(f"{each.vm.name} {each.status}" for each in self.instances.values())]) or "nothing"
