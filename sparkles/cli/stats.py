"""What `sparkles status --stats` prints: what the tasks of jobs used, and what would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from sparkles import results, spec, stats
from sparkles.cli.output import print_rows
from sparkles.model import Cluster, Job, Key, TaskState
from sparkles.ports.backend import Backend
from sparkles.quantities import duration, human_bytes
from sparkles.stats import MEASURES, QUANTILES, Asked, Measured, Stats

_ENDED = [state for state in TaskState if state.is_final]

_SAID: Mapping[str, Callable[[Any], str]] = {
    "seconds": duration, "waited": duration, "memory": human_bytes, "attempts": str,
}  # fmt: skip


def print_stats(jobs: Sequence[Job], backend: Backend, form: str) -> None:
    """Print the stats of jobs: as rows and words for people, as documents or rows for programs."""
    found = [(job, stats.stats_of(backend.state.tasks(job.name, states=_ENDED)), _asked(job, backend)) for job in jobs]
    if form in ("json", "yaml"):
        print_rows((_document(*one) for one in found), [], form)
        return
    columns = ["job", "field", "tasks", *QUANTILES]
    rows = [row for one in found for row in (_rows(*one) if form == "csv" else _rows_in_words(*one))]
    print_rows(rows, [*columns, "advice"] if form == "csv" else columns, form)
    if form == "table":
        for job, used, asked in found:
            for line in (*stats.summary(used, asked), *map(str, stats.advice(used, asked))):
                click.echo(f"{job.name}: {line}")


def _asked(job: Job, backend: Backend) -> Asked:
    """Return what a job asks for, by its manifest; and where it runs, by its cluster."""
    key = Key.cluster(job.cluster)
    cluster = backend.state.read([key]).get(key)
    written = results.manifest(job, backend)["spec"] if job.generation else {}
    resources = written.get("resources", {})
    limits: dict[str, Any] = {
        "memory": spec.size_of(resources["memory"]) if "memory" in resources else None,
        "timeout": spec.seconds(written["timeout"]) if "timeout" in written else None,
    }
    if isinstance(cluster, Cluster) and (machine := cluster.machine):
        any_series = "machineType" not in resources and not machine.gpus
        return Asked(slots=cluster.slots, machine_type=machine.type, any_series=any_series, **limits)
    return Asked(slots=resources.get("slots"), **limits)


def _document(job: Job, used: Stats, asked: Asked) -> dict[str, Any]:
    return {
        "job": job.name,
        **{measure: _numbers(found) for measure, found in used.measured.items()},
        "asked": {
            "machineType": asked.machine_type,
            "slots": asked.slots,
            "memory": asked.memory,
            "timeout": asked.timeout,
        },
        "advice": [
            {"field": one.measure, "flag": one.flag, "value": one.value, "why": one.why}
            for one in stats.advice(used, asked)
        ],
    }


def _numbers(found: Measured) -> dict[str, float | None]:
    return {"tasks": found.tasks, **{name: found.quantiles.get(name) for name in QUANTILES}}


def _rows(job: Job, used: Stats, asked: Asked) -> Iterator[Mapping[str, Any]]:
    advice = stats.advice(used, asked)
    for measure in MEASURES:
        flags = " ".join(f"{one.flag} {one.value}" for one in advice if one.measure == measure)
        yield {"job": job.name, "field": measure, **_numbers(used.measured[measure]), "advice": flags}


def _rows_in_words(job: Job, used: Stats, asked: Asked) -> Iterator[Mapping[str, Any]]:
    for row in _rows(job, used, asked):
        said = _SAID[row["field"]]
        yield {**row, **{name: None if row[name] is None else said(row[name]) for name in QUANTILES}}
