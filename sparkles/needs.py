"""Needs: how the jobs stand that another one needs. Looks; writes nothing."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sparkles import lifecycle, takeover
from sparkles.errors import RequestError, nearest
from sparkles.lifecycle import Need
from sparkles.model import Job, JobState, Key
from sparkles.ports.backend import Backend
from sparkles.references import reference


def standing(names: Sequence[str], backend: Backend) -> dict[str, Need]:
    """Return how each of these jobs stands."""
    jobs = _jobs(names, backend)
    return {name: lifecycle.need_of(jobs.get(name), backend.state.counts(name)) for name in names}


def unmet(document: Mapping[str, Any], backend: Backend, *, changing: Collection[str]) -> list[str]:
    """Return the needs of a manifest that are not met; those of jobs that are `changing` never are.

    Raises RequestError for a need that nothing can meet: a job that does not exist, or that waits for this one.
    """
    name, needs = document["metadata"]["name"], document["spec"].get("needs", [])
    if not needs:
        return []
    _refuse_circle(name, needs, backend)
    found = standing(needs, backend)
    missing = [n for n in needs if found[n] is Need.MISSING and n not in changing and not _is_pinned(document, n)]
    if missing:
        raise RequestError(f"spec.needs: there is no job {missing[0]!r}{_way_out(missing[0], backend)}")
    return [n for n in needs if n in changing or found[n] in (Need.OPEN, Need.FAILED)]


def _way_out(name: str, backend: Backend) -> str:
    """Return what to do about a need that is not there."""
    there = backend.state.jobs()
    if parts := [job.name for job in there if job.whole == name]:
        return f"; that is a workflow, name those of its jobs: {', '.join(parts)}"
    return f"{nearest(name, [job.name for job in there])}; apply it first, or together with this one"


def present(document: Mapping[str, Any], backend: Backend, *, waits: Collection[str]) -> tuple[str, ...]:
    """Return the needs of a manifest, but for jobs that are gone and whose files are pinned."""
    needs = document["spec"]["needs"]
    there = _jobs(needs, backend)
    return tuple(need for need in needs if need in there or need in waits)


def waited_for(job: Job, backend: Backend) -> list[str]:
    """Return the jobs that a job waits for, at any remove."""
    found: list[str] = []
    names = list(job.waiting.needs) if job.waiting else []
    while names:
        name = names.pop()
        if name not in found:
            found.append(name)
            needed = _jobs([name], backend).get(name)
            names += needed.waiting.needs if needed and needed.waiting else ()
    return found


def problem(job: Job, backend: Backend) -> str | None:
    """Return why a waiting job could not begin although its needs are met; None if these are not the same any more."""
    waiting = job.waiting
    holds = waiting and waiting.tried in ("", fingerprint(waiting.needs, backend))
    return waiting.problem if waiting and holds else None


def words(job: Job, backend: Backend) -> str | None:
    """Return what a job waits for; None if it does not wait."""
    if job.waiting is None or job.state is not JobState.WAITING:
        return None
    trouble = stuck(job, backend) or problem(job, backend)
    return trouble or f"job {job.name} waits for {', '.join(job.waiting.needs)}"


def stuck(job: Job, backend: Backend) -> str | None:
    """Return why a waiting job will not begin unless somebody does something; None if it may, or does not wait.

    Or why tasks that it holds back cannot go on although the first ones have succeeded.
    """
    if job.canary and job.canary.is_stuck and job.holds_back:
        return f"job {job.name} cannot go on after its first tasks: {job.canary.problem}"
    for name in [job.name, *waited_for(job, backend)] if job.waiting else ():
        needed = _jobs([name], backend).get(name)
        if needed is None:
            return f"job {job.name} waits for job {name}, which does not exist any more"
        if why := _stuck_itself(needed, backend):
            return f"job {name} {why}"
        if standing([name], backend)[name] is Need.FAILED:
            fate = "was killed" if needed.state is JobState.KILLED else "has ended, but not all of its tasks succeeded"
            return f"job {job.name} waits for job {name}, which {fate}; run it again with 'sparkles retry {name}'"
    return None


def _stuck_itself(job: Job, backend: Backend) -> str | None:
    """Return why a job goes no further although nothing is wrong with what it needs."""
    if takeover.is_cut_off(job, now=time.time()) and not backend.state.is_open(job.name):
        return "is half applied: its last sub or apply was cut off; run that again to complete it"
    if job.waiting and job.waiting.tried and (why := problem(job, backend)):
        return f"cannot begin: {why}"
    return None


def fingerprint(names: Sequence[str], backend: Backend) -> str:
    """Return a text that changes when one of these jobs is applied, runs or ends again."""
    jobs = _jobs(names, backend)
    return " ".join(f"{name}:{job.generation}:{job.submitted}:{job.ended}" for name, job in sorted(jobs.items()))


def _jobs(names: Sequence[str], backend: Backend) -> dict[str, Job]:
    records = backend.state.read([Key.job(name) for name in names])
    return {job.name: job for job in records.values() if isinstance(job, Job)}


def _is_pinned(document: Mapping[str, Any], need: str) -> bool:
    """Say whether all that a manifest refers to of a job is fixed already, and it refers to something."""
    spec = document["spec"]
    table = spec.get("parameters", {})
    found = [(table.get("csv", ""), "sha256" in table)]
    for entry in spec.get("uploads", []):
        src = entry if isinstance(entry, str) else entry["src"]
        found.append((src, not isinstance(entry, str) and ("sha256" in entry or "files" in entry)))
    fixed = [is_fixed for src, is_fixed in found if (refers := reference(src)) and refers.job == need]
    return bool(fixed) and all(fixed)


def _refuse_circle(name: str, needs: Sequence[str], backend: Backend) -> None:
    """Refuse needs that wait, at some remove, for the job itself."""
    paths = [[name, need] for need in needs]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        if path[-1] == name:
            raise RequestError(f"spec.needs: these jobs need each other in a circle: {' → '.join(path)}")
        if path[-1] in seen:
            continue
        seen.add(path[-1])
        job = _jobs([path[-1]], backend).get(path[-1])
        if job and job.waiting and job.state is JobState.WAITING:
            paths += [[*path, need] for need in job.waiting.needs]
