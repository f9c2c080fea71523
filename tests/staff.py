"""All that can happen to a cluster of machines, step by step, with the real rules: for tests to search through.

A state is a value. `moves` yields what may happen next: a client or a node takes its next step, the cloud makes or
removes a machine, a node dies. What a node does when it leaves is `departure.steps`; how many nodes there are, and
which are shed, say the functions of `staffing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from sparkles import staffing
from sparkles.model import Cluster, Node, NodeState
from sparkles.worker import departure
from sparkles.worker.departure import Step, Why

ALIVE, LEAVING = NodeState.ALIVE, NodeState.LEAVING


class Member(NamedTuple):
    """A machine of the group, by its number."""

    number: int
    #: coming, here, taken (its notice has come) or going.
    at: str = "coming"

    @property
    def name(self) -> str:
        return str(self.number)

    @property
    def id(self) -> str | None:
        return None if self.at == "coming" else str(self.number)

    @property
    def is_coming(self) -> bool:
        return self.at == "coming"

    @property
    def is_going(self) -> bool:
        return self.at == "going"


class Record(NamedTuple):
    """The record of a node; it is on the machine of its number."""

    number: int
    state: NodeState = ALIVE
    #: Tasks that it has claimed.
    held: int = 0
    #: Whether its silence is longer than anybody's patience.
    is_silent: bool = False


class Raise(NamedTuple):
    """Somebody who is about to raise the number of nodes."""

    step: str = "count"
    wanted: int = 0
    #: What was read, until both are.
    nodes: tuple[Record, ...] | None = None
    members: tuple[Member, ...] | None = None
    target: int = 0
    missing: int = 0


class Worker(NamedTuple):
    """The program on a machine."""

    number: int
    #: Those that were dead when it came.
    came_after: frozenset[int] = frozenset()
    #: Whether it found nothing when it looked last.
    is_idle: bool = False
    has_shed: bool = False
    #: Why it leaves, and what came of the steps so far.
    why: Why | None = None
    outcomes: tuple[bool, ...] = ()
    duty: Raise | None = None


class State(NamedTuple):
    pending: int = 0
    target: int = 0
    members: tuple[Member, ...] = ()
    records: tuple[Record, ...] = ()
    workers: tuple[Worker, ...] = ()
    #: What each client is about to do: None before it has queued its task.
    clients: tuple[Raise | str | None, ...] = ()
    scaler: str | None = None
    boots: int = 0
    drain: int = 0
    #: How often each of these may still happen.
    deaths: int = 0
    notices: int = 0
    limits: int = 0
    retries: int = 0


class BrokenError(AssertionError):
    """Something happened that must not."""


@dataclass
class Rules:
    """The rules, and how big the world is. Tests replace some to see that it matters."""

    steps: Callable[..., Iterator[Step]] = departure.steps
    to_shed: Callable[..., Sequence[Member]] = staffing.to_shed
    #: In which order one who raises the number of nodes does what.
    order: tuple[str, ...] = ("take", "nodes", "members", "resize", "free")
    quiet_after: Callable[..., float] = staffing.quiet_after
    staffs_after_shedding: bool = True
    boots_fail: bool = False
    watches: bool = False
    #: Whether a node that waits for work sheds before it leaves.
    lingers: bool = False
    #: Machines that the cloud lets one have at a time.
    quota: int = 3
    most: int = 2
    #: Tasks that each client queues.
    tasks: int = 1


def moves(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """Yield all that may happen next."""
    for n, client in enumerate(state.clients):
        yield from _client(state, n, client, rules)
    for worker in state.workers:
        yield from _worker(state, worker, rules)
    yield from _cloud(state, rules)
    yield from _time(state)


def open_tasks(state: State) -> int:
    return state.pending + sum(record.held for record in state.records)


def is_over(state: State) -> bool:
    """Say whether all work is done, and nothing costs money any more."""
    return not open_tasks(state) and not state.members and not state.target


# Whoever raises the number of nodes


def _client(state: State, n: int, client: Raise | str | None, rules: Rules) -> Iterator[tuple[str, State]]:
    def at(after: Raise | str | None) -> tuple[Raise | str | None, ...]:
        return (*state.clients[:n], after, *state.clients[n + 1 :])

    if client is None:
        yield f"client {n} queues", state._replace(pending=state.pending + rules.tasks, clients=at(Raise()))
    elif isinstance(client, Raise):
        for label, after, raising in _raise(state, f"client {n}", client, rules):
            again = Raise() if rules.watches and open_tasks(state) else "done"
            clients = (*after.clients[:n], raising or again, *after.clients[n + 1 :])
            yield label, after._replace(clients=clients)


def _raise(state: State, who: str, raising: Raise, rules: Rules) -> Iterator[tuple[str, State, Raise | None]]:
    order = ("count", *rules.order)
    step = raising.step
    at = order.index(step)
    after = raising._replace(step=order[at + 1]) if at + 1 < len(order) else raising
    label = f"{who}: {step}"
    match step:
        case "count":
            wanted = staffing.wanted([staffing.Load(open_tasks(state), rules.most)], slots=1)
            yield label, state, after._replace(wanted=wanted) if wanted else None
        case "take":
            if state.scaler is None or not _is_there(state, state.scaler):
                # What it reads first it reads at once: in between nothing could make a difference to it.
                yield from _raise(state._replace(scaler=who), who, after, rules)
        case "nodes":
            yield label, state, _count(state, after._replace(nodes=state.records))
        case "members":
            yield label, state, _count(state, after._replace(members=state.members, target=state.target))
        case "resize":
            # Nodes that leave and stay, in turns, could ask for ever more of them; more than this show nothing new.
            target = max(state.target, min(raising.target + raising.missing, rules.most + 2))
            yield from _raise(state._replace(target=target), who, after, rules)
        case "free":
            boots = state.boots + raising.missing if rules.boots_fail else 0
            yield label, state._replace(scaler=None, boots=boots) if state.scaler == who else state, None


def _count(state: State, raising: Raise) -> Raise:
    if raising.members is None or raising.nodes is None:
        return raising
    present = staffing.present(raising.members, _nodes(raising.nodes), target=raising.target)
    left = staffing.boots_left(_cluster(state), wanted=raising.wanted)
    missing = max(0, min(raising.wanted - present, left))
    return raising._replace(nodes=None, members=None, missing=missing, target=raising.target if missing else 0)


def _is_there(state: State, who: str) -> bool:
    return who.startswith("client") or any(who == f"node {worker.number}" for worker in state.workers)


def _cluster(state: State) -> Cluster:
    return Cluster(name="c", slots=1, linger=0.0, boots=state.boots, drain=state.drain)


@cache
def _nodes(records: tuple[Record, ...]) -> list[Node]:
    return [
        Node(name=f"n{r.number}", cluster="c", state=r.state, slots=1, created=0.0, instance=str(r.number),
             instance_id=str(r.number))
        for r in records
    ]  # fmt: skip


# A node


def _worker(state: State, worker: Worker, rules: Rules) -> Iterator[tuple[str, State]]:
    who = f"node {worker.number}"
    record = next(record for record in state.records if record.number == worker.number)
    if worker.duty:
        for label, after, raising in _raise(state, who, worker.duty, rules):
            yield label, _with(after, worker._replace(duty=raising))
    yield from _sweep(state, worker)
    if worker.why:
        yield from _leave(state, worker, record, rules)
    elif record.held:
        done = _with(state, worker._replace(is_idle=False), record._replace(held=0))
        yield f"{who} finishes", done
        if state.retries:
            yield f"{who} fails", done._replace(pending=state.pending + 1, retries=state.retries - 1)
    elif state.pending and not state.drain:
        duty = worker.duty or (Raise() if worker.has_shed and rules.staffs_after_shedding else None)
        claims = worker._replace(is_idle=False, has_shed=False, duty=duty)
        yield f"{who} claims", _with(state, claims, record._replace(held=1))._replace(pending=state.pending - 1)
    elif not worker.is_idle and not state.pending:
        yield f"{who} finds nothing", _with(state, worker._replace(is_idle=True))
    if not worker.why:
        yield from _begin(state, worker, record, rules)


def _begin(state: State, worker: Worker, record: Record, rules: Rules) -> Iterator[tuple[str, State]]:
    """Begin to leave, for each reason that there may be."""
    who = f"node {worker.number}"
    given_back = state._replace(pending=state.pending + record.held)
    emptied = record._replace(held=0)
    if state.limits:
        limited = given_back._replace(limits=state.limits - 1)
        yield f"{who} is at its limit", _with(limited, worker._replace(why=Why.LIMIT), emptied)
    if state.notices:
        members = _put(state.members, Member(worker.number, "taken"))
        noticed = given_back._replace(notices=state.notices - 1, members=members)
        yield f"{who} has its notice", _with(noticed, worker._replace(why=Why.PREEMPTED), emptied)
    if record.held or worker.duty:
        return
    waits = _waits_for_lost(state, worker, rules)
    if state.drain and not waits:
        yield f"{who} is one too many", _with(state, worker._replace(why=Why.SURPLUS))._replace(drain=state.drain - 1)
    if worker.is_idle and not waits:
        yield f"{who} may go", _with(state, worker._replace(why=Why.IDLE))
        if rules.lingers and not worker.has_shed:
            shed = _with(state, worker._replace(is_idle=False, has_shed=True))
            yield f"{who} lingers and sheds", _shed(shed, state.records, rules)


#: Seconds, each of them longer than the one before: no more of time matters to the rule.
_SHORT, _LONGER, _PATIENCE, _LONG = 1.0, 2.0, 3.0, 4.0


def _waits_for_lost(state: State, worker: Worker, rules: Rules) -> bool:
    """Say whether a node must not go, because another that holds tasks may be lost."""

    def is_quiet(other: Record) -> bool:
        is_older = other.number in worker.came_after
        silence = _LONG if other.is_silent else _LONGER if is_older else _SHORT
        return silence > rules.quiet_after(age=_SHORT if is_older else _LONG, patience=_PATIENCE)

    working = {other.number for other in state.workers}
    return any(other.held and is_quiet(other) for other in state.records if other.number not in working)


def _leave(state: State, worker: Worker, record: Record, rules: Rules) -> Iterator[tuple[str, State]]:
    """Take the next step of a departure."""
    if worker.why is Why.SURPLUS and worker.duty:
        return  # it waits until that is done
    step = _next(rules.steps, worker.why, worker.outcomes)
    if step is None:
        raise BrokenError(f"node {worker.number} has neither stayed nor gone")
    found = state.pending > 0 or (worker.why is Why.LIMIT and _waits_for_lost(state, worker, rules))
    on = worker._replace(outcomes=(*worker.outcomes, step is Step.LOOK and found))
    after = _with(state, on)
    match step:
        case Step.ANNOUNCE:
            after = _with(state, on, record._replace(state=LEAVING))
        case Step.SHED:
            after = _shed(after, state.records, rules)
        case Step.STAY:
            after = _with(state, on._replace(is_idle=False), record._replace(state=ALIVE))
        case Step.STAFF if record.state is LEAVING:
            after = _with(state, on._replace(duty=Raise()))
        case Step.DEPART | Step.REPLACE:
            after = _depart(after, worker.number, needed=step is Step.REPLACE)
        case Step.GO:
            after = _without(state, worker.number)
            here = [m for m in after.members if m.number == worker.number and m.at == "here"]
            if here:
                raise BrokenError(f"node {worker.number} is gone, and its group has it still")
    yield f"node {worker.number}: {step.value}", _stays(after, worker.number, rules)


def _stays(state: State, number: int, rules: Rules) -> State:
    """End a departure that is over although the node is there."""
    worker = next((worker for worker in state.workers if worker.number == number), None)
    if worker is None or worker.why is None or _next(rules.steps, worker.why, worker.outcomes) is not None:
        return state
    duty = worker.duty or (Raise() if rules.staffs_after_shedding else None)
    return _with(state, worker._replace(why=None, outcomes=(), duty=duty))


@cache
def _next(steps: Callable[..., Iterator[Step]], why: Why, outcomes: tuple[bool, ...]) -> Step | None:
    way = steps(why, machine=True)
    try:
        step = next(way)
        for outcome in outcomes:
            step = way.send(outcome)
    except StopIteration:
        return None
    return step


def _shed(state: State, records: tuple[Record, ...], rules: Rules) -> State:
    while sum(not member.is_going for member in state.members) < state.target:  # it waits until all are listed
        state = state._replace(members=_put(state.members, Member(_unused(state))))
    gone = {member.number for member in rules.to_shed(state.members, _nodes(records))}
    members = tuple(member for member in state.members if member.number not in gone)
    return state._replace(members=members, target=state.target - len(gone))


def _depart(state: State, number: int, *, needed: bool) -> State:
    if number not in {member.number for member in state.members if member.at in ("here", "taken")}:
        return state  # taken away meanwhile
    if needed:
        return _anew(state, number)
    members = _put(state.members, Member(number, "going"))
    return state._replace(members=members, target=state.target - 1)


def _sweep(state: State, worker: Worker) -> Iterator[tuple[str, State]]:
    """Give up a node that died; then see to it that there are nodes for what it held."""
    working = {other.number for other in state.workers}
    for record in state.records:
        if record.number not in working:
            swept = _swept(state, record)
            sweeper = next(other for other in swept.workers if other.number == worker.number)
            yield f"node {worker.number} sweeps {record.number}", _with(swept, sweeper._replace(is_idle=False))


def _swept(state: State, record: Record) -> State:
    """Give up a node: what it held is pending again, and its number may be another's."""
    return state._replace(
        pending=state.pending + record.held,
        records=tuple(other for other in state.records if other != record),
        workers=tuple(worker._replace(came_after=worker.came_after - {record.number}) for worker in state.workers),
    )


