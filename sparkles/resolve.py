"""Resolve: a manifest becomes a pinned manifest, with nothing left to look up. Reads files; writes nothing."""

from __future__ import annotations

import copy
import csv
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sparkles import manifest as manifests
from sparkles import patterns, uploads
from sparkles import sweep as sweeps
from sparkles.bucket_files import BucketFiles
from sparkles.compile import Definition
from sparkles.errors import BackendError, RequestError, SparklesError
from sparkles.local_files import LocalFiles
from sparkles.machine import architecture_of
from sparkles.manifest import Manifest
from sparkles.needed_files import NeededFiles, ResultFile
from sparkles.placeholders import UnknownParameterError
from sparkles.ports.backend import Backend
from sparkles.spec import JobSpec, size_of, spec_of
from sparkles.sweep import Sweep
from sparkles.uploads import Inputs

#: No image has to stay what it was.
NO_IMAGES: Mapping[str, str] = MappingProxyType({})

#: Bytes that the docker engine insists on, and more than it can count.
_LEAST_MEMORY, _TOO_MUCH_MEMORY = 6 << 20, 1 << 63

#: CSV files that an unknown parameter is looked for in, at most.
_HINT_FILES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A job whose inputs are fixed."""

    #: The pinned document, defaults filled in, without `status`.
    document: dict[str, Any]
    #: The folder that its relative paths start from.
    base: Path
    #: Its `spec`, typed.
    spec: JobSpec
    #: Without rows while the job waits.
    sweep: Sweep
    #: sha256 → the local file with that content, for what may have to be uploaded.
    sources: Mapping[str, Path]
    #: sha256 → the result of another job with that content.
    outputs: Mapping[str, ResultFile]
    #: sha256 of everything that the tasks need from the store.
    digests: frozenset[str]
    #: How many local files the manifest names.
    files: int
    #: The jobs that must succeed before the rest can be fixed.
    waits: Sequence[str] = ()
    #: The image's name as it was written; None without one.
    image: str | None = None
    warnings: Sequence[str] = ()

    def definition(self) -> Definition:
        """Return what turns the rows into tasks."""
        return Definition(self.spec, columns=self.sweep.columns, seq=self.sweep.seq)


def pin(
    manifest: Manifest, backend: Backend, *, waits: Sequence[str] = (), images: Mapping[str, str] = NO_IMAGES
) -> Pinned:
    """Look up everything that the manifest refers to, but for the results of jobs that it `waits` for.

    `images` (name → pinned) are those that stay what they are, whatever their names mean by now.

    Raises ProblemsError for missing or unreadable files, all at once, naming the folder that paths start from.
    """
    document = copy.deepcopy(manifests.with_defaults(manifest.document))
    document.pop("status", None)
    spec = document["spec"]
    files = LocalFiles(manifest.base, backend)
    inputs = _inputs(spec, files, backend, waits=waits)
    sweep = _sweep(spec, inputs)
    listed = list(uploads.entries(spec.get("uploads", []), files))
    spec["uploads"] = listed
    names = _check_placeholders(document, sweep, files).names if sweep else frozenset[str]()
    spec["uploads"] = uploads.pinned(listed, sweep, inputs)
    inputs.buckets.require_buckets([mount["bucket"] for mount in spec.get("resources", {}).get("mounts", [])])
    _check_patterns(spec["outputs"], files)
    files.raise_problems()
    if not listed:
        del spec["uploads"]
    image = _image(spec, backend, images)
    sweep = sweep if sweep and not waits else sweeps.unknown()
    return Pinned(
        document=document,
        base=manifest.base,
        spec=spec_of(document),
        sweep=sweep,
        sources=files.sources,
        outputs=inputs.needed.found,
        digests=frozenset({*files.digests, *inputs.needed.found}),
        files=len(files.named),
        waits=waits,
        image=image.name,
        warnings=[
            *sweep.notes,
            *files.warnings,
            *_unused_files(spec, manifest.base),
            *_unused_parameters(names, sweep),
            *_stray_references(spec),
            *_mounts_at_home(spec, backend),
            *image.warnings,
        ],
    )


def check(manifest: Manifest, backend: Backend) -> None:
    """Find out whether the manifest's parameters and placeholders go together, without looking at its uploads."""
    document = copy.deepcopy(manifests.with_defaults(manifest.document))
    files = LocalFiles(manifest.base, backend)
    sweep = _sweep(document["spec"], _inputs(document["spec"], files, backend, waits=document["spec"]["needs"]))
    document["spec"]["uploads"] = list(uploads.entries(document["spec"].get("uploads", []), files))
    if sweep:
        _check_placeholders(document, sweep, files)


