"""Line-up: the jobs that a name stands for, those of a whole in the order of their needs. Looks; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import chain, permutations

from sparkles import names, parts, results
from sparkles.errors import SparklesError
from sparkles.model import Job, Key, Task
from sparkles.ports.backend import Backend


def jobs_of(pattern: str, there: Sequence[Job], backend: Backend) -> list[Job]:
    """Return the jobs that a name, LAST or a glob stands for; never empty."""
    found = names.matching(pattern, there)
    return in_order(found, backend) if len(found) > 1 and names.whole_of(found) else found


def one_or_whole(pattern: str, there: Sequence[Job], backend: Backend) -> list[Job]:
    """Return the one job that a name, LAST or a glob stands for, or all parts of the one whole."""
    found = jobs_of(pattern, there, backend)
    return found if names.whole_of(found) else [names.one(pattern, there)]


def target(text: str, there: Sequence[Job], backend: Backend) -> tuple[list[Job], int | None]:
    """Return the jobs that a text stands for; of a task, `JOB.N`, the one job, and the index."""
    name, index = names.split_task(text)
    return ([names.one(name, there)], index) if index else (one_or_whole(name, there, backend), None)


def tasks(jobs: Sequence[Job], backend: Backend) -> Iterator[Task]:
    """Yield the tasks of jobs, one job after the other."""
    return chain.from_iterable(backend.state.tasks(job.name) for job in jobs)


def current(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that a name stands for without parts that were left out, and so will not begin."""
    return [job for job in jobs if not job.is_left_out] or list(jobs)


def in_order(whole: Sequence[Job], backend: Backend) -> list[Job]:
    """Return the parts of a whole, each after those that it needs; last those of which that is not known yet."""
    by_name = {job.name: job for job in whole}
    found = _needs_of(whole, backend)
    known = [name for name, needs in found.items() if needs is not None]
    needs = {name: known if needs is None else needs for name, needs in found.items()}
    try:
        return [by_name[name] for name in TopologicalSorter(needs).static_order()]
    except CycleError:  # an apply that turned some needs round was cut off
        return list(whole)


def needs_of(whole: Sequence[Job], backend: Backend) -> Mapping[str, Sequence[str]]:
    """Return for each part of a whole which other parts it needs, as far as that is known."""
    return {name: needs or [] for name, needs in _needs_of(whole, backend).items()}


def side_by_side(names: Sequence[str], backend: Backend) -> set[str]:
    """Return those of some jobs that may run at the same time as another of them: neither needs the other."""
    if len(names) == 1:
        return set()
    found = backend.state.read([Key.job(name) for name in names])
    needs = needs_of([job for job in found.values() if isinstance(job, Job)], backend)
    before = {name: _all_needs(name, needs) for name in needs}
    return {one for one, other in permutations(needs, 2) if one not in before[other] and other not in before[one]}


def _all_needs(name: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    """Return what a job needs, and what that needs, and so on."""
    found: set[str] = set()
    todo = list(needs[name])
    while todo:
        if (need := todo.pop()) not in found:
            found.add(need)
            todo += needs[need]
    return found


def _needs_of(whole: Sequence[Job], backend: Backend) -> Mapping[str, Sequence[str] | None]:
    there = [job.name for job in whole]
    found = results.each(lambda job: _needs(job, backend), whole, backend)
    return {
        job.name: None if needs is None else [need for need in needs if need in there and need != job.name]
        for job, needs in zip(whole, found, strict=True)
    }


def _needs(job: Job, backend: Backend) -> Sequence[str] | None:
    """Return what a job needs, by what is quickest to ask; None if that is not known."""
    if job.whole and job.name == parts.job_name(parts.FOREACH, job.whole, parts.MIDDLE):
        return [parts.job_name(parts.FOREACH, job.whole, parts.GETARGS)]
    if job.waiting:
        return job.waiting.needs
    try:
        found: Sequence[str] = results.manifest(job, backend)["spec"].get("needs", [])
    except SparklesError:  # still being applied for the first time, or half deleted
        return None
    return found