# The cloud


def _cloud(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    there = [member for member in state.members if member.at != "coming"]
    staying = [member for member in state.members if member.at != "going"]
    working = {worker.number for worker in state.workers}
    recorded = {record.number for record in state.records}
    if len(staying) < state.target:
        yield "the group plans a machine", state._replace(members=_put(state.members, Member(_unused(state))))
    for member in state.members:
        number = member.number
        match member.at:
            case "coming" if len(there) < rules.quota:
                made = state._replace(members=_put(state.members, Member(number, "here")))
                yield f"machine {number} is made with {open_tasks(state)} open", made
            case "here" if number not in recorded and rules.boots_fail:
                yield f"machine {number} removes itself", _depart(state, number, needed=False)
            case "here" if number not in recorded:
                yield f"node {number} reports", _report(state, number)
            case "taken":
                yield f"machine {number} is taken away", _anew(_dead(state, number), number)
            case "going":
                members = tuple(other for other in state.members if other != member)
                yield f"machine {number} is removed", _dead(state, number)._replace(members=members)
        if state.deaths and member.at == "here" and number in working:
            dead = _dead(state, number)._replace(deaths=state.deaths - 1)
            yield f"machine {number} dies", _anew(dead, number)


def _time(state: State) -> Iterator[tuple[str, State]]:
    """Let it show that a node is dead."""
    working = {worker.number for worker in state.workers}
    for record in state.records:
        if record.held and not record.is_silent and record.number not in working:
            others = (other for other in state.records if other != record)
            silent = tuple(sorted((*others, record._replace(is_silent=True))))
            yield f"the silence of node {record.number} shows", state._replace(records=silent)


def _report(state: State, number: int) -> State:
    """Let a node come up, before or after it is seen who died."""
    working = {worker.number for worker in state.workers}
    dead = frozenset(record.number for record in state.records if record.number not in working and record.held)
    return state._replace(
        records=tuple(sorted((*state.records, Record(number)))),
        workers=tuple(sorted((*state.workers, Worker(number, came_after=dead)), key=_key)),
    )


def _dead(state: State, number: int) -> State:
    return state._replace(workers=tuple(worker for worker in state.workers if worker.number != number))


def _anew(state: State, number: int) -> State:
    """Have the group make a machine anew."""
    members = tuple(member for member in state.members if member.number != number)
    return state._replace(members=_put(members, Member(_unused(state))))


def _unused(state: State) -> int:
    used = {member.number for member in state.members} | {record.number for record in state.records}
    used |= {worker.number for worker in state.workers}
    raising = [*state.clients, *(worker.duty for worker in state.workers)]
    reading = [each for each in raising if isinstance(each, Raise)]
    used |= {seen.number for each in reading for seen in (*(each.nodes or ()), *(each.members or ()))}
    if state.scaler and state.scaler.startswith("node"):
        used |= {int(state.scaler.split()[1])}
    return next(number for number in range(99) if number not in used)


def _key(worker: Worker) -> int:
    return worker.number


def _put(members: tuple[Member, ...], member: Member) -> tuple[Member, ...]:
    return tuple(sorted((*(other for other in members if other.number != member.number), member)))


def _with(state: State, worker: Worker, record: Record | None = None) -> State:
    workers = tuple(worker if other.number == worker.number else other for other in state.workers)
    if record is None:
        return state._replace(workers=workers)
    records = tuple(record if other.number == record.number else other for other in state.records)
    return state._replace(workers=workers, records=records)


def _without(state: State, number: int) -> State:
    return _dead(state, number)._replace(records=tuple(record for record in state.records if record.number != number))