def _inputs(spec: Mapping[str, Any], files: LocalFiles, backend: Backend, *, waits: Sequence[str]) -> Inputs:
    needed = NeededFiles(spec["needs"], backend, files.problem)
    return Inputs(local=files, needed=needed, buckets=BucketFiles(backend, files.problem), waits=waits)


def _sweep(spec: dict[str, Any], inputs: Inputs) -> Sweep | None:
    """Return the rows; None if a job that is waited for has yet to make them."""
    files, needed = inputs.local, inputs.needed
    match spec.get("parameters"):
        case None:
            return sweeps.single()
        case {"seq": count}:
            return sweeps.from_seq(count)
        case {"rows": rows}:
            return sweeps.from_rows(rows)
        case {"matrix": matrix}:
            return sweeps.from_matrix(matrix)
        case {"csv": name, "sha256": digest} as pinned:
            needed.refer(name, "spec.parameters.csv")
            files.require(digest, name, "spec.parameters.csv")
            files.raise_problems()
            sweep = sweeps.from_csv(files.blob(digest), name)
        case {"csv": name} as pinned if needed.refer(name, "spec.parameters.csv"):
            if inputs.waits:
                return None
            content, pinned["sha256"] = needed.one(name, "spec.parameters.csv")
            files.raise_problems()
            sweep = sweeps.from_csv(content, name)
        case {"csv": name} as pinned:
            sweep = sweeps.from_csv(files.read(name, "spec.parameters.csv"), name)
            pinned["sha256"], _ = files.pinned(name, "spec.parameters.csv")
        case other:
            raise AssertionError(f"the schema let {other!r} pass")
    pinned["count"] = len(sweep)
    return sweep


def _check_patterns(chosen: Mapping[str, Sequence[str]], files: LocalFiles) -> None:
    for list_name in ("include", "exclude", "always"):
        for position, pattern in enumerate(chosen.get(list_name, ())):
            if why := patterns.flaw(pattern):
                files.problem(f"spec.outputs.{list_name}[{position}]", f"{pattern!r} is not a pattern: {why}")


def _check_placeholders(document: Mapping[str, Any], sweep: Sweep, files: LocalFiles) -> Definition:
    """Find bad placeholders before any file is looked at; say which CSV has such a column."""
    try:
        return Definition(spec_of(document), columns=sweep.columns, seq=sweep.seq)
    except UnknownParameterError as error:
        raise RequestError(f"{error}{_parameter_hint(error.name, document, sweep, files.base)}") from None


def _parameter_hint(name: str, document: Mapping[str, Any], sweep: Sweep, base: Path) -> str:
    """Say where a parameter may be that was not found."""
    table = document["spec"].get("parameters", {}).get("csv")
    if table is None:
        having = [path.name for path in _tables(base) if name in _header(path)]
        return f"; {having[0]} has such a column: use it with --params {having[0]}" if having else ""
    if len(sweep.columns) == 1 and (found := [sign for sign in ";\t" if sign in sweep.columns[0]]):
        sign = "tabs" if found == ["\t"] else "';'"
        return f"; the columns of {table} seem to be separated by {sign}: save it with commas, or as .tsv with tabs"
    return ""


