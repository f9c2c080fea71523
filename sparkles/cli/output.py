"""Output: rows and documents as a table, JSON, YAML or CSV."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

import click

from sparkles.quantities import human_bytes

FORMS = ("table", "json", "yaml", "csv")

#: Lines that are written at once.
_AT_ONCE = 1000


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
        from sparkles import csv_text  # what is printed most often is a table

        print_lines(csv_text.lines(chain([columns], ([_plain(row[column]) for column in columns] for row in rows))))
    elif form == "json":
        print_lines(_json_lines(rows))
    else:
        for row in rows:
            click.echo("---")
            print_document(row, form)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines for programs, each with its end: in UTF-8 whatever the locale, and many at a time."""
    lines = iter(lines)
    while some := "".join(islice(lines, _AT_ONCE)):
        click.echo(some.encode(), nl=False)


def _json_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a list as JSON, a row at a time: a million of them need not be held."""
    begin, end = "[", "[]\n"
    for row in rows:
        yield f"{begin}\n  " + json.dumps(row, indent=2, ensure_ascii=False).replace("\n", "\n  ")
        begin, end = ",", "\n]\n"
    yield end


def _print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    cells = [[column.upper() for column in columns]]
    cells += [[_cell(column, row[column]) for column in columns] for row in rows]
    widths = [max(len(line[position]) for line in cells) for position in range(len(columns))]
    lines = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)
    while some := list(islice(lines, _AT_ONCE)):
        click.echo("\n".join(some))


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column in ("submitted", "queued", "started", "ended"):
        return str(value).replace("T", " ")[:19]
    if column == "memory":
        return human_bytes(value)
    if isinstance(value, Mapping):
        value = " ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, list):
        value = ", ".join(value)
    return _shown(str(value))


def _shown(text: str) -> str:
    r"""Return a text in one line, without anything that moves the cursor.

    >>> _shown("a\tb\nä")
    'a\\tb\\nä'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list) else value


def moment(seconds: float | None) -> str | None:
    """Return a time for people and programs: ISO 8601, local, with its offset."""
    return None if seconds is None else datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
