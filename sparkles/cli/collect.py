"""`sparkles gc`: finds what nobody needs any more, and removes it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from sparkles import garbage
from sparkles.backends.registry import keepers
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.output import print_rows, with_output
from sparkles.cli.submission import ask
from sparkles.garbage import Garbage
from sparkles.quantities import counted, human_bytes

_DAY = 86_400.0


@click.command("gc")
@with_output
@click.option("--dry-run", is_flag=True, help="Only list it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_backend
def gc_cmd(chosen: Chosen, form: str, dry_run: bool, yes: bool) -> None:
    """Find what nobody needs any more, and remove it.

    Groups of VMs and VMs without a job or a node, files that were uploaded for jobs which are deleted, old logs of
    VMs that did not start, old records and folders of nodes. Jobs, their results and their logs stay. It may be run
    while jobs run and while they are submitted.

    \b
    Examples:
      sparkles gc --dry-run
      sparkles gc --yes
    """
    backend = chosen.open(write=not dry_run)
    found = list(garbage.find(backend, keepers(chosen.settings), now=time.time()))
    if form == "table":
        _list(found)
    else:
        print_rows(map(_row, found), ["kind", "name", "age", "size", "why"], form)
    if dry_run or not found:
        return
    if not yes:
        ask(f"{counted(len(found), 'thing')} would be removed")
    for each in found:
        each.remove()
    if form == "table":
        click.echo(f"{counted(len(found), 'thing')} removed")


def _list(found: Sequence[Garbage]) -> None:
    """Print what was found: of blobs, which may be many and whose names say nothing, only how many."""
    if not found:
        click.echo("there is nothing to remove")
        return
    rows = [_words(each) for each in found if each.kind != "blob"]
    blobs = [each for each in found if each.kind == "blob"]
    if blobs:
        oldest = max(each.age or 0.0 for each in blobs)
        size = human_bytes(sum(each.size or 0 for each in blobs))
        rows.append({"kind": "blobs", "name": str(len(blobs)), "age": f"up to {_age(oldest)}", "size": size,
                     "why": blobs[0].why})  # fmt: skip
    print_rows(rows, ["kind", "name", "age", "size", "why"], "table")


def _row(each: Garbage) -> Mapping[str, Any]:
    age = None if each.age is None else round(each.age)
    return {"kind": each.kind, "name": each.name, "age": age, "size": each.size, "why": each.why}


def _words(each: Garbage) -> dict[str, Any]:
    size = None if each.size is None else human_bytes(each.size)
    return {**_row(each), "age": None if each.age is None else _age(each.age), "size": size}


def _age(seconds: float) -> str:
    return counted(int(seconds / _DAY), "day") if seconds >= _DAY else counted(int(seconds / 3600), "hour")
