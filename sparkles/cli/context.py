"""Context: what every command that needs a backend is given: the flags that choose it, and the backend."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sparkles import config, names
from sparkles.backends.registry import open_backend
from sparkles.cli import here
from sparkles.dry import read_only
from sparkles.errors import RequestError, SparklesError
from sparkles.model import Job
from sparkles.ports.backend import Backend


class Chosen:
    """The backend that the flags, the environment and the configuration choose; opened when it is needed."""

    def __init__(self, settings: config.Settings, *, slots: int | None) -> None:
        self.settings = settings
        self._slots = slots

    def open(self, *, write: bool = True) -> Backend:
        """Open the backend; without `write` one whose stores refuse to."""
        if sys.stderr.isatty():
            click.echo(f"backend: {self.settings.backend} ({self.settings.origin})", err=True)
        backend = open_backend(self.settings, write=write, slots=self._slots)
        return backend if write else read_only(backend)

    def elsewhere(self, pattern: str) -> str:
        """Return where else a job may be that is not here; empty if there is no such place."""
        if self.settings.backend == "local":
            gcp = self.settings.gcp
            return "; to look for it on Google Cloud add --backend gcp" if gcp.project and gcp.bucket else ""
        with suppress(SparklesError):
            state = open_backend(replace(self.settings, backend="local"), write=False).state
            with closing(state):
                names.matching(pattern, state.jobs())
            return "; there is one on this machine: add --backend local"
        return ""


def with_backend(command: Callable[..., Any], *, whole: bool = False) -> Callable[..., Any]:
    """Give a command the flags that choose a backend, and the choice as its argument `chosen`.

    With `whole` its settings are those that do not matter to the backend, too.
    """

    @click.option(
        "--backend", type=click.Choice(config.BACKENDS), help="Where jobs run: this machine, or Google Cloud."
    )
    @click.option("--local", is_flag=True, help="Run on this machine, one task at a time. For trying things out.")
    @click.option("--config", "config_file", type=click.Path(path_type=Path), help="The configuration file to use.")
    @functools.wraps(command)
    def wrapped(backend: str | None, local: bool, config_file: Path | None, **arguments: Any) -> Any:
        settings = settings_of(backend=backend, local=local, config_file=config_file, whole=whole)
        chosen = Chosen(settings, slots=1 if local else None)
        try:
            return command(chosen=chosen, **arguments)
        except names.UnknownJobError as error:
            raise RequestError(f"{error}{chosen.elsewhere(error.pattern)}") from None

    return wrapped


def settings_of(
    *, backend: str | None, local: bool | None, config_file: Path | None, whole: bool = False
) -> config.Settings:
    """Return the settings that the flags of `with_backend` choose here."""
    if local and backend not in (None, "local"):
        raise RequestError(f"--local and --backend {backend} exclude each other")
    return config.settings(
        backend="local" if local else backend,
        config=config_file,
        environment=os.environ,
        cwd=here.folder(),
        home=Path.home(),
        whole=whole,
    )


def hint(text: str) -> None:
    """Say something that is not a result, on stderr."""
    click.echo(text, err=True)


def hint_why_not_all(job: Job, backend: Backend) -> None:
    """Say why not all of a job has run: it waits for others, or a guard holds tasks back, or has stopped it."""
    hint_at_guards(job)
    if job.waiting:
        from sparkles import needs

        hint(f"hint: {needs.words(job, backend)}")


def hint_at_guards(job: Job) -> None:
    """Say what a job holds back, or why not all of it was run and what to do."""
    if job.canary is None and job.killed_by is None:
        return
    from sparkles import guard_text  # few jobs need it

    if held := guard_text.holds(job):
        hint(f"hint: {held}")
    elif found := guard_text.ended(job):
        hint(f"{found[0]}\n  {found[1]}")
