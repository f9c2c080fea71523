"""Machine types: what Google's general machine types have, and what they cost beside each other. Plain facts, pure.

Shared-core types are left out, and so are those that come with GPUs or disks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

#: What Google calls a GB of memory.
_GIB = 1024**3

_SMALL, _LARGE = (2, 4, 8, 16, 32), (48, 64, 80, 96)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineType:
    """What a machine of some type has."""

    name: str
    cpus: int
    #: Bytes.
    memory: int
    #: Dollars an hour, on demand in us-central1, in 2025: good for comparing. 0 for a type that is not compared.
    price: float

    @property
    def series(self) -> str:
        """The series, such as n1: processors and GPUs differ between them."""
        return self.name.partition("-")[0]


@dataclass(frozen=True, slots=True)
class _Series:
    #: Dollars an hour of one CPU, and of one GB of memory.
    cpu: float
    gb: float
    #: Kind → (GB of memory for each CPU, numbers of CPUs).
    kinds: Mapping[str, tuple[float, Sequence[int]]]


_SERIES: Mapping[str, _Series] = {
    "e2": _Series(0.021811, 0.002923, {
        "standard": (4, _SMALL), "highmem": (8, _SMALL[:4]), "highcpu": (1, _SMALL),
    }),
    "n1": _Series(0.031611, 0.004237, {
        "standard": (3.75, (1, *_SMALL, 64, 96)), "highmem": (6.5, (*_SMALL, 64, 96)),
        "highcpu": (0.9, (*_SMALL, 64, 96)),
    }),
    "n2": _Series(0.031611, 0.004237, {
        "standard": (4, (*_SMALL, *_LARGE, 128)), "highmem": (8, (*_SMALL, *_LARGE)),
        "highcpu": (1, (*_SMALL, *_LARGE)),
    }),
    "n2d": _Series(0.027502, 0.003686, {
        "standard": (4, (*_SMALL, *_LARGE, 128, 224)), "highmem": (8, (*_SMALL, *_LARGE)),
        "highcpu": (1, (*_SMALL, *_LARGE, 128, 224)),
    }),
    "c2": _Series(0.03398, 0.00455, {"standard": (4, (4, 8, 16, 30, 60))}),
    "c2d": _Series(0.029563, 0.003959, {
        "standard": (4, (*_SMALL, 56, 112)), "highmem": (8, (*_SMALL, 56, 112)), "highcpu": (2, (*_SMALL, 56, 112)),
    }),
}  # fmt: skip

_CUSTOM = re.compile(r"(?:[a-z0-9]+-)?custom-(?P<cpus>\d+)-(?P<mb>\d+)(?:-ext)?")


def machine_type(name: str) -> MachineType | None:
    """Return what machines of a type have; None if that is not known here.

    >>> machine_type("n1-standard-1").memory / 1024**3, machine_type("e2-custom-4-5120").memory / 1024**3
    (3.75, 5.0)
    """
    if custom := _CUSTOM.fullmatch(name):
        return MachineType(name=name, cpus=int(custom["cpus"]), memory=int(custom["mb"]) * 1024**2, price=0.0)
    return _BY_NAME.get(name)


def cheapest(*, cpus: int, memory: float, series: str | None = None) -> MachineType | None:
    """Return the cheapest type that has so many CPUs and bytes of memory, of one series or of all; None if none has.

    >>> cheapest(cpus=2, memory=12e9, series="n1").name
    'n1-highmem-2'
    """
    fits = [one for one in _BY_NAME.values() if one.cpus >= cpus and one.memory >= memory]
    return min((one for one in fits if series in (None, one.series)), key=lambda one: one.price, default=None)


def _all() -> Iterator[MachineType]:
    for series, facts in _SERIES.items():
        for kind, (gb, numbers) in facts.kinds.items():
            for cpus in numbers:
                yield MachineType(
                    name=f"{series}-{kind}-{cpus}", cpus=cpus, memory=int(cpus * gb * _GIB),
                    price=cpus * (facts.cpu + gb * facts.gb),
                )  # fmt: skip


_BY_NAME: Mapping[str, MachineType] = {one.name: one for one in _all()}
