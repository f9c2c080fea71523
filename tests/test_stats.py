"""Stats: quantiles of what tasks used, and what would have been enough."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.nouns import a_task

from sparkles import stats
from sparkles.machine_types import cheapest, machine_type
from sparkles.model import Past, Reason, TaskState
from sparkles.stats import Asked, Stats

GB = 10**9


def ended(index: int = 1, *, seconds: float = 10.0, memory: int | None = None, waited: float = 2.0, **fields: Any):
    known = {"state": TaskState.SUCCEEDED, "reason": Reason.EXIT, "attempts": 1, "node": "n"}
    times = {"queued": 1000.0, "started": 1000.0 + waited, "ended": 1000.0 + waited + seconds}
    return a_task(index, **{**known, **times, "peak_memory": memory, **fields})


def used(*, memory: float | None = None, seconds: float = 10.0, **more: Any) -> Stats:
    """Return the stats of a task that used so much, and of those that ended for a reason."""
    reasons = [Reason(name.replace("_", "-")) for name, times in more.items() for _ in range(times)]
    tasks = [ended(seconds=seconds, memory=None if memory is None else int(memory))]
    return stats.stats_of([*tasks, *(ended(reason=reason, seconds=seconds) for reason in reasons)])


def flags(found: Stats, asked: Asked) -> list[str]:
    return [f"{one.flag} {one.value}" for one in stats.advice(found, asked)]


def on(name: str, slots: int = 1, **fields: Any) -> Asked:
    return Asked(machine_type=name, slots=slots, **fields)


def test_quantiles_are_values_that_tasks_have():
    found = stats.stats_of(
        ended(i, seconds=float(i), memory=i * GB, waited=0.5, attempts=1 + (i > 98)) for i in range(1, 101)
    )

    assert found.measured["seconds"].tasks == 100
    assert found.measured["seconds"].quantiles == {"min": 1, "p25": 25, "median": 50, "p75": 75, "p95": 95, "max": 100}
    assert found.measured["memory"].quantiles["p95"] == 95 * GB
    assert set(found.measured["waited"].quantiles.values()) == {0.5}
    assert (found.measured["attempts"].quantiles["p95"], found.most("attempts")) == (1, 2)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_tasks_have_quantiles_too(count):
    found = stats.stats_of(ended(i, seconds=float(i)) for i in range(1, count + 1)).measured["seconds"]

    assert (found.tasks, found.quantiles["min"], found.quantiles["max"]) == (count, 1, count)
    assert found.quantiles["median"] == (count + 1) // 2


def test_what_no_task_has_has_no_quantiles():
    found = stats.stats_of([])

    assert all(one.tasks == 0 and not one.quantiles for one in found.measured.values())
    assert stats.summary(found, on("n1-standard-1", memory=GB, timeout=60)) == []
    assert stats.advice(found, on("n1-standard-1", memory=GB, timeout=60)) == []


def test_attempts_that_went_before_count_among_how_tasks_ended():
    past = Past(claim="c", node="n", reason=Reason.TIMEOUT, ended=1.0)

    found = stats.stats_of(
        [ended(history=(past, past)), ended(reason=Reason.TIMEOUT), ended(reason=Reason.OUT_OF_MEMORY)]
    )

    assert found.ended == {Reason.TIMEOUT: 2, Reason.OUT_OF_MEMORY: 1}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Asked(), ["tasks used 900.0 MB at most (95 %: 900.0 MB)"]),
        (
            on("n1-standard-1"),
            ["tasks used 900.0 MB at most (95 %: 900.0 MB) of 4.0 GB: n1-standard-1, 1 task at a time"],
        ),
        (
            on("n1-standard-4", 4),
            ["tasks used 900.0 MB at most (95 %: 900.0 MB) of 4.0 GB: n1-standard-4, 4 tasks at a time"],
        ),
        (on("a2-highgpu-1g"), ["tasks used 900.0 MB at most (95 %: 900.0 MB)"]),
        (
            on("n1-standard-1", memory=2 * GB, timeout=7200),
            [
                "tasks used 900.0 MB at most (95 %: 900.0 MB) of 2.0 GB that they may use",
                "tasks ran for 10 s at most (95 %: 10 s) of 2:00:00 that they may run",
            ],
        ),
    ],
)
def test_the_summary_sets_what_was_used_beside_what_there_was(asked, says):
    assert stats.summary(used(memory=0.9 * GB), asked) == says


@pytest.mark.parametrize(
    ("found", "asked", "says"),
    [
        pytest.param(used(memory=0.9 * GB), on("n1-standard-1"), [], id="the smallest is enough"),
        pytest.param(used(memory=0.7 * GB), on("n1-highmem-2", 2), ["-m n1-highcpu-2"], id="more memory than needed"),
        pytest.param(used(memory=3 * GB), on("n1-highmem-2", 2), ["-m n1-standard-2"], id="a little more than needed"),
        pytest.param(
            used(memory=3 * GB),
            on("n1-highmem-2", 2, any_series=True),
            ["-m e2-standard-2"],
            id="nobody chose a series",
        ),
        pytest.param(used(memory=5 * GB), on("n1-highmem-2", 2), [], id="all of it is needed"),
        pytest.param(used(memory=3.9 * GB), on("n1-standard-1"), ["-m n1-standard-2"], id="all but used up"),
        pytest.param(
            used(memory=1 * GB, out_of_memory=3), on("n1-standard-1"), ["-m n1-standard-2"], id="tasks ran out of it"
        ),
        pytest.param(used(memory=0.2 * GB), on("n1-standard-8"), ["--slots 8"], id="most CPUs may idle"),
        pytest.param(used(memory=10 * GB), on("n1-standard-8"), ["--slots 2"], id="memory for two"),
        pytest.param(used(memory=20 * GB), on("n1-standard-8"), [], id="memory for one"),
        pytest.param(used(memory=900 * GB), on("n1-standard-1"), [], id="there is no such machine"),
        pytest.param(used(memory=1 * GB), on("a2-highgpu-1g"), [], id="a type that is not known"),
        pytest.param(used(memory=1 * GB), on("n1-custom-2-8192", 2), [], id="a custom type has no price"),
        pytest.param(used(memory=9 * GB), on("n1-custom-2-8192", 2), ["-m n1-highmem-4"], id="a custom type too small"),
        pytest.param(used(memory=None), on("n1-highmem-96", 96), [], id="nobody knows what was used"),
        pytest.param(used(memory=0.1 * GB), Asked(), ["-m n1-standard-1"], id="at home"),
        pytest.param(used(memory=10 * GB), Asked(slots=4), ["-m e2-highmem-8"], id="at home, several at a time"),
    ],
)
def test_a_machine_that_would_do_is_named(found, asked, says):
    assert flags(found, asked) == says


@pytest.mark.parametrize(
    ("found", "asked", "says"),
    [
        pytest.param(used(memory=GB, out_of_memory=2), {"memory": 2**30}, ["--memory 2G"], id="too little"),
        pytest.param(used(memory=0.2 * GB), {"memory": 2**30}, ["--memory 256M"], id="far too much"),
        pytest.param(used(memory=0.5 * GB), {"memory": 2**30}, [], id="about right"),
        pytest.param(used(memory=None), {"memory": 2**30}, [], id="not known"),
        pytest.param(used(timeout=1), {"timeout": 600.0}, ["--timeout 20m"], id="too little time"),
        pytest.param(used(seconds=50), {"timeout": 7200.0}, ["--timeout 2m"], id="far too much time"),
        pytest.param(used(seconds=50), {"timeout": 400.0}, [], id="about right in time"),
        pytest.param(used(seconds=0.01), {"timeout": 60.0}, [], id="a minute is no long time"),
        pytest.param(used(timeout=1, out_of_memory=1), {}, [], id="no limit was asked for"),
    ],
)
def test_a_limit_that_is_far_off_is_named_with_a_better_one(found, asked, says):
    advice = [one for one in stats.advice(found, Asked(**asked)) if one.flag != "-m"]

    assert [f"{one.flag} {one.value}" for one in advice] == says


def test_advice_says_why():
    (cheaper,) = stats.advice(used(memory=0.7 * GB), on("n1-highmem-2", 2))
    (larger,) = stats.advice(used(memory=GB, out_of_memory=3), on("n1-standard-1"))
    (more,) = stats.advice(used(memory=GB, out_of_memory=1), Asked(memory=2**30, machine_type="n1-standard-1", slots=1))

    assert str(cheaper) == "-m n1-highcpu-2 would do: 2 CPUs, 1.9 GB; it costs about 40 % less than n1-highmem-2"
    assert str(larger) == "-m n1-standard-2 has room: 2 CPUs, 8.1 GB; 3 tasks ran out of memory"
    assert str(more) == "--memory 2G is twice as much: 1 task ran out of memory"


@pytest.mark.parametrize(
    ("name", "cpus", "gb"),
    [("n1-standard-1", 1, 3.75), ("n1-highmem-96", 96, 624), ("n1-highcpu-4", 4, 3.6), ("e2-standard-32", 32, 128),
     ("n2-highmem-8", 8, 64), ("n2d-standard-224", 224, 896), ("c2-standard-60", 60, 240),
     ("c2d-highcpu-112", 112, 224), ("custom-6-3072", 6, 3), ("n2-custom-4-65536-ext", 4, 64)],
)  # fmt: skip
def test_what_a_machine_type_has_is_known(name, cpus, gb):
    found = machine_type(name)

    assert found is not None
    assert (found.name, found.cpus) == (name, cpus)
    assert found.memory == pytest.approx(gb * 1024**3, abs=1)


def test_types_that_do_not_exist_are_not_known():
    for name in ("n1-standard-3", "e2-highmem-32", "c2-standard-8x", "n9-standard-4", "", "n1"):
        assert machine_type(name) is None


def test_the_cheapest_that_has_enough_is_found():
    assert cheapest(cpus=1, memory=0).name == "n1-standard-1"
    assert cheapest(cpus=2, memory=0).name == "e2-highcpu-2"
    assert cheapest(cpus=1, memory=60 * GB, series="n2").name == "n2-highmem-8"
    assert cheapest(cpus=1000, memory=0) is None
    assert cheapest(cpus=1, memory=0, series="a2") is None
