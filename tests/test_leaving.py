"""Nodes that come and go: everything that can happen, in every order, leaves no task behind and no machine either."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import pytest
import staff
from staff import Member, Record, Rules, State, Worker

from sparkles.worker import departure
from sparkles.worker.departure import Step, Why


class WrongError(AssertionError):
    """The rules do not keep what they promise; the message is the story of how it comes to that."""


def explore(start: State, rules: Rules, *, has_end: bool = True, limit: int = 400_000) -> dict[State, list[State]]:
    """Return what may follow each state that can come to pass. Says how it came if something breaks."""
    came: dict[State, tuple[State | None, str]] = {start: (None, "")}
    follows: dict[State, list[State]] = {}
    due = deque([start])
    while due:
        state = due.popleft()
        try:
            found = list(staff.moves(state, rules))
        except staff.BrokenError as broken:
            raise WrongError(f"{story(state, came)}\n{broken}") from None
        follows[state] = [after for _, after in found]
        for label, after in found:
            if after not in came:
                came[after] = state, label
                due.append(after)
                assert len(came) < limit, "too many states"
    if has_end:
        check(follows, came)
    return follows


def check(follows: dict[State, list[State]], came: dict[State, tuple[State | None, str]]) -> None:
    """From everywhere it must be possible to come to an end, and each end must be a good one."""
    before: dict[State, list[State]] = {}
    for state, after in follows.items():
        for each in after:
            before.setdefault(each, []).append(state)
    ends = [state for state in follows if staff.is_over(state)]
    can_end, due = set(ends), deque(ends)
    while due:
        for state in before.get(due.popleft(), ()):
            if state not in can_end:
                can_end.add(state)
                due.append(state)
    stuck = next((state for state in follows if state not in can_end), None)
    if stuck:
        raise WrongError(f"{story(stuck, came)}\nnow it cannot come to an end")


def story(state: State | None, came: dict[State, tuple[State | None, str]]) -> str:
    lines = [str(state)]
    while state is not None:
        state, label = came[state]
        lines.append(label)
    return "\n".join(reversed(lines))


#: It has nothing to do.
ONE_NODE = State(target=1, members=(Member(0, "here"),), records=(Record(0),), workers=(Worker(0),))

#: One works, the other has nothing to do.
TWO_NODES = State(
    target=2, members=(Member(0, "here"), Member(1, "here")), records=(Record(0, held=1), Record(1)),
    workers=(Worker(0), Worker(1)),
)  # fmt: skip

WORLDS = {
    "two clients": (State(clients=(None, None)), Rules(most=1)),
    "two clients, two nodes": (State(clients=(None, None)), Rules(quota=2)),
    "nodes that linger": (State(clients=(None, None)), Rules(most=1, lingers=True)),
    "two tasks, a node dies": (State(clients=(None,), deaths=1), Rules(tasks=2)),
    "a client, and a node dies": (State(clients=(None, None), deaths=1), Rules(most=1)),
    "one task, two nodes die": (State(clients=(None,), deaths=2), Rules()),
    "a node is taken away": (State(clients=(None,), notices=1), Rules(tasks=2)),
    "a node is at its limit": (State(clients=(None,), limits=1), Rules(tasks=2)),
    "a node dies, another is at its limit": (State(clients=(None,), deaths=1, limits=1), Rules(most=1)),
    "one too many, a task is tried again": (TWO_NODES._replace(drain=1, retries=1), Rules(most=1, quota=2)),
    "one too many, a client": (ONE_NODE._replace(drain=1, clients=(None,)), Rules(most=1, quota=2)),
    "one too many, a node dies": (TWO_NODES._replace(drain=1, deaths=1), Rules(most=1, quota=2)),
    "a quota of one": (State(clients=(None,)), Rules(tasks=5, most=5, quota=1)),
}


@pytest.mark.parametrize(("start", "rules"), WORLDS.values(), ids=WORLDS)
def test_whatever_happens_all_is_done_in_the_end_and_nothing_stays(start: State, rules: Rules) -> None:
    assert len(explore(start, rules)) > 100


def test_with_a_quota_no_machine_is_made_after_the_work_is_done() -> None:
    start, rules = WORLDS["a quota of one"]

    assert not useless(start, rules)


def useless(start: State, rules: Rules) -> list[str]:
    """Return what the cloud does in vain: the machines that it makes when nothing is open any more."""
    made = {label for state in explore(start, rules) for label, _ in staff.moves(state, rules) if " is made " in label}
    return [label for label in made if label.endswith(" 0 open")]


def test_nodes_that_never_come_up_are_made_a_few_times_although_somebody_watches() -> None:
    rules = Rules(boots_fail=True, watches=True, most=2, tasks=2)

    states = explore(State(clients=(None,)), rules, has_end=False)

    assert max(state.boots for state in states) == 3 * 2


# The same with rules that are wrong: what is above must be able to see it


def gone_before_the_machine_is(why: Why, *, machine: bool) -> Iterator[Step]:
    yield Step.ANNOUNCE
    yield Step.SHED
    if (yield Step.LOOK):
        yield Step.STAY
        yield Step.STAFF
        return
    yield Step.GO
    yield Step.DEPART


def looks_before_it_announces(why: Why, *, machine: bool) -> Iterator[Step]:
    if (yield Step.LOOK):
        yield Step.ANNOUNCE
        yield Step.STAY
        yield Step.STAFF
        return
    yield Step.ANNOUNCE
    yield Step.SHED
    yield Step.DEPART
    yield Step.GO


def looks_before_it_sheds(why: Why, *, machine: bool) -> Iterator[Step]:
    yield Step.ANNOUNCE
    if (yield Step.LOOK):
        yield Step.STAY
        yield Step.STAFF
        return
    yield Step.SHED
    yield Step.DEPART
    yield Step.GO


def does_not_shed(why: Why, *, machine: bool) -> Iterator[Step]:
    yield Step.ANNOUNCE
    if (yield Step.LOOK):
        yield Step.STAY
        yield Step.STAFF
        return
    yield Step.DEPART
    yield Step.GO


def leaves_what_a_surplus_one_finds(why: Why, *, machine: bool) -> Iterator[Step]:
    if why is Why.SURPLUS:
        yield Step.ANNOUNCE
        yield Step.LOOK
        yield Step.DEPART
        yield Step.GO
    else:
        yield from departure.steps(why, machine=machine)


def never_needed(why: Why, *, machine: bool) -> Iterator[Step]:
    yield Step.ANNOUNCE
    yield Step.LOOK
    yield Step.DEPART
    yield Step.GO


def all_that_come(members, nodes):
    return [member for member in members if member.is_coming]


def never(*, age, patience):
    return float("inf")


def when_the_silence_shows(*, age, patience):
    return patience


TWO_CLIENTS = State(clients=(None, None))

MUTATIONS = {
    "members are listed before records are read": (
        TWO_CLIENTS, Rules(most=1, order=("take", "members", "nodes", "resize", "free"))),
    "gone before its machine is": (TWO_CLIENTS, Rules(most=1, steps=gone_before_the_machine_is)),
    "looks before it announces": (TWO_CLIENTS, Rules(most=1, steps=looks_before_it_announces)),
    "looks before it sheds": (TWO_CLIENTS, Rules(quota=1, steps=looks_before_it_sheds)),
    "one too many goes whatever it finds": (
        WORLDS["one too many, a task is tried again"][0], Rules(most=1, steps=leaves_what_a_surplus_one_finds)),
    "a limit is taken for the end of work": (State(clients=(None,), limits=1), Rules(steps=never_needed)),
    "what is made for a dead node is shed": (State(clients=(None,), deaths=1), Rules(tasks=2, to_shed=all_that_come)),
    "nobody waits for the lost": (State(clients=(None,), deaths=1), Rules(quiet_after=never)),
    "who comes sooner than a silence shows waits for nobody": (
        State(clients=(None,), deaths=1), Rules(quiet_after=when_the_silence_shows)),
}  # fmt: skip


@pytest.mark.parametrize(("start", "rules"), MUTATIONS.values(), ids=MUTATIONS)
def test_wrong_rules_are_found_out(start: State, rules: Rules) -> None:
    with pytest.raises(WrongError):
        explore(start, rules)


def test_without_shedding_machines_would_be_made_for_nothing() -> None:
    start, rules = WORLDS["a quota of one"]

    assert useless(start, replace(rules, steps=does_not_shed))
