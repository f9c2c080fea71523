"""Stats: tasks that have ended in; how long they ran and waited, how much they used, and what to ask for instead. Pure.

How many CPUs a task uses is not known, so no advice takes CPUs away from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sparkles import fields
from sparkles.machine_types import MachineType, cheapest, machine_type
from sparkles.model import Reason, Task
from sparkles.quantities import counted, duration, human_bytes

#: The fields of tasks that are measured.
MEASURES = ("seconds", "waited", "memory", "attempts")

QUANTILES: Mapping[str, float] = {"min": 0.0, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}

#: What is to be had of memory, for each byte that was used.
_ROOM = 1.25

#: A machine is worth a word if another one costs this much of it at most.
_CHEAPER = 0.85

#: A limit is worth a word if it is this many times what was used.
_LOOSE_MEMORY, _LOOSE_TIMEOUT = 2.5, 10

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TIMEOUTS = {
    **{f"{n}m": n * _MINUTE for n in (1, 2, 5, 10, 20, 30)},
    **{f"{n}h": n * _HOUR for n in (1, 2, 3, 4, 6, 8, 12, 18)},
    **{f"{n}d": n * _DAY for n in (1, 2, 3, 4, 7, 14, 30)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a job asked for, and where it ran."""

    #: Tasks that a node runs at once; None if that is not known.
    slots: int | None = None
    #: Google's machine type of the nodes; None at home.
    machine_type: str | None = None
    #: Whether another series would do: nobody chose this one, and it has no GPUs.
    any_series: bool = False
    #: Bytes and seconds that a task may use; None for no limit.
    memory: int | None = None
    timeout: float | None = None

    @property
    def machine(self) -> MachineType | None:
        """What each node has; None if that is not known."""
        return machine_type(self.machine_type) if self.machine_type else None


@dataclass(frozen=True, slots=True)
class Measured:
    """A field of some tasks: how many have it, and its quantiles by name, each a value that one of them has."""

    tasks: int
    quantiles: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What tasks used."""

    measured: Mapping[str, Measured]
    #: Tasks of which an attempt ended so.
    ended: Mapping[Reason | None, int]

    def most(self, measure: str) -> float | None:
        """Return the largest value of a field; None if there is none."""
        return self.measured[measure].quantiles.get("max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to ask for instead."""

    #: The field of tasks that it follows from.
    measure: str
    #: The flag of `sub`, and its value.
    flag: str
    value: str
    why: str

    def __str__(self) -> str:
        return f"{self.flag} {self.value} {self.why}"


def stats_of(tasks: Iterable[Task]) -> Stats:
    """Measure tasks, those that have ended."""
    reads = {measure: fields.FIELDS[measure] for measure in MEASURES}
    values: Mapping[str, list[float]] = {measure: [] for measure in MEASURES}
    ended: dict[Reason | None, int] = dict.fromkeys((Reason.TIMEOUT, Reason.OUT_OF_MEMORY), 0)
    for task in tasks:
        for measure, read in reads.items():
            if (value := read(task)) is not None:
                values[measure].append(value)
        for reason in {task.reason, *(past.reason for past in task.history)}:
            if reason in ended:
                ended[reason] += 1
    return Stats(measured={measure: _measured(some) for measure, some in values.items()}, ended=ended)


def _measured(values: Iterable[float]) -> Measured:
    """Return the quantiles of values, by nearest rank.

    >>> list(_measured([5, 1, 2, 3, 4]).quantiles.values())
    [1, 2, 3, 4, 5, 5]
    """
    ordered = sorted(values)
    if not ordered:
        return Measured(0, {})
    ranks = {name: max(0, math.ceil(part * len(ordered)) - 1) for name, part in QUANTILES.items()}
    return Measured(len(ordered), {name: ordered[rank] for name, rank in ranks.items()})


def summary(stats: Stats, asked: Asked) -> list[str]:
    """Return what tasks used of what there was for them, in words."""
    return [line for line in (_memory_used(stats, asked), _time_used(stats, asked)) if line]


