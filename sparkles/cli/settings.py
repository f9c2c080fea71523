"""`sparkles config`: which settings hold here, and why. Needs neither credentials nor a network."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import click

from sparkles import config
from sparkles.cli import here
from sparkles.cli.context import Chosen, hint, with_backend
from sparkles.cli.output import print_rows, with_output


@click.command("config")
@with_output
@functools.partial(with_backend, whole=True)
def config_cmd(chosen: Chosen, form: str) -> None:
    """Show the settings, and where each comes from.

    They come from a flag, else from a variable of the environment, else from a file: .sparkles.yaml in this folder or
    in one above it, or your own. The project and the region of gcloud come last. For a setting that nothing sets, you
    see the ways to set it.

    \b
    Examples:
      sparkles config
      sparkles config --backend gcp -o json
    """
    hint(_file_words(chosen.settings.file))
    rows = [_row(name, value) for name, value in chosen.settings.values.items()]
    print_rows(rows, ["setting", "value", "origin"], form)


def _file_words(file: Path | None) -> str:
    if file:
        return f"settings of {file}:"
    user = config.user_file(os.environ, Path.home())
    return f"no file: there is no {config.FILE_NAME} in {here.folder()} or above it, and no {user}"


def _row(name: str, setting: config.Value) -> dict[str, Any]:
    """Return a row; a list stays one, for programs."""
    value = setting.value if isinstance(setting.value, str) else list(setting.value)
    origin = setting.origin if value else f"{setting.origin}; {config.ways(name)}"
    return {"setting": name, "value": value or None, "origin": origin}
