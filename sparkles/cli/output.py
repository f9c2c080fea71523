"""Output: rows and documents as a table, JSON, YAML or CSV."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from sparkles.quantities import human_bytes

FORMS = ("table", "json", "yaml", "csv")


def with_output(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that lists the option -o."""
    option = click.option(
        "-o", "--output", "form", type=click.Choice(FORMS), default="table", help="How to print: for people (table)."
    )
    return option(command)


def print_document(document: Mapping[str, Any], form: str) -> None:
    """Print one document as YAML or JSON, in UTF-8 whatever the locale; the JSON, too, can be read as YAML."""
    from sparkles import manifest as manifests  # a table, which is printed more often, does not need it

    if form == "json":
        click.echo(manifests.to_json(document, indent=2).encode())
        return
    click.echo(manifests.dump(dict(document)).encode(), nl=False)


def print_documents(documents: Sequence[Mapping[str, Any]], form: str) -> None:
    """Print one document as it is; several in a list (JSON) or a stream (YAML)."""
    if len(documents) == 1:
        print_document(documents[0], form)
    else:
        print_rows(documents, [], form)


def print_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], form: str) -> None:
    """Print rows as they come, where the form allows it; `columns` name their keys, in order."""
    if form == "table":
        _print_table(rows, columns)
    elif form == "csv":
        import csv  # what is printed most often is a table

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_plain(row[column]) for column in columns] for row in rows)
    elif form == "json":
        click.echo(json.dumps(list(rows), indent=2, ensure_ascii=False))
    else:
        for row in rows:
            click.echo("---")
            print_document(row, form)


def _print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    cells = [[column.upper() for column in columns]]
    cells += [[_cell(column, row[column]) for column in columns] for row in rows]
    widths = [max(len(line[position]) for line in cells) for position in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column in ("submitted", "started", "ended"):
        return str(value).replace("T", " ")[:19]
    if column == "memory":
        return human_bytes(value)
    if isinstance(value, Mapping):
        return " ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(value)
    return str(value)


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list) else value


def moment(seconds: float | None) -> str | None:
    """Return a time for people and programs: ISO 8601, local, with its offset."""
    return None if seconds is None else datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
