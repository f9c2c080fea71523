"""View: what there is to see of a job, or of a transfer, as rows for a terminal. Pure, but for what rich reads of the
environment: which colours the terminal has, and whether any are wanted.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from rich.console import Console
from rich.text import Text

from sparkles.cli.area import Extent, Row
from sparkles.model import Sample, TaskState
from sparkles.printable import encodable, printable
from sparkles.quantities import clock, counted, human_bytes
from sparkles.sight import Failure, Sight, Tailed

#: State → its part of the bar, in Unicode and in ASCII, and its colour. In this order in the bar.
_LOOKS = {
    TaskState.SUCCEEDED: ("█", "#", "green"),
    TaskState.FAILED: ("▓", "x", "red"),
    TaskState.KILLED: ("▚", "/", "magenta"),
    TaskState.CLAIMED: ("▒", "=", "yellow"),
    TaskState.PENDING: ("░", "-", "bright_black"),
}

#: Cells of the longest bar, of the shortest one, and of the percentage after it.
_LONGEST, _SHORTEST, _PERCENT = 60, 5, 6

#: Cells of a log line from which on it is worth showing.
_LEGIBLE = 10

#: Seconds from which on it is worth saying how long a node takes to come.
_LONG = 5.0

#: Rows from which on a part of a line that has not ended is shown, too.
_ROOMY = 4


def job_rows(sight: Sight, extent: Extent) -> list[Text]:
    """Return the rows about a job: at most half of the terminal's, so that its log has the other half."""
    budget = max(1, extent.height // 2)
    rows = [_headline(sight, extent), *_flow(_legend(sight.counts, extent), extent), *_flow(_facts(sight), extent)]
    rows += [_headline(other, extent) for other in sight.beside]
    rows += [_failure(failure, extent) for failure in sight.failures]
    if sight.tailed and budget >= _ROOMY:
        rows.insert(0, _tailed(sight.tailed))
    return [_fitted(row, extent) for row in rows[:budget]]


def transfer_row(
    what: str, done: int, size: int, *, files: tuple[int, int] | None, rate: float | None, extent: Extent
) -> Text:
    """Return the row about a transfer: bytes that are `done` of `size`, and files of files; 0 is not known."""
    words = f"  {human_bytes(done)} of {human_bytes(size)}" if size else f"  {human_bytes(done)}"
    if files:
        words += f"  {files[0]} of {counted(files[1], 'file')}" if files[1] else f"  {counted(files[0], 'file')}"
    words += "" if rate is None else f"  {human_bytes(int(rate))}/s"
    if not size:
        return _fitted(Text(what).append(words), extent)
    parts = {TaskState.SUCCEEDED: done, TaskState.PENDING: size - done}
    room = extent.width - len(what) - 1 - len(words)
    return _fitted(Text(f"{what} ").append_text(_bar(parts, room, extent)).append(words), extent)


def painted(rows: Sequence[Text]) -> list[Row]:
    """Return rows with the colours that the terminal has."""
    console = Console(file=io.StringIO(), force_terminal=True, force_jupyter=False, legacy_windows=False)
    result = []
    for row in rows:
        with console.capture() as capture:
            console.print(row, end="", soft_wrap=True)
        result.append(Row(capture.get(), row.cell_len))
    return result


def _headline(sight: Sight, extent: Extent) -> Text:
    """Return the name of the job, and a bar of its tasks or what it waits for."""
    name = Text.assemble((sight.job, "bold"))
    if not sight.counts:
        return name.append(f"  waiting for {', '.join(sight.needs)}" if sight.needs else "  no tasks yet")
    name.truncate(max(_SHORTEST, extent.width // 3), overflow="crop")
    total = sum(sight.counts.values())
    ended = total - sum(sight.counts.get(state, 0) for state in (TaskState.PENDING, TaskState.CLAIMED))
    bar = _bar(sight.counts, extent.width - name.cell_len - 2 - _PERCENT, extent)
    return Text.assemble(name, "  ", bar, f"{100 * ended // total:>4} %")


def _bar(counts: Mapping[TaskState, int], room: int, extent: Extent) -> Text:
    bar = Text()
    numbers = [counts.get(state, 0) for state in _LOOKS]
    cells = shares(numbers, max(_SHORTEST, min(_LONGEST, room)))
    for (in_unicode, in_ascii, colour), width in zip(_LOOKS.values(), cells, strict=True):
        bar.append((in_unicode if extent.unicode else in_ascii) * width, style=colour)
    return bar


def shares(numbers: Sequence[int], width: int) -> list[int]:
    """Divide `width` cells as the numbers are to each other; each that is not 0 gets one at least, if they suffice.

    >>> shares([1, 0, 998], 10)
    [1, 0, 9]
    """
    total = sum(numbers) or 1
    edges = [round(width * sum(numbers[:place]) / total) for place in range(len(numbers) + 1)]
    cells = [end - begin for begin, end in pairwise(edges)]
    for place, number in enumerate(numbers):
        if number and not cells[place] and max(cells) > 1:
            cells[cells.index(max(cells))] -= 1
            cells[place] = 1
    return cells


def _legend(counts: Mapping[TaskState, int], extent: Extent) -> Iterator[Text]:
    for state, (in_unicode, in_ascii, colour) in _LOOKS.items():
        if counts.get(state):
            mark = in_unicode if extent.unicode else in_ascii
            yield Text.assemble((mark, colour), f" {state.value} {counts[state]}")


def _facts(sight: Sight) -> Iterator[Text]:
    if sight.held:
        yield Text(f"canary: {sight.held} more when these have succeeded")
    if sight.rate is not None:
        yield Text(_speed(sight.rate))
    if sight.eta is not None:
        yield Text(f"ETA {clock(sight.eta)}")
    yield Text(f"elapsed {clock(sight.elapsed)}")
    if sight.nodes:
        yield Text("nodes: " + ", ".join(_nodes(word, sight) for word in sight.nodes))


def _nodes(word: str, sight: Sight) -> str:
    """Return how many nodes are in a state; of those that are long to come, for how long."""
    waits = sight.coming.get(word, 0.0)
    return f"{word} ({sight.nodes[word]})" + (f" for {clock(waits)}" if waits >= _LONG else "")


def _speed(rate: float) -> str:
    """Return tasks in a second as people say it."""
    each, unit = (60, "min") if rate * 60 >= 1 else (3600, "h")
    return f"{rate * each:.{0 if rate * each >= 100 else 1}f} tasks/{unit}"


def _tailed(tailed: Tailed) -> Text:
    row = Text.assemble((tailed.id, "bold"))
    if tailed.sample:
        row.append(f"  {_memory(tailed.sample)}")
    return row.append(f"  {printable(tailed.unfinished).strip()}")


def _memory(sample: Sample) -> str:
    processes = "1 process" if sample.processes == 1 else f"{sample.processes} processes"
    return f"{processes}, {human_bytes(sample.total)}"


def _failure(failure: Failure, extent: Extent) -> Text:
    """Return which task failed, how and the end of its log as far as there is room, and the command that prints it."""
    row = Text.assemble((failure.id, "red"), f" failed ({failure.how})")
    command = Text(f"  sparkles logs {failure.id}", style="cyan")
    last = Text(f": {printable(failure.last_line).strip()}")
    room = extent.width - row.cell_len - command.cell_len
    if room < 0:
        row = Text.assemble((failure.id, "red"))
    if failure.last_line and room >= _LEGIBLE:
        last.truncate(room, overflow="ellipsis" if extent.unicode else "crop")
        row.append_text(last)
    return row.append_text(command)


def _flow(parts: Iterator[Text], extent: Extent) -> list[Text]:
    """Put short texts side by side, on as many rows as it takes."""
    rows: list[Text] = []
    for part in parts:
        if rows and rows[-1].cell_len + 2 + part.cell_len <= extent.width:
            rows[-1].append("  ").append_text(part)
        else:
            rows.append(part)
    return rows


def _fitted(row: Text, extent: Extent) -> Text:
    """Cut a row to the terminal's width, and to the characters that it shows."""
    if not extent.unicode:
        row.plain = encodable(row.plain, "ascii")
    row.truncate(extent.width, overflow="ellipsis" if extent.unicode else "crop")
    return row