def _tables(base: Path) -> list[Path]:
    return sorted(path for path in base.glob("*.[ct]sv") if path.is_file())[:_HINT_FILES]


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            line = file.readline(65536)
    except OSError:
        return []
    delimiter = "\t" if path.suffix == ".tsv" else ","
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]


@dataclass(frozen=True, slots=True)
class _Image:
    """What became of the image's name."""

    name: str | None = None
    warnings: Sequence[str] = ()


def architecture(spec: Mapping[str, Any]) -> str:
    """Return the kind of processor that nodes have which are made for a job, as docker calls it."""
    return architecture_of(spec.get("resources", {}).get("machineType"))


def _image(spec: dict[str, Any], backend: Backend, known: Mapping[str, str]) -> _Image:
    """Pin the image."""
    name = spec.get("image")
    memory = spec.get("resources", {}).get("memory")
    if name is None:
        if backend.host is None:
            raise RequestError("spec.image: missing; on this backend every task runs in an image: add -i IMAGE")
        unheld = "spec.resources.memory: without an image, nothing keeps a task from using more"
        return _Image(warnings=[unheld] if memory else [])
    if memory and size_of(memory) < _LEAST_MEMORY:
        raise RequestError(f"spec.resources.memory: {memory} is too little for any command; the least is 6M")
    if memory and size_of(memory) >= _TOO_MUCH_MEMORY:
        raise RequestError(f"spec.resources.memory: {memory} is more than any machine has")
    if backend.images is None:
        raise BackendError(f"image {name!r}: the backend {backend.name} runs no images")
    try:
        now = backend.images.pin(name, architecture=architecture(spec))
    except SparklesError:  # what stays as it is need not be found again
        if name not in known:
            raise
        now = known[name]
    spec["image"] = known.get(name, now)
    if spec["image"] == now:
        return _Image(name)
    moved = f"image {name} is another one by now; this job keeps the one that it has: --refresh-image takes the new one"
    return _Image(name, [moved])


def _unused_parameters(names: frozenset[str], sweep: Sweep) -> Iterator[str]:
    """Warn of a sweep whose tasks are all the same, given the parameters that they depend on."""
    if len(sweep) > 1 and sweep.columns and names.isdisjoint([*sweep.columns, "index"]):
        example = f"{{{sweep.columns[0]}}}"
        yield f"all {len(sweep)} tasks are the same: none uses a parameter; write {example} where its value belongs"


def _stray_references(spec: Mapping[str, Any]) -> Iterator[str]:
    """Warn of references where they stay text."""
    command = spec["command"]
    words = [command] if isinstance(command, str) else command
    for text in (*words, *spec.get("env", {}).values()):
        if "{results." in text:
            yield f"{text!r}: {{results.JOB}} is only filled in in uploads and in parameters.csv; here it stays text"


def _mounts_at_home(spec: Mapping[str, Any], backend: Backend) -> Iterator[str]:
    """Warn of folders of buckets where nothing shows them: where tasks may run without an image, nodes are no VMs."""
    if backend.host is not None:
        for mount in spec.get("resources", {}).get("mounts", []):
            yield (
                f"gs://{mount['bucket']} is a folder on VMs only; here tasks find at {mount['path']} what this "
                "machine, or their image, has there"
            )


def _unused_files(spec: Mapping[str, Any], base: Path) -> Iterator[str]:
    """Warn of words that name a local file which no task will have."""
    command = spec["command"]
    words = command.split() if isinstance(command, str) else command
    uploaded = {
        posixpath.normpath(name)
        for entry in spec.get("uploads", [])
        for name in (entry["src"], entry.get("dest", ""), *(file["src"] for file in entry.get("files", [])))
    }
    for word in dict.fromkeys(words):
        name = posixpath.normpath(word)
        if word and not Path(word).is_absolute() and name not in uploaded and _is_file(base / name):
            yield f"{word!r} is a file here but is not uploaded; if the task needs it, add -u {name}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a word too long for a name, or with a NUL
        return False
