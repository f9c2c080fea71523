"""Interleave: the contestants of a row, one after the other, round by round, each in an empty folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import RunFailed, Sample, measure
from benchmarks.nouns import Contestant, Row
from benchmarks.place import fresh
from benchmarks.record import Entry, Measured, measured

Say = Callable[[str], None]

#: How the reason of one begins that could take part, and then did not do its work.
FAILED = "failed"


def interleave(row: Row, folder: Path, say: Say, *, rounds: int, warm_up: bool) -> Measured:
    """Measure a row; whoever fails is out, and its reason is kept. What warms up does not count."""
    entries = {one.name: Entry(count=one.count, skipped=one.missing()) for one in row.contestants}
    for number in range(1 - row.warm_ups if warm_up else 1, rounds + 1):
        for one in row.contestants:
            if not entries[one.name].skipped:
                say(f"{row.name}, {f'round {number} of {rounds}' if number > 0 else 'warm-up'}: {one.name}")
                entries[one.name] = _after(entries[one.name], one, folder, counts=number > 0)
    return measured(row, entries)


def _after(entry: Entry, contestant: Contestant, folder: Path, *, counts: bool) -> Entry:
    """Return an entry after one more run."""
    try:
        sample = _once(contestant, folder)
    except RunFailed as error:
        return replace(entry, samples=[], skipped=f"{FAILED}: {error}")
    return replace(entry, samples=[*entry.samples, sample]) if counts else entry


def _once(contestant: Contestant, base: Path) -> Sample:
    folder = fresh(base)
    sample = measure(contestant.make(folder), folder)
    left = len(list(folder.glob(contestant.leaves))) if contestant.leaves else contestant.count
    if left != contestant.count:
        raise RunFailed(f"{left} results of {contestant.count}")
    return replace(sample, told=contestant.tells(folder))
