"""`sparkles sub --foreach`: the phases are all applied at the start, so that no client has to stay, and followed."""

from __future__ import annotations

from collections.abc import Sequence

from sparkles import needs, parts
from sparkles.cli import live, phases
from sparkles.cli.context import hint
from sparkles.cli.documents import expanded, left_out, prepare_each
from sparkles.cli.execute import carry_out
from sparkles.cli.submission import make_ready, require_owner
from sparkles.cli.submit_job import Asked, how_it_runs
from sparkles.errors import RequestError
from sparkles.manifest import Manifest
from sparkles.model import Job, JobState
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared, find_job
from sparkles.settle import settle
from sparkles.watch import Watcher


def prepared(manifest: Manifest, backend: Backend, asked: Asked) -> list[Prepared]:
    """Prepare the phases that are to run. Those before must have succeeded."""
    return _prepared(manifest, backend, asked)[0]


def _prepared(manifest: Manifest, backend: Backend, asked: Asked) -> tuple[list[Prepared], list[Job]]:
    """Prepare the phases that are to run; return them, and those that wait and are to run no more."""
    named = parts.phases(manifest.document)
    if asked.start_at not in named:
        raise RequestError(f"--start-at {asked.start_at} and --no-gather exclude each other")
    first = named.index(asked.start_at)
    jobs = expanded([manifest], backend)
    for kept in jobs[:first]:
        _require_success(kept.name, backend)
    phased = prepare_each(jobs[first:], backend, asked.rerun, refresh_image=True)
    return phased, left_out([manifest], phased, backend)


def submit(manifest: Manifest, backend: Backend, asked: Asked) -> int:
    """Apply the phases, and follow them; return the exit code."""
    _require_ended(parts.part_names(manifest.document), manifest.name, backend, asked)
    phased, ending = _prepared(manifest, backend, asked)
    make_ready(phased, backend, yes=asked.yes)
    announced = phases.announce(phased[0], backend)
    watcher = Watcher(phased[0].name, backend, live.screen()) if announced else None
    jobs = carry_out(phased, backend, force=asked.force, yes=asked.yes, ending=ending, watcher=watcher)
    if asked.no_wait:
        hint(f"foreach {manifest.name} is submitted; see it with 'sparkles watch {manifest.name}'")
        return 0
    return phases.follow(jobs, backend, watcher)


def _require_success(name: str, backend: Backend) -> None:
    job = find_job(backend, name)
    if job is None or not phases.has_succeeded(job, backend):
        how = "there is no such job" if job is None else "not all of its tasks have succeeded"
        raise RequestError(f"--start-at: it begins with what job {name} left, but {how}; leave --start-at out")


def _require_ended(names: Sequence[str], whole: str, backend: Backend, asked: Asked) -> None:
    """Refuse to submit over a Foreach that still runs, unless told what to do with its tasks."""
    for name in names:
        if job := find_job(backend, name):
            settle(job.name, backend)
            require_owner(job, yes=asked.yes)
    running = [job for name in names if (job := find_job(backend, name)) and _runs(job, backend)]
    if running and not asked.explicit:
        raise RequestError(
            f"foreach {whole} has not ended: {running[0].name} {how_it_runs(running[0])}; follow it with "
            f"'sparkles watch {whole}', stop it with 'sparkles kill {whole}', choose another name with -n, or say "
            "--rerun all to start it anew"
        )


def _runs(job: Job, backend: Backend) -> bool:
    """Say whether a phase goes on by itself: one that waits for what has failed does not."""
    if job.state is JobState.WAITING:
        return needs.stuck(job, backend) is None
    return backend.state.is_open(job.name)
