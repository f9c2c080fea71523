"""The command line of the benchmarks: `run` measures and prints the table, `table` prints it again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks import cloud, containers, foreach, looking, startup, submission, tasks, watching
from benchmarks import record as records
from benchmarks.interleave import FAILED, interleave
from benchmarks.nouns import Row, beside
from benchmarks.place import place
from benchmarks.record import Record
from benchmarks.subject import ROOT, Subject
from benchmarks.table import into, table
from benchmarks.versions import versions

_GROUPS = (startup, tasks, foreach, containers, submission, watching, looking, cloud)

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True)
_FILE = click.Path(path_type=Path, dir_okay=False)

#: Where a record is kept if nothing else is said.
_RECORD = Path("benchmarks.json")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Measure what sparkles costs beside programs that do the same work."""


@main.command("run")
@click.option("--only", multiple=True, metavar="NAME", help="Only this row, or this group of rows.")
@click.option("--rounds", type=click.IntRange(min=1), metavar="N", help="How often each contestant runs (3 or 5).")
@click.option("--quick", is_flag=True, help="Tiny sizes, one round: to see that everything works.")
@click.option("--long", is_flag=True, help="Also the rows that take minutes.")
@click.option("--sparkles", "checkout", type=_FOLDER, default=ROOT, help="The checkout that is measured (this one).")
@click.option("--against", type=_FOLDER, help="Another checkout to be measured beside it.")
@click.option("--folder", type=_FOLDER, help="Where to work: a local disk (the folder for temporary files).")
@click.option("-o", "--output", type=_FILE, default=_RECORD, show_default=True, help="Where to write what was found.")
def run_cmd(
    only: Sequence[str], rounds: int | None, quick: bool, long: bool,
    checkout: Path, against: Path | None, folder: Path | None, output: Path,
) -> None:  # fmt: skip
    """Measure, write a record and print its table."""
    chosen = _chosen(_rows(checkout, against, quick=quick), only, long=long or quick)
    with place(folder) as base:
        found = [
            interleave(row, base, _say, rounds=rounds or (1 if quick else row.rounds), warm_up=not quick)
            for row in chosen
        ]
        record = Record(versions=versions(checkout, base), rows=found)
    records.write(record, output)
    click.echo(table(record), nl=False)
    if any(entry.skipped.startswith(FAILED) for row in found for entry in row.entries.values()):
        sys.exit(1)


@main.command("table")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), default=_RECORD)
@click.option("--into", "page", type=click.Path(path_type=Path, exists=True), help="Write it into this page.")
def table_cmd(file: Path, page: Path | None) -> None:
    """Print the table of a record."""
    text = table(records.read(file))
    if page is None:
        click.echo(text, nl=False)
        return
    try:
        page.write_text(into(page.read_text(encoding="utf-8"), text), encoding="utf-8")
    except ValueError as error:
        raise click.ClickException(f"{page}: {error}") from None


def _rows(checkout: Path, against: Path | None, *, quick: bool) -> list[Row]:
    rows = [row for group in _GROUPS for row in group.rows(Subject(checkout), quick=quick)]
    if against is None:
        return rows
    others = [row for group in _GROUPS for row in group.rows(Subject(against), quick=quick)]
    return [beside(row, other) for row, other in zip(rows, others, strict=True)]


def _chosen(rows: Sequence[Row], only: Sequence[str], *, long: bool) -> list[Row]:
    """Return the rows asked for: by name, by group, or all; the long ones only by name or if wanted."""
    if unknown := set(only) - {row.name for row in rows} - {row.group for row in rows}:
        known = ", ".join(row.name for row in rows)
        raise click.UsageError(f"--only {', '.join(sorted(unknown))}: there is no such row; there are {known}")
    return [row for row in rows if row.name in only or ((not only or row.group in only) and (long or not row.long))]


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
