"""`sparkles sub` of a command: one job, which is applied and watched."""

from __future__ import annotations

from dataclasses import dataclass

import click

from sparkles import names, phase_text, watch, wholes
from sparkles.cli import live
from sparkles.cli.context import hint
from sparkles.cli.execute import carry_out
from sparkles.cli.submission import follow, make_ready, require_owner, warn
from sparkles.errors import RequestError
from sparkles.manifest import Manifest
from sparkles.model import Job, JobState
from sparkles.plan import Rerun
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared, find_job, prepare
from sparkles.settle import settle


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a job, or a Foreach, is to be submitted."""

    rerun: Rerun
    #: Whether that was said, and not just left out.
    explicit: bool
    #: The first phase of a Foreach that is to run.
    start_at: str
    force: bool
    yes: bool
    no_wait: bool


def prepared(manifest: Manifest, backend: Backend, asked: Asked) -> list[Prepared]:
    """Decide what a submission does; a list of one."""
    if not names.is_generated(manifest.name):
        wholes.require_names([manifest], backend.state.jobs())
    one = prepare(manifest, backend, rerun=asked.rerun, refresh_image=True)
    warn(one)
    return [one]


def submit(manifest: Manifest, backend: Backend, asked: Asked) -> int:
    """Apply the job and watch it; return the exit code."""
    _require_ended(manifest.name, backend, asked)
    (one,) = prepared(manifest, backend, asked)
    make_ready([one], backend, yes=asked.yes)
    click.echo(phase_text.upload_line(**one.upload))
    watcher = watch.Watcher(one.name, backend, live.screen())
    carry_out([one], backend, force=asked.force, yes=asked.yes, watcher=watcher)
    if asked.no_wait:
        waits = f" and waits for {', '.join(one.plan.waits)}" if one.plan.waits else ""
        hint(f"job {one.name} is submitted{waits}; see it with 'sparkles watch {one.name}'")
        return 0
    return follow(one.name, backend, watcher)


def _require_ended(name: str, backend: Backend, asked: Asked) -> None:
    """Refuse to submit over a job that still runs, unless told what to do with its tasks."""
    job = find_job(backend, name)
    if job is None:
        return
    settle(job.name, backend)
    require_owner(job, yes=asked.yes)
    if not asked.explicit and (job.has_more or backend.state.is_open(job.name)):
        raise RequestError(
            f"job {job.name} {how_it_runs(job)}; follow it with 'sparkles watch {job.name}', stop it with "
            f"'sparkles kill {job.name}', choose another name with -n, or say --rerun all to start it anew"
        )


def how_it_runs(job: Job) -> str:
    """Say in which way a job has not ended."""
    return "waits for others" if job.state is JobState.WAITING else "has tasks that have not ended"
