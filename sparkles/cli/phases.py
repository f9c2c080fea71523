"""Phases: the jobs of a Foreach are followed one after another, each with the lines that say that it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from sparkles import lifecycle, parts, phase_text, polling, results
from sparkles.cli import live
from sparkles.cli.context import hint
from sparkles.cli.submission import conclude, interrupted_ends, stay
from sparkles.errors import RequestError
from sparkles.indices import from_runs
from sparkles.model import Job, JobState
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared, Upload, find_job
from sparkles.screen import Screen
from sparkles.watch import Watcher


def are_phases(jobs: Sequence[Job]) -> bool:
    """Say whether some jobs are those of one Foreach."""
    return len(jobs) > 1 and any(job.whole == job.name for job in jobs)


def announce(prepared: Prepared, backend: Backend) -> bool:
    """Say that a phase begins that is about to be applied; or not yet, if it has to wait for its tasks. Says which."""
    document = prepared.pinned.document
    if prepared.plan.waits and not phase_text.is_known_before(document):
        return False
    _say(document, prepared.upload, tasks=len(prepared.pinned.sweep), backend=backend)
    return True


def follow(jobs: Sequence[Job], backend: Backend, watcher: Watcher | None = None) -> int:
    """Follow phases in their order to the end; return the exit code. Those that are done are passed over.

    A `watcher` is that of the first one, which was announced.
    """
    rest = list(jobs) if watcher else _from_where_it_is(jobs, backend)
    whole = str(rest[0].whole)
    screen = watcher.screen if watcher else live.screen()  # one for all: it is there again as soon as a phase begins
    with interrupted_ends(whole):
        for position, job in enumerate(rest):
            code = _follow(job, backend, screen, watcher if position == 0 else None)
            if code:
                _say_what_is_left(rest[position + 1 :], whole, backend)
                return code
    hint(f"done; you can download the results via '{backend.objects.download_line(rest[-1].name)}'")
    return 0


def _from_where_it_is(jobs: Sequence[Job], backend: Backend) -> list[Job]:
    """Return the phases from the first that is not done; of a Foreach that is done the last one."""
    done = 0
    while done < len(jobs) - 1 and has_succeeded(jobs[done], backend):
        done += 1
    return list(jobs[done:])


def has_succeeded(job: Job, backend: Backend) -> bool:
    """Say whether a phase is over, and went well."""
    return job.state is JobState.FINISHED and lifecycle.has_succeeded(job, backend.state.counts(job.name))


def _follow(job: Job, backend: Backend, screen: Screen, watcher: Watcher | None) -> int:
    if watcher is None:
        _announce_stored(job, backend)
        watcher = Watcher(job.name, backend, screen)
    counts = stay(job.name, backend, watcher)
    return conclude(job.name, backend, counts)


def _announce_stored(job: Job, backend: Backend) -> None:
    """Say that a phase begins, once it has: only then is it known how many elements there are."""
    begun = _begun(job, backend)
    tasks = sum(backend.state.counts(job.name).values())
    if tasks or _is_first(job):
        document = results.manifest(begun, backend)
        upload = Upload(files=phase_text.files_of(document), missing=0, upload_bytes=0)
        rows = len(from_runs(document["status"].get("indices", "")))  # more than there are tasks, if some are held back
        _say(document, upload, tasks=max(tasks, rows), backend=backend)


def _is_first(job: Job) -> bool:
    return job.name == _first(str(job.whole))


def _first(whole: str) -> str:
    return parts.job_name(parts.FOREACH, whole, parts.GETARGS)


def _say(document: Mapping[str, Any], upload: Upload, *, tasks: int, backend: Backend) -> None:
    batch_size = 1 if phase_text.is_known_before(document) else _batch_size(document, backend)
    click.echo(phase_text.submission_line(document, tasks=tasks, batch_size=batch_size))
    click.echo(phase_text.upload_line(**upload))


def _batch_size(document: Mapping[str, Any], backend: Backend) -> int:
    """Return how many elements a task works through: the phase that has made them knows."""
    name = _first(document["metadata"]["partOf"]["name"])
    job = find_job(backend, name)
    if job is None:
        raise RequestError(f"job {name} was deleted")
    return phase_text.batch_size_of(results.manifest(job, backend))


def _begun(job: Job, backend: Backend) -> Job:
    """Wait until a phase has its tasks, or was killed. The first one may wait for anything, and is shown waiting."""
    found = job

    def before(current: Job) -> None:
        nonlocal found
        found = current

    for _ in polling.poll(job.name, backend, before=before):
        if found.applying is None and (found.waiting is None or _is_first(found)):
            break
    return found


def _say_what_is_left(phases: Sequence[Job], whole: str, backend: Backend) -> None:
    """Name the phases that wait for one that has failed, and what makes them go on."""
    waiting = [job.name for job in phases if (now := find_job(backend, job.name)) and now.state is JobState.WAITING]
    if waiting:
        wait = "waits" if len(waiting) == 1 else "wait"
        names = " and ".join(waiting)
        hint(
            f"{names} {wait} for that: 'sparkles retry {whole}' runs what failed again, as it was, and then the rest; "
            "if you change the script or its files, use sub again"
        )
