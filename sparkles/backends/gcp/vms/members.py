"""Members: the VMs of a group as it lists them, and what there is to tell from that. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sparkles import staffing
from sparkles.backends.gcp.vms.reasons import Fault
from sparkles.model import Node

#: What the group does with a member that is to come, or to come again, …
_COMING = frozenset(["CREATING", "CREATING_WITHOUT_RETRIES", "RECREATING"])

#: … and with one that is to go.
_GOING = frozenset(["DELETING", "ABANDONING", "STOPPING", "SUSPENDING"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A VM of a group, or the place of one."""

    #: Below the project: `zones/ZONE/instances/NAME`.
    path: str
    #: The number that no other instance ever has; None as long as there is none.
    id: str | None = None
    #: What the group does with it just now; NONE for nothing.
    action: str = "NONE"
    #: Why it could not be made, when that was last tried.
    faults: Sequence[Fault] = ()

    @property
    def name(self) -> str:
        """Return the instance's name."""
        return self.path.rpartition("/")[2]

    @property
    def zone(self) -> str:
        """Return the zone that it is in."""
        return self.path.split("/")[1]

    @property
    def is_coming(self) -> bool:
        """Whether the machine is yet to be made."""
        return self.action in _COMING

    @property
    def is_going(self) -> bool:
        """Whether the machine is being removed, and nothing comes in its place."""
        return self.action in _GOING


def path_of(url: str) -> str:
    """Return a member's path, given the URL of its instance.

    >>> path_of("https://www.googleapis.com/compute/v1/projects/p/zones/z-a/instances/s-1-x")
    'zones/z-a/instances/s-1-x'
    """
    found = re.search("zones/[^/]+/instances/[^/]+$", url)
    assert found, url
    return found[0]


def staging(members: Sequence[Member], nodes: Sequence[Node]) -> list[Member]:
    """Return the members whose workers are yet to report."""
    staying = (member for member in members if not member.is_going)
    return [member for member in staying if member.is_coming or staffing.record_of(member, nodes) is None]
