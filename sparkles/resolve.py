"""Resolve: a manifest becomes a pinned manifest, with nothing left to look up. Reads files; writes nothing."""

from __future__ import annotations

import copy
import csv
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkles import manifest as manifests
from sparkles import patterns, placeholders
from sparkles import sweep as sweeps
from sparkles.compile import Definition, default_dest
from sparkles.errors import BackendError, RequestError
from sparkles.local_files import LocalFiles
from sparkles.manifest import Manifest
from sparkles.placeholders import Template, UnknownParameterError
from sparkles.ports import Backend
from sparkles.spec import JobSpec, spec_of, upload_of
from sparkles.sweep import Sweep

#: CSV files that an unknown parameter is looked for in, at most.
_HINT_FILES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A job whose inputs are fixed."""

    #: The pinned document, defaults filled in, without `status`.
    document: dict[str, Any]
    #: Its `spec`, typed.
    spec: JobSpec
    sweep: Sweep
    #: sha256 → the local file with that content, for what may have to be uploaded.
    sources: Mapping[str, Path]
    #: sha256 of everything that the tasks need from the store.
    digests: frozenset[str]
    #: How many local files the manifest names.
    files: int
    warnings: Sequence[str] = field(default=())

    def definition(self) -> Definition:
        """Return what turns the rows into tasks."""
        return Definition(self.spec, columns=self.sweep.columns, seq=self.sweep.seq)


def pin(manifest: Manifest, backend: Backend) -> Pinned:
    """Look up everything that the manifest refers to.

    Raises ProblemsError for missing or unreadable files, all at once, naming the folder that paths start from.
    """
    document = copy.deepcopy(manifests.with_defaults(manifest.document))
    document.pop("status", None)
    files = LocalFiles(manifest.base, backend)
    sweep = _sweep(document["spec"], files)
    entries = list(_entries(document["spec"].get("uploads", []), files))
    document["spec"]["uploads"] = entries
    names = _check_placeholders(document, sweep, files).names
    document["spec"]["uploads"] = [
        pinned for position, entry in enumerate(entries) for pinned in _pin(entry, position, sweep, files)
    ]
    _check_patterns(document["spec"]["outputs"], files)
    files.raise_problems()
    if not entries:
        del document["spec"]["uploads"]
    _check_image(document["spec"].get("image"), backend)
    if document["spec"]["needs"]:
        raise BackendError(
            "spec.needs: jobs that wait for other jobs are not built yet; apply them one after the other"
        )
    return Pinned(
        document=document,
        spec=spec_of(document),
        sweep=sweep,
        sources=files.sources,
        digests=frozenset(files.digests),
        files=len(files.named),
        warnings=[
            *sweep.notes,
            *files.warnings,
            *_unused_files(document["spec"], manifest.base),
            *_unused_parameters(names, sweep),
        ],
    )


def check(manifest: Manifest, backend: Backend) -> None:
    """Find out whether the manifest's parameters and placeholders go together, without looking at its uploads."""
    document = copy.deepcopy(manifests.with_defaults(manifest.document))
    files = LocalFiles(manifest.base, backend)
    sweep = _sweep(document["spec"], files)
    document["spec"]["uploads"] = list(_entries(document["spec"].get("uploads", []), files))
    _check_placeholders(document, sweep, files)


def _sweep(spec: dict[str, Any], files: LocalFiles) -> Sweep:
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
            files.require(digest, name, "spec.parameters.csv")
            files.raise_problems()
            sweep = sweeps.from_csv(files.blob(digest), name)
        case {"csv": name} as pinned:
            sweep = sweeps.from_csv(files.read(name, "spec.parameters.csv"), name)
            pinned["sha256"] = files.sha256(name, "spec.parameters.csv")
        case other:
            raise AssertionError(f"the schema let {other!r} pass")
    pinned["count"] = len(sweep)
    return sweep


def _check_patterns(chosen: Mapping[str, Sequence[str]], files: LocalFiles) -> None:
    for list_name in ("include", "exclude"):
        for position, pattern in enumerate(chosen[list_name]):
            if why := patterns.flaw(pattern):
                files.problem(f"spec.outputs.{list_name}[{position}]", f"{pattern!r} is not a pattern: {why}")


