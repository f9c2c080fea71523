"""Table: what a record says, in Markdown: medians, their spread, ratios, and whether the budgets are held."""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median

from benchmarks.measure import Sample
from benchmarks.nouns import Comparison, Metric
from benchmarks.record import Entry, Measured, Record

_WORDS = {
    Metric.WALL: "time",
    Metric.CPU: "CPU",
    Metric.OWN: "CPU of the command",
    Metric.REST: "CPU of the node",
    Metric.PEAK: "peak memory",
    Metric.CONFLICTS: "commits in vain",
    Metric.REQUESTS: "requests for objects",
    Metric.UPLOADS: "uploads among them",
}

#: What is not a share of each thing: unit, and its size.
_UNITS = {
    Metric.PEAK: ("MB", 1e6),
    Metric.CONFLICTS: ("%", 0.01),
    Metric.REQUESTS: ("", 1.0),
    Metric.UPLOADS: ("", 1.0),
}

_COLUMNS = ["work", "measured", "budget", "sparkles", "beside", "that one", "ratio", ""]

_BEGIN, _END = "<!-- benchmarks: table -->", "<!-- end -->"


def table(record: Record) -> str:
    """Return the table, and what was measured with."""
    lines = [_COLUMNS, ["---"] * len(_COLUMNS), *(cells for row in record.rows for cells in _lines(row))]
    versions = " · ".join(f"{name} {version}" for name, version in record.versions.items())
    return "\n".join([*(f"| {' | '.join(cells)} |" for cells in lines), "", f"{versions}.", ""])


def into(page: str, text: str) -> str:
    """Return a page with the text between its marks; raises ValueError if it has none."""
    pattern = re.compile(f"(?<={re.escape(_BEGIN)}\n).*?(?={re.escape(_END)})", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"no lines {_BEGIN!r} and {_END!r}")
    return pattern.sub(lambda _: text, page, count=1)


def _lines(row: Measured) -> Iterator[list[str]]:
    """Yield the cells of each comparison. Why somebody is not there is said once."""
    title = f"{row.title}{f', each {row.unit}' if row.unit else ''}"
    said: set[str] = set()
    for one in row.comparisons:
        skipped = {name for name in (one.of, one.than) if name and row.entries[name].skipped}
        if skipped and skipped <= said:
            continue
        said |= skipped
        yield [cell.replace("|", "/") for cell in (title, *_cells(row, one))]
        title = ""


def _cells(row: Measured, one: Comparison) -> Iterator[str]:
    yield _WORDS[one.metric] if one.of == "sparkles" else f"{_WORDS[one.metric]}: {one.of}"
    yield _budget(one)
    yield _spread(row.entries[one.of], one.metric)
    yield one.than
    yield _spread(row.entries[one.than], one.metric) if one.than else ""
    value = _compared(row, one)
    yield "" if value is None or not one.than else f"{value:.2f} ×"
    yield "" if value is None or one.at_most is None else "held" if value <= one.at_most else "**missed**"


def _budget(one: Comparison) -> str:
    if one.at_most is None:
        return ""
    return f"≤ {one.at_most:g} ×" if one.than else f"≤ {_quantity(one.at_most, one.metric)}"


def _compared(row: Measured, one: Comparison) -> float | None:
    """Return the ratio of the medians, or the median where nothing is beside it; None where one is unknown."""
    names = [one.of, one.than] if one.than else [one.of]
    found = [values(row.entries[name], one.metric) for name in names]
    if not all(found):
        return None
    medians = [median(each) for each in found]
    return medians[0] / medians[1] if one.than else medians[0]


def values(entry: Entry, metric: Metric) -> list[float]:
    """Return a metric of all samples: of time and CPU, the share of one thing."""
    things = 1 if metric in _UNITS else entry.count
    return [_value(sample, metric) / things for sample in entry.samples]


def _value(sample: Sample, metric: Metric) -> float:
    if metric is Metric.REST:
        return sample.cpu - sample.own
    if metric.value in sample.told:
        return sample.told[metric.value]
    value: float = getattr(sample, metric.value)
    return value


def _spread(entry: Entry, metric: Metric) -> str:
    """Return the median, and from where to where the samples go."""
    if entry.skipped:
        return f"skipped: {entry.skipped}"
    found = values(entry, metric)
    unit, size = _unit(median(found), metric)
    middle, least, most = (_figure(value / size) for value in (median(found), min(found), max(found)))
    return f"{f'{middle} {unit}'.strip()} ({least} to {most})"


def _quantity(value: float, metric: Metric) -> str:
    unit, size = _unit(value, metric)
    return f"{_figure(value / size)} {unit}".strip()


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _unit(value: float, metric: Metric) -> tuple[str, float]:
    return _UNITS.get(metric) or (("s", 1.0) if value >= 1 else ("ms", 1e-3))
