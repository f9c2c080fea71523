"""Uploads: each entry of a manifest's `uploads` becomes the files it stands for, by content. Reads; writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkles import placeholders
from sparkles.compile import default_dest
from sparkles.errors import BackendError, RequestError
from sparkles.local_files import LocalFiles
from sparkles.needed_files import NeededFiles
from sparkles.placeholders import Template
from sparkles.references import reference
from sparkles.spec import upload_of
from sparkles.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where files come from."""

    local: LocalFiles
    needed: NeededFiles
    #: The jobs whose results are not there yet: what refers to results is left for later.
    waits: Sequence[str] = ()


def entries(uploads: Sequence[Any], files: LocalFiles, within: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Yield `uploads` as mappings, with the @lists read."""
    for position, entry in enumerate(uploads):
        where = f"spec.uploads[{position}]" if not within else within[-1]
        if isinstance(entry, str) and entry.startswith("@"):
            name = entry[1:]
            if name in within:
                raise RequestError(f"{where}: the lists {' → '.join([*within, name])} name each other in a circle")
            yield from entries(_lines(files.read(name, where), name), files, (*within, name))
        else:
            upload = upload_of(entry)
            written = {} if isinstance(entry, str) else entry
            dest = default_dest(upload.src) if upload.dest is None and reference(upload.src) else upload.dest
            yield {**written, "src": upload.src, **({} if dest is None else {"dest": dest})}


def _lines(content: bytes, name: str) -> list[str]:
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise RequestError(f"{name}: byte {error.start} is not UTF-8 text") from None
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]


def pinned(entry: dict[str, Any], position: int, sweep: Sweep | None, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Yield an entry with its content fixed, as an entry a file. Without a `sweep` its rows are not known yet."""
    where = f"spec.uploads[{position}]"
    files = inputs.local
    refers = inputs.needed.refer(entry["src"], where)
    if entry["src"].startswith("gs://"):
        raise BackendError(f"{where}: {entry['src']}: files of a bucket need the gcp backend, which is not built yet")
    if "sha256" in entry:
        files.require(entry["sha256"], entry["src"], where)
        yield {"src": entry["src"], "dest": default_dest(entry["src"]), **entry}
    elif "files" in entry:
        for file in entry["files"]:
            files.require(file["sha256"], file["src"], where)
        yield entry
    elif refers and inputs.waits:
        yield entry
    elif sweep is None:
        _require_fixed(entry["src"], where, inputs)
        yield from _pin_one(entry, entry["src"], where, files, known=())
    elif _template(entry["src"], sweep).names:
        yield {**entry, "files": list(_pin_each(entry["src"], where, sweep, inputs))}
    elif refers:
        yield _pin_results(entry, next(_sources(entry["src"], sweep)), where, inputs.needed)
    else:
        # A `{{name}}` in src is a file called `{name}`; without other placeholders it names one thing.
        yield from _pin_one(entry, next(_sources(entry["src"], sweep)), where, files, known=sweep.columns)


def _require_fixed(src: str, where: str, inputs: Inputs) -> None:
    """Refuse a src that rows decide which are not known yet: it has to be uploaded now."""
    if names := placeholders.names(src):
        folder = src.partition("{")[0].rpartition("/")[0]
        way_out = f"upload the folder {folder!r} instead" if folder else "upload the files themselves"
        raise RequestError(
            f"{where}: {src!r} depends on {', '.join(sorted(names))}, which is known only after "
            f"{', '.join(inputs.waits)}; {way_out}"
        )


def _pin_each(src: str, where: str, sweep: Sweep, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Yield the files that any row's src stands for, once."""
    files = inputs.needed if reference(src) else inputs.local
    found = [file for rendered in _sources(src, sweep) for file in files.below(rendered, where)]
    for file in dict.fromkeys(found):
        yield {"src": file, **_pinned_file(file, where, files)}


def _pin_results(entry: Mapping[str, Any], src: str, where: str, needed: NeededFiles) -> dict[str, Any]:
    files = [{"src": file, **_pinned_file(file, where, needed)} for file in needed.below(src, where)]
    return {**entry, "files": files}


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


def _pinned_file(name: str, where: str, files: LocalFiles | NeededFiles) -> dict[str, Any]:
    digest, executable = files.pinned(name, where)
    return {"sha256": digest, "executable": executable}


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