def _entries(uploads: Sequence[Any], files: LocalFiles, within: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Yield `uploads` as mappings, with the @lists read."""
    for position, entry in enumerate(uploads):
        where = f"spec.uploads[{position}]" if not within else within[-1]
        if isinstance(entry, str) and entry.startswith("@"):
            name = entry[1:]
            if name in within:
                raise RequestError(f"{where}: the lists {' → '.join([*within, name])} name each other in a circle")
            yield from _entries(_lines(files.read(name, where), name), files, (*within, name))
        else:
            upload = upload_of(entry)
            written = {} if isinstance(entry, str) else entry
            yield {**written, "src": upload.src, **({} if upload.dest is None else {"dest": upload.dest})}


def _lines(content: bytes, name: str) -> list[str]:
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise RequestError(f"{name}: byte {error.start} is not UTF-8 text") from None
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]


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


def _pin(entry: dict[str, Any], position: int, sweep: Sweep, files: LocalFiles) -> Iterator[dict[str, Any]]:
    where = f"spec.uploads[{position}]"
    if entry["src"].startswith("gs://"):
        raise BackendError(f"{where}: {entry['src']}: files of a bucket need the gcp backend, which is not built yet")
    if "sha256" in entry:
        files.require(entry["sha256"], next(_sources(entry["src"], sweep)), where)
        yield {"dest": default_dest(entry["src"]), **entry}
    elif "files" in entry:
        for file in entry["files"]:
            files.require(file["sha256"], file["src"], where)
        yield entry
    elif _varies(entry["src"], sweep):
        found = [file for src in _sources(entry["src"], sweep) for file in files.below(src, where)]
        pinned = {file: _pinned_file(file, where, files) for file in found}
        yield {**entry, "files": [{"src": file, **content} for file, content in pinned.items()]}
    else:
        # A `{{name}}` in src is a file called `{name}`; without other placeholders it names one thing.
        yield from _pin_one(entry, next(_sources(entry["src"], sweep)), where, files, known=sweep.columns)


def _pin_one(
    entry: Mapping[str, Any], src: str, where: str, files: LocalFiles, *, known: Collection[str]
) -> Iterator[dict[str, Any]]:
    dest = entry.get("dest", default_dest(entry["src"]))
    if not Path(src).is_absolute() and "dest" not in entry and ".." in Path(src).parts:
        files.problem(where, f"{src!r} is outside {files.base}; say where it goes: {src}:{Path(src).name}")
        return
    for file in files.below(src, where):
        suffix = placeholders.escaped(file[len(src.rstrip("/")) :], {*known, "index"})
        pinned = {"src": entry["src"].rstrip("/") + suffix, "dest": dest.rstrip("/") + suffix}
        yield {**pinned, **_pinned_file(file, where, files)}


def _pinned_file(name: str, where: str, files: LocalFiles) -> dict[str, Any]:
    digest = files.sha256(name, where)
    if digest is None:
        return {"sha256": "0" * 64, "executable": False}  # never seen: a problem has been noted
    return {"sha256": digest, "executable": bool((files.base / name).stat().st_mode & 0o100)}


def _varies(src: str, sweep: Sweep) -> bool:
    return bool(_template(src, sweep).names)


def _sources(src: str, sweep: Sweep) -> Iterator[str]:
    """Yield each text that `src` becomes, once."""
    template = _template(src, sweep)
    if "index" in template.names and not sweep.seq:
        raise RequestError(
            f"spec.uploads: {src!r}: a row keeps its index while rows come and go, so no file is chosen by "
            "{index}; name the file by a parameter, or use seq"
        )
    seen: set[str] = set()
    for number, values in enumerate(sweep, start=1):
        row = dict(zip(sweep.columns, values, strict=True))
        rendered = template.render({**row, "index": str(number)})
        if rendered not in seen:
            seen.add(rendered)
            yield rendered
        if not template.names:
            return


def _template(src: str, sweep: Sweep) -> Template:
    return placeholders.parse(src, {*sweep.columns, "index"}, "spec.uploads")


def _check_image(image: str | None, backend: Backend) -> None:
    if image is None and backend.host is None:
        raise RequestError("spec.image: missing; on this backend every task runs in an image: add -i IMAGE")
    if image is not None and backend.containers is None:
        raise BackendError(
            f"image {image!r}: running images on this machine is not built yet; "
            "leave the image out to run the command on this machine itself"
        )


def _unused_parameters(names: frozenset[str], sweep: Sweep) -> Iterator[str]:
    """Warn of a sweep whose tasks are all the same, given the parameters that they depend on."""
    if len(sweep) > 1 and sweep.columns and names.isdisjoint([*sweep.columns, "index"]):
        example = f"{{{sweep.columns[0]}}}"
        yield f"all {len(sweep)} tasks are the same: none uses a parameter; write {example} where its value belongs"


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
