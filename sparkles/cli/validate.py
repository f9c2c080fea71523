"""`sparkles validate`: tries all that jobs stand on."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from sparkles import validate
from sparkles.backends.registry import backend_checks
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.output import print_rows, with_output
from sparkles.errors import BackendError
from sparkles.validate import Verdict


@click.command("validate")
@with_output
@with_backend
def validate_cmd(chosen: Chosen, form: str) -> None:
    """Try all that jobs stand on, and say what mends what fails.

    Each part and each right is tried for real, and without a trace: objects and records that it writes it removes.
    Exits with 3 if something stands against jobs.

    \b
    Examples:
      sparkles validate
      sparkles validate --backend gcp -o json
    """
    faults: list[Verdict] = []
    verdicts = _noting(validate.validate(backend_checks(chosen.settings)), faults)
    if form == "table":
        for verdict in verdicts:
            click.echo(verdict.line)
    else:
        rows = [{"check": each.what, "state": each.state, "words": each.words or None} for each in verdicts]
        print_rows(rows, ["check", "state", "words"], form)
    if faults:
        sys.exit(BackendError.exit_code)


def _noting(verdicts: Iterator[Verdict], faults: list[Verdict]) -> Iterator[Verdict]:
    """Pass verdicts on as they come, and keep those that are faults."""
    for verdict in verdicts:
        if verdict.is_fault:
            faults.append(verdict)
        yield verdict