def _memory_used(stats: Stats, asked: Asked) -> str | None:
    found = stats.measured["memory"].quantiles
    if not found:
        return None
    used = f"tasks used {human_bytes(int(found['max']))} at most (95 %: {human_bytes(int(found['p95']))})"
    if asked.memory:
        return f"{used} of {human_bytes(asked.memory)} that they may use"
    if asked.machine and asked.slots:
        share = human_bytes(asked.machine.memory // asked.slots)
        return f"{used} of {share}: {asked.machine.name}, {counted(asked.slots, 'task')} at a time"
    return used


def _time_used(stats: Stats, asked: Asked) -> str | None:
    found = stats.measured["seconds"].quantiles
    if not found or not asked.timeout:
        return None
    return (
        f"tasks ran for {duration(found['max'])} at most (95 %: {duration(found['p95'])}) "
        f"of {duration(asked.timeout)} that they may run"
    )


def advice(stats: Stats, asked: Asked) -> list[Advice]:
    """Return what to ask for instead of what was far off, or too little."""
    return [*_machine(stats, asked), *_memory(stats, asked), *_timeout(stats, asked)]


def _machine(stats: Stats, asked: Asked) -> Iterator[Advice]:
    used = stats.most("memory")
    if not used:
        return
    if asked.machine_type is None:
        yield from _for_cloud(used, asked.slots or 1)
    elif asked.machine and asked.slots:
        out = 0 if asked.memory else stats.ended[Reason.OUT_OF_MEMORY]
        yield from _other_machine(used, asked.machine, asked, out=out)


def _for_cloud(used: float, slots: int) -> Iterator[Advice]:
    if found := cheapest(cpus=slots, memory=slots * used * _ROOM):
        why = f"would do on Google Cloud, for {counted(slots, 'task')} at a time: {_has(found)}"
        yield Advice(measure="memory", flag="-m", value=found.name, why=why)


def _other_machine(used: float, machine: MachineType, asked: Asked, *, out: int) -> Iterator[Advice]:
    slots = asked.slots or 1
    series = None if asked.any_series else machine.series
    wanted = max(slots * used * _ROOM, 2 * machine.memory if out else 0)
    found = cheapest(cpus=machine.cpus, memory=wanted, series=series)
    room = min(machine.cpus, int(machine.memory / (used * _ROOM)))
    if wanted > machine.memory:
        if found:
            tight = f"{counted(out, 'task')} ran out of memory" if out else "what there is was all but used up"
            yield Advice(measure="memory", flag="-m", value=found.name, why=f"has room: {_has(found)}; {tight}")
    elif room >= 2 * slots:
        why = f"would do, if a task keeps one CPU busy at most: the machine has {machine.cpus}"
        yield Advice(measure="memory", flag="--slots", value=str(room), why=why)
    elif found and found.price <= _CHEAPER * machine.price:
        less = f"{100 - 100 * found.price / machine.price:.0f} % less"
        why = f"would do: {_has(found)}; it costs about {less} than {machine.name}"
        yield Advice(measure="memory", flag="-m", value=found.name, why=why)


def _has(machine: MachineType) -> str:
    return f"{counted(machine.cpus, 'CPU')}, {human_bytes(machine.memory)}"


def _memory(stats: Stats, asked: Asked) -> Iterator[Advice]:
    used, out = stats.most("memory"), stats.ended[Reason.OUT_OF_MEMORY]
    if asked.memory and out:
        why = f"is twice as much: {counted(out, 'task')} ran out of memory"
        yield Advice(measure="memory", flag="--memory", value=_size(2 * asked.memory), why=why)
    elif asked.memory and used and asked.memory >= _LOOSE_MEMORY * used:
        yield Advice(measure="memory", flag="--memory", value=_size(used * _ROOM), why="would do")


def _timeout(stats: Stats, asked: Asked) -> Iterator[Advice]:
    used, late = stats.most("seconds"), stats.ended[Reason.TIMEOUT]
    if asked.timeout and late:
        why = f"would give more time: {counted(late, 'task')} had too little"
        yield Advice(measure="seconds", flag="--timeout", value=_span(2 * asked.timeout), why=why)
    elif asked.timeout and used is not None and asked.timeout > max(_LOOSE_TIMEOUT * used, _MINUTE):
        yield Advice(measure="seconds", flag="--timeout", value=_span(2 * used), why="would end one that hangs sooner")


def _size(wanted: float) -> str:
    """Return the next round size, as `--memory` takes it.

    >>> _size(900e6), _size(1.1e9), _size(5e9)
    ('1G', '1536M', '6G')
    """
    mb = wanted / 1024**2
    power = 2 ** max(4, math.ceil(math.log2(mb)))
    rounded = power * 3 // 4 if power * 3 // 4 >= mb else power
    return f"{rounded}M" if rounded % 1024 else f"{rounded // 1024}G"


def _span(wanted: float) -> str:
    """Return the next round duration, as `--timeout` takes it.

    >>> _span(9), _span(4000), _span(90 * 86400)
    ('1m', '2h', '90d')
    """
    return next((text for text, seconds in _TIMEOUTS.items() if seconds >= wanted), f"{math.ceil(wanted / _DAY)}d")
