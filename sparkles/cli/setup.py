"""`sparkles setup`: makes what a project of Google Cloud needs for jobs to run there."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from sparkles import config, setup
from sparkles.backends.registry import project_steps
from sparkles.cli import INTERRUPTED, here
from sparkles.cli.context import hint
from sparkles.cli.submission import agrees, ask
from sparkles.config import Gcp, Settings
from sparkles.errors import ProblemsError
from sparkles.quantities import counted
from sparkles.setup import Step

#: Settings that a file must have for jobs to find what was made, and where they are.
_WRITTEN = {
    "project": "project",
    "region": "region",
    "bucket": "bucket",
    "database": "database",
    "account": "account",
    "workerImage": "worker_image",
}


@click.command("setup")
@click.option("--project", metavar="ID", help="The project; without it that of the configuration, or of gcloud.")
@click.option("--region", metavar="NAME", help="Where nodes, files and records are to be, such as us-central1.")
@click.option("--bucket", metavar="NAME", help="The bucket; without it that of the configuration, or PROJECT-sparkles.")
@click.option("--account", metavar="EMAIL", help="The service account of nodes; without it sparkles-node@….")
@click.option("--worker-image", is_flag=True, help="Also build the image that nodes work with: they start sooner.")
@click.option("--dry-run", is_flag=True, help="Show what there is and what would be made; make nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The configuration file to use.")
def setup_cmd(worker_image: bool, dry_run: bool, yes: bool, config_file: Path | None, **flags: str | None) -> None:
    """Make what jobs need in a project of Google Cloud.

    APIs, a bucket, a Datastore database, a service account for nodes with the few rights that they need, and a
    repository for images. What is there already stays as it is; it may be run again, and goes on where it was cut off.

    \b
    Examples:
      sparkles setup --project my-project --region us-central1 --dry-run
      sparkles setup --project my-project --region us-central1
    """
    settings = _settings(config_file)
    gcp = _with_flags(settings.gcp, {name: value for name, value in flags.items() if value})
    gcp, steps = project_steps(gcp, worker_image=worker_image)
    if dry_run or not yes:
        absent = _show(steps)
        if dry_run:
            return
        if absent:
            ask(f"{counted(absent, 'thing')} would be made in project {gcp.project}, which may cost money")
    try:
        _make(steps, tell_all=yes)
        _keep(settings, gcp, yes=yes)
    except KeyboardInterrupt:
        hint("interrupted; what was made stays, and 'sparkles setup' goes on from there")
        raise SystemExit(INTERRUPTED) from None


def _settings(file: Path | None) -> Settings:
    return config.settings(
        backend="gcp", config=file, environment=os.environ, cwd=here.folder(), home=Path.home(), whole=True
    )


def _with_flags(gcp: Gcp, flags: Mapping[str, str]) -> Gcp:
    from sparkles import manifest as manifests

    problems = [f"--{problem}" for name, value in flags.items() for problem in manifests.check_setting(name, value)]
    if problems:
        raise ProblemsError(problems)
    return replace(gcp, **flags)  # type: ignore[arg-type] # all of these are texts


def _show(steps: Sequence[Step]) -> int:
    """Show what there is; return how much there is not."""
    absent = 0
    for seen in setup.look(steps):
        click.echo(seen.line)
        absent += not seen.is_there
    return absent


def _make(steps: Sequence[Step], *, tell_all: bool) -> None:
    """Make what is not there, and say so; `tell_all` says of the rest that it is there."""
    for line in setup.carry_out(steps, _say):
        if tell_all or line.startswith("+"):
            click.echo(line)


def _say(step: Step) -> setup.Say:
    return lambda words: hint(f"  {step.what}: {words}") if sys.stderr.isatty() else None


def _keep(settings: Settings, gcp: Gcp, *, yes: bool) -> None:
    """Write what was made into a configuration file, if there is none; else say what it lacks."""
    lines = _lines(settings, gcp)
    if not lines:
        hint("sparkles validate tries all of it")
        return
    text = "".join(f"{line}\n" for line in lines)
    if settings.file:
        hint(f"add to {settings.file}:\n{text.rstrip()}")
        return
    path = Path(config.FILE_NAME)
    hint(f"{path.absolute()} would hold:\n{text.rstrip()}")
    if yes or (sys.stdin.isatty() and agrees("Write it?")):
        path.write_text(text, encoding="utf-8")
        click.echo(f"+ {path} written; sparkles validate tries all of it")


def _lines(settings: Settings, gcp: Gcp) -> list[str]:
    """Return the lines that a file lacks: what it holds, or what holds without it, is not what was made."""
    from sparkles import manifest as manifests

    document: dict[str, object] = {
        name: value
        for name, field in _WRITTEN.items()
        if (value := getattr(gcp, field)) != _held(settings, name, getattr(settings.gcp, field))
    }
    if document and settings.file is None and "image" not in settings.defaults:
        document["defaults"] = {"image": config.STOCK_IMAGE}  # each task on a VM needs one
    return manifests.dump(document).splitlines() if document else []


def _held(settings: Settings, name: str, value: object) -> object:
    """Return what a setting is for whoever comes later: what gcloud or this shell is set to may change any time."""
    return value if settings.values[name].origin in ("default", str(settings.file)) else None
