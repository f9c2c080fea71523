"""A simulated Compute Engine for Google's unmodified clients and for gcloud: its VMs really boot.

It is ours. What runs against it shows the shape of our requests, which Google's own discovery document judges, and
how our code behaves when machines come late, break, and are taken away. It shows nothing of how Google's service
behaves; `Behaviour` has a switch for what we know that we do not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..discovery import Document
from ..errors import not_found
from ..server import Server
from ..service import Call, Service, Simulated
from .booting import Booter
from .capacity import Capacity, Stockout, Unavailable
from .catalogue_methods import CatalogueMethods
from .group_methods import GroupMethods
from .instance_methods import InstanceMethods
from .lives import Lives
from .member_methods import MemberMethods
from .neighbour_methods import NeighbourMethods
from .operations import Operations
from .reconcile import Behaviour, Reconciler
from .rights import Rights
from .template_methods import TemplateMethods
from .world import Group, Instance, World

_NUMBER = "123456789012"

#: gcloud says it of every list; this revision of the document does not have it.
_TOLERATED = "returnPartialSuccess: there is no such parameter"


class ComputeSimulator(Simulated):
    """Compute Engine at a port of this machine: one project, whose VMs a booter makes."""

    def __init__(self, booter: Booter, *, project: str, port: int = 0) -> None:
        self.world = World(project, _NUMBER)
        self.capacity = Capacity(world=self.world)
        self.lives = Lives(self.world, booter)
        self.rights = Rights(self.lives.accounts)
        self._neighbours = NeighbourMethods(self.world)
        self._booter = booter
        self._operations = operations = Operations(self.world)
        self._reconciler = Reconciler(self.world, self.capacity, self.lives, operations)
        groups = GroupMethods(self.world, self.rights, operations)
        document = Document.load("compute.v1")
        self._service = Service(
            document,
            {
                **operations.answers,
                **CatalogueMethods(self.world, self.capacity).answers,
                **TemplateMethods(self.world, operations).answers,
                **groups.answers,
                **MemberMethods(self.world, groups, self.lives, self._reconciler, operations).answers,
                **self._neighbours.answers,
                **InstanceMethods(self.world, self.lives, operations).answers,
            },
            guard=self._guard,
            tolerated=[f"{method}: {_TOLERATED}" for method in document.methods],
        )
        self._server = Server(self._service.answer, port=port)
        self.url = self._server.url

    @property
    def behaviour(self) -> Behaviour:
        """What we do not know of Google's service."""
        return self._reconciler.behaviour

    # What a test sees.

    @property
    def instances(self) -> list[Instance]:
        """The instances there are, the oldest first."""
        with self.world.lock:
            return list(self.world.instances.values())

    @property
    def groups(self) -> dict[str, Group]:
        """The groups there are, by their names."""
        with self.world.lock:
            return {group.name: group for group in self.world.groups.values()}

    def instance(self, name: str) -> Instance:
        """Return the instance of this name. Raises KeyError."""
        return {each.vm.name: each for each in self.instances}[name]

    def wait_until(self, true: Callable[[], Any], *, within: float = 30.0) -> Any:
        """Return the first true value of `true()`, asked again at each change of anything. It may send requests."""
        return self.world.wait_until(true, within=within)

    def wait_for_quiet(self, *, within: float = 30.0) -> None:
        """Return when no group has anything left to do, and nothing is on its way out."""
        self.wait_until(self._is_quiet, within=within)

    def serial(self, name: str) -> str:
        """Return the serial output of an instance."""
        instance = self.instance(name)
        machine = instance.machine
        return machine.serial() if machine is not None else instance.serial

    # What a test does.

    def preempt(self, name: str, *, notice: bool = True) -> None:
        """Take an instance away: it is told, and has its grace; or its power is cut."""
        with self.world.lock:
            self._reconciler.preempt(self.instance(name), notice=notice)

    def expire(self, name: str) -> None:
        """Let an instance reach the limit of its life now."""
        with self.world.lock:
            self._reconciler.expire(self.instance(name))

    def stockout(
        self, zones: Iterable[str] = (), *, machine_types: Iterable[str] = (), spot: bool | None = None
    ) -> None:
        """Let there be no more machines in these zones, of these types; in all, of all, without any."""
        with self.world.lock:
            kind = Stockout(zones=frozenset(zones), types=frozenset(machine_types), spot=spot)
            self.capacity.stockouts.append(kind)

    def restock(self) -> None:
        """End all stockouts and refusals, and set the usual quotas."""
        with self.world.lock:
            self.capacity.clear()
            self.world.tell()

    def quota(self, metric: str, limit: float, *, region: str = "us-central1") -> None:
        """Set a quota of a region, such as CPUS or INSTANCES."""
        with self.world.lock:
            self.capacity.limits[region, metric] = limit
            self.world.tell()

    def refuse_machines(self, code: str, message: str, *, times: int | None = None) -> None:
        """Let the next attempts to make a machine fail, or all of them, with Google's code and words."""
        with self.world.lock:
            if times is None:
                self.capacity.refusal = Unavailable(code, message)
            else:
                self.capacity.refusals += [Unavailable(code, message)] * times

    def slow_boots(self, seconds: float) -> None:
        """Let VMs take so long from now on until they are on."""
        self.lives.boot_seconds = seconds

    def run_instead(self, script: str | None) -> None:
        """Let VMs run this instead of their startup script from now on; None for their own again."""
        self.lives.script = script

    def add_nat(self, name: str, *, region: str = "us-central1") -> None:
        """Let a region have a Cloud NAT."""
        self._neighbours.nats.setdefault(region, []).append(name)

    def reset(self) -> None:
        """End and remove all that there is, and forget all that was set."""
        with self.world.lock:
            self.capacity.clear()
            self._neighbours.nats.clear()
            self._be_usual()
            for group in self.world.groups.values():
                group.is_going, group.target = True, 0
            instances = list(self.world.instances.values())
            for instance in instances:
                self.lives.end(instance, doomed=True, power=False)
            self.world.tell()
        for machine in filter(None, (instance.machine for instance in instances)):
            machine.kill()  # some may have been on their way out slowly
        self.wait_until(lambda: not self.world.groups and not self.world.instances)
        self.world.templates.clear()
        self._operations.forget()
        self.forget()

    def forget(self) -> None:
        """Disarm, allow what is allowed usually, and forget all requests."""
        self.faults.clear()
        self.rights.clear()
        self.requests.clear()
        self.violations.clear()

    def close(self) -> None:
        """Kill all VMs, and stop."""
        self._server.close()
        self._reconciler.close()
        self._booter.close()

    def _is_quiet(self) -> bool:
        with self.world.lock:
            stable = all(group.is_stable for group in self.world.groups.values())
            members = [member for group in self.world.groups.values() for member in group.members.values()]
            going = any(each.is_going for each in self.world.instances.values())
            return stable and not going and all(self.world.instance(member) is not None for member in members)

    def _be_usual(self) -> None:
        self._reconciler.behaviour = Behaviour()
        self.lives.boot_seconds, self.lives.script, self.lives.grace = 0.0, None, None
        self.lives.deaf_requests = 0

    def _guard(self, call: Call) -> None:
        project = call.values["project"]
        if project != self.world.project and not call.method.id.startswith("compute.images."):
            raise not_found(f"The resource 'projects/{project}' was not found")
        self.rights.check(call)
