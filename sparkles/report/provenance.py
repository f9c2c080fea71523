"""Provenance: what a result comes from: code, image, files, machines, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sparkles.report.subject import Subject

Document = Mapping[str, Any]

#: Files that are named; the manifest has all of them.
_FILES = 200


class File(NamedTuple):
    """A file that tasks were given."""

    src: str
    dest: str
    #: Its sha256, or the generation of an object in a bucket.
    content: str


def facts(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield label and value of all that is known but for the files."""
    document = subject.document or {"metadata": {}, "spec": {}}
    metadata, spec = document["metadata"], document["spec"]
    if git := metadata.get("git"):
        yield "git commit", f"{git['commit']}{_DIRTY[git.get('dirty')]}"
    if image := spec.get("image"):
        yield "image", image
        if written := document.get("status", {}).get("image"):
            yield "image as written", written
    if machine := spec.get("resources", {}).get("machineType"):
        yield "machine type", machine
    yield "owner", subject.job.owner
    yield "generation", str(subject.job.generation)
    yield from subject.origin.items()


_DIRTY = {True: ", with changes that were not committed", False: ", without changes", None: ""}


def files(subject: Subject) -> tuple[Sequence[File], int]:
    """Return files that tasks were given, and how many more there are."""
    found = list(_files(subject.document)) if subject.document else []
    return found[:_FILES], max(0, len(found) - _FILES)


def _files(document: Document) -> Iterator[File]:
    spec = document["spec"]
    for entry in spec.get("uploads", []):
        for file in entry.get("files", [entry]):
            yield File(file["src"], entry.get("dest", ""), file.get("sha256") or _generation(file))
    if "sha256" in (parameters := spec.get("parameters", {})):
        yield File(parameters["csv"], "(parameters)", parameters["sha256"])


def _generation(file: Mapping[str, Any]) -> str:
    return f"generation {file['generation']}" if "generation" in file else "not known yet"
