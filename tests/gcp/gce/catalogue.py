"""What there is to choose from: regions, zones, kinds of machines, GPUs and images. A small part of Google's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: The zones of each region, by their letters.
REGIONS: Mapping[str, str] = {
    "us-central1": "abcf",
    "us-east1": "bcd",
    "us-west1": "abc",
    "europe-west4": "abc",
}

#: What a region allows until a test says otherwise. The metrics are Google's.
QUOTAS: Mapping[str, float] = {
    "CPUS": 2400,
    "PREEMPTIBLE_CPUS": 0,
    "INSTANCES": 6000,
    "INSTANCE_GROUP_MANAGERS": 1000,
    "DISKS_TOTAL_GB": 102400,
    "SSD_TOTAL_GB": 81920,
    "LOCAL_SSD_TOTAL_GB": 10000,
    "IN_USE_ADDRESSES": 2300,
    "NVIDIA_T4_GPUS": 16,
    "NVIDIA_V100_GPUS": 8,
    "NVIDIA_A100_GPUS": 16,
}

#: GPUs, the quota of each, and the letters of the zones that have it.
GPUS: Mapping[str, tuple[str, str]] = {
    "nvidia-tesla-t4": ("NVIDIA_T4_GPUS", "abcf"),
    "nvidia-tesla-v100": ("NVIDIA_V100_GPUS", "af"),
    "nvidia-tesla-a100": ("NVIDIA_A100_GPUS", "abcf"),
    "nvidia-l4": ("", "abc"),
}

#: Image families, by project.
FAMILIES: Mapping[tuple[str, str], str] = {
    ("cos-cloud", "cos-stable"): "X86_64",
    ("cos-cloud", "cos-arm64-stable"): "ARM64",
    ("cos-cloud", "cos-121-lts"): "X86_64",
    ("cos-cloud", "cos-arm64-121-lts"): "ARM64",
    ("debian-cloud", "debian-12"): "X86_64",
    ("debian-cloud", "debian-12-arm64"): "ARM64",
}


@dataclass(frozen=True, kw_only=True)
class Type:
    """A machine type."""

    name: str
    cpus: int
    memory_mb: int
    #: Model and number of the GPUs that are part of it.
    gpus: tuple[str, int] | None = None
    #: The letters of the zones that have it.
    zones: str = "abcdf"

    @property
    def arm(self) -> bool:
        """Whether its processors are Arm's."""
        return self.name.startswith(("t2a-", "c4a-", "n4a-"))


def zones(region: str) -> tuple[str, ...]:
    """Return the zones of a region.

    >>> zones("us-east1")
    ('us-east1-b', 'us-east1-c', 'us-east1-d')
    """
    return tuple(f"{region}-{letter}" for letter in REGIONS[region])


def types_in(zone: str) -> Mapping[str, Type]:
    """Return the machine types of a zone."""
    return {name: each for name, each in TYPES.items() if zone[-1] in each.zones}


def _family(family: str, sizes: tuple[int, ...], per_cpu: dict[str, float], zones: str = "abcdf") -> Iterator[Type]:
    for kind, gigabytes in per_cpu.items():
        for cpus in sizes:
            memory = round(cpus * gigabytes * 1024)
            yield Type(name=f"{family}-{kind}-{cpus}", cpus=cpus, memory_mb=memory, zones=zones)


def _types() -> Iterator[Type]:
    for name, memory in (("e2-micro", 1024), ("e2-small", 2048), ("e2-medium", 4096)):
        yield Type(name=name, cpus=2, memory_mb=memory)
    usual = {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0}
    yield from _family("e2", (2, 4, 8, 16, 32), usual)
    yield from _family("n1", (1, 2, 4, 8, 16, 32, 64, 96), {"standard": 3.75})
    yield from _family("n1", (2, 4, 8, 16, 32, 64, 96), {"highmem": 6.5, "highcpu": 0.9})
    yield from _family("n2", (2, 4, 8, 16, 32, 48, 64, 80), usual)
    yield from _family("n2d", (2, 4, 8, 16, 32, 48, 64), usual)
    yield from _family("c2", (4, 8, 16, 30, 60), {"standard": 4.0})
    yield from _family("c3", (4, 8, 22, 44, 88), {"standard": 4.0})
    yield from _family("t2d", (1, 2, 4, 8, 16, 32), {"standard": 4.0})
    yield from _family("t2a", (1, 2, 4, 8, 16, 32), {"standard": 4.0}, zones="abf")
    yield from _family("c4a", (1, 2, 4, 8, 16, 32), {"standard": 4.0}, zones="abc")
    for count, cpus in ((1, 12), (2, 24), (4, 48), (8, 96)):
        gpus = ("nvidia-tesla-a100", count)
        yield Type(name=f"a2-highgpu-{count}g", cpus=cpus, memory_mb=count * 85 * 1024, gpus=gpus, zones="abcf")
    for cpus, count in ((4, 1), (8, 1), (12, 1), (24, 2)):
        gpus = ("nvidia-l4", count)
        yield Type(name=f"g2-standard-{cpus}", cpus=cpus, memory_mb=cpus * 4096, gpus=gpus, zones="abc")


#: The machine types, by their names.
TYPES: Mapping[str, Type] = {each.name: each for each in _types()}
