"""Documents: texts of manifests in, jobs that are prepared for an apply out, all of them before anything changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sparkles import manifest as manifests
from sparkles import wholes
from sparkles.cli.context import hint
from sparkles.cli.sources import Source
from sparkles.cli.submission import warn
from sparkles.errors import RequestError, SparklesError
from sparkles.manifest import Manifest
from sparkles.model import Job, JobState
from sparkles.parts import part_names
from sparkles.plan import Rerun
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared, prepare


def documents_of(sources: Sequence[Source]) -> list[Manifest]:
    """Return the manifests of all texts, all of them validated before anything is done with one."""
    found: list[Manifest] = []
    for source in sources:
        found += manifests.read(source.text, source=source.name, base=source.base)
    if not found:
        raise RequestError(f"{', '.join(source.name for source in sources)}: there is no document in it")
    seen: dict[str, str] = {}
    for manifest in found:
        for name in dict.fromkeys([manifest.name, *part_names(manifest.document)]):
            if name in seen:
                raise RequestError(f"job {name} is described twice: in {seen[name]} and {manifest.source}")
            seen[name] = manifest.source
    return found


def prepare_all(
    documents: Sequence[Manifest], backend: Backend, rerun: Rerun, *, refresh_image: bool
) -> list[Prepared]:
    """Prepare all jobs that documents describe, each after those that it needs."""
    return prepare_each(_in_order(expanded(documents, backend)), backend, rerun, refresh_image=refresh_image)


def prepare_each(jobs: Sequence[Manifest], backend: Backend, rerun: Rerun, *, refresh_image: bool) -> list[Prepared]:
    """Prepare jobs whose order is that of their needs."""
    prepared: list[Prepared] = []
    changing: set[str] = set()
    for manifest in jobs:
        one = _prepare(manifest, backend, rerun=rerun, changing=changing, refresh_image=refresh_image)
        prepared.append(one)
        if one.plan.touches_tasks or one.plan.waits:
            changing.add(one.name)
    warn(*prepared)
    return prepared


def expanded(documents: Sequence[Manifest], backend: Backend) -> list[Manifest]:
    """Return a manifest for each job that documents describe. Raises RequestError for a name that is taken."""
    there = backend.state.jobs()
    others = {*(job.name for job in there), *(name for one in documents for name in part_names(one.document))}
    jobs = [job for document in documents for job in wholes.expand(document, others=others)]
    wholes.require_names(jobs, there)
    return jobs


def left_out(documents: Sequence[Manifest], prepared: Sequence[Prepared], backend: Backend) -> list[Job]:
    """Name the jobs that are no parts any more of what documents describe; return those whose wait is to end."""
    if not any(one.whole for one in prepared):
        return []
    needed = {need for one in prepared for need in one.needs}
    there, ending = backend.state.jobs(), []
    for document in documents:
        for job in wholes.left_out(document, there):
            ends = job.state is JobState.WAITING and job.name not in needed
            ending += [job] if ends else []
            hint(
                f"hint: job {job.name} is no part of {document.name} any more, and "
                f"{'will not begin' if ends else 'stays as it is'}; remove it with 'sparkles delete {job.name}'"
            )
    return ending


def _in_order(documents: Sequence[Manifest]) -> list[Manifest]:
    """Return the documents as they were given, but each after those that it needs."""
    by_name = {manifest.name: manifest for manifest in documents}
    sorter = TopologicalSorter({name: [need for need in one.needs if need in by_name] for name, one in by_name.items()})
    try:
        return [by_name[name] for name in sorter.static_order()]
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise RequestError(f"spec.needs: these jobs need each other in a circle: {circle}") from None


def _prepare(manifest: Manifest, backend: Backend, **how: Any) -> Prepared:
    """Prepare one of several; whatever is wrong with it is said with its file, and as its file calls it."""
    try:
        return prepare(manifest, backend, **how)
    except SparklesError as error:
        lines = (_as_written(line, manifest.places) for line in str(error).splitlines())
        error.args = ("\n".join(f"{manifest.source}: {line}" for line in lines),)
        raise


def _as_written(line: str, places: Mapping[str, str]) -> str:
    """Return a line about a field with what the field is called where it was written.

    >>> _as_written("spec.uploads[1]: no file", {"spec.uploads[1]": "spec.script", "spec": "spec.steps[0]"})
    'spec.script: no file'
    """
    place = next((place for place in places if line.startswith((f"{place}.", f"{place}:"))), "")
    return places[place] + line.removeprefix(place) if place else line
