"""Uploads: each entry of a manifest's `uploads` becomes the files it stands for, by content. Reads; writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkles import placeholders
from sparkles.bucket_files import BucketFiles, pinned_objects, require_scheme
from sparkles.compile import default_dest
from sparkles.errors import RequestError
from sparkles.local_files import LocalFiles
from sparkles.needed_files import NeededFiles
from sparkles.placeholders import Template
from sparkles.references import reference
from sparkles.spec import in_bucket, object_content, upload_of
from sparkles.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where files come from."""

    local: LocalFiles
    needed: NeededFiles
    buckets: BucketFiles
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
            require_scheme(entry if isinstance(entry, str) else entry["src"], where)
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


def pinned(listed: Sequence[dict[str, Any]], sweep: Sweep | None, inputs: Inputs) -> list[dict[str, Any]]:
    """Return the entries with their content fixed. Without a `sweep` its rows are not known yet."""
    given = [_Entry(entry, f"spec.uploads[{number}]", _texts(entry, sweep)) for number, entry in enumerate(listed)]
    _look_into_buckets(given, inputs.buckets)
    return [file for entry in given for file in _pinned(entry, sweep, inputs)]


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of `uploads` that is to be pinned."""

    written: dict[str, Any]
    where: str
    #: What its src becomes, each text once; None if rows decide that which are not known yet.
    texts: Sequence[str] | None

    @property
    def src(self) -> str:
        src: str = self.written["src"]
        return src


def _fixed(entry: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """Return the files of an entry if their content is fixed already."""
    return [entry] if "sha256" in entry or "generation" in entry else entry.get("files")


def _texts(entry: Mapping[str, Any], sweep: Sweep | None) -> Sequence[str] | None:
    if _fixed(entry) is not None:
        return ()
    if sweep is None:
        return None if placeholders.names(entry["src"]) else (entry["src"],)
    return tuple(_sources(entry["src"], sweep))


def _look_into_buckets(given: Sequence[_Entry], buckets: BucketFiles) -> None:
    """Ask at once for all that the entries name of buckets."""
    texts = dict.fromkeys(text for entry in given for text in entry.texts or () if in_bucket(text))
    fixed = [file for entry in given for file in _fixed(entry.written) or () if "generation" in file]
    buckets.look(list(texts), [object_content(file["src"], file["generation"]) for file in fixed])


def _pinned(entry: _Entry, sweep: Sweep | None, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Yield an entry with its content fixed: as an entry a file, or with its files."""
    refers = inputs.needed.refer(entry.src, entry.where)
    fixed = _fixed(entry.written)
    if fixed is not None:
        for file in fixed:
            _require(file, entry.where, inputs)
        yield entry.written if "files" in entry.written else {"dest": default_dest(entry.src), **entry.written}
    elif (refers and inputs.waits) or (entry.texts is None and in_bucket(entry.src)):
        yield entry.written
    elif entry.texts is None:
        _refuse_unknown(entry, inputs)
    elif sweep and _template(entry.src, sweep).names:
        yield {**entry.written, "files": list(_pin_each(entry, inputs))}
    elif refers:
        yield _pin_results(entry, inputs.needed)
    elif in_bucket(entry.texts[0]):
        yield _pin_objects(entry, inputs.buckets)
    else:
        # A `{{name}}` in src is a file called `{name}`; without other placeholders it names one thing.
        yield from _pin_one(entry, inputs.local, known=sweep.columns if sweep else ())


def _require(file: Mapping[str, Any], where: str, inputs: Inputs) -> None:
    """See to it that content which is fixed already can be had."""
    if in_bucket(file["src"]):
        inputs.buckets.require(file, where)
    elif "generation" in file:
        inputs.local.problem(where, f"{file['src']!r} is not in a bucket, so it has no generation")
    else:
        inputs.local.require(file["sha256"], file["src"], where)


def _refuse_unknown(entry: _Entry, inputs: Inputs) -> None:
    """Refuse a src that rows decide which are not known yet: it has to be uploaded now."""
    folder = entry.src.partition("{")[0].rpartition("/")[0]
    way_out = f"upload the folder {folder!r} instead" if folder else "upload the files themselves"
    raise RequestError(
        f"{entry.where}: {entry.src!r} depends on {', '.join(sorted(placeholders.names(entry.src)))}, which is known "
        f"only after {', '.join(inputs.waits)}; {way_out}"
    )


def _pin_each(entry: _Entry, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Yield the files that any row's src stands for, once."""
    files = inputs.needed if reference(entry.src) else inputs.local
    urls = [text for text in entry.texts or () if in_bucket(text)]
    names = [text for text in entry.texts or () if not in_bucket(text)]
    for name in dict.fromkeys(name for text in names for name in files.below(text, entry.where)):
        yield {"src": name, **_pinned_file(name, entry.where, files)}
    objects = dict.fromkeys(file for url in urls for file in inputs.buckets.below(url, entry.where))
    yield from pinned_objects(objects, entry.written)


def _pin_results(entry: _Entry, needed: NeededFiles) -> dict[str, Any]:
    (src,) = entry.texts or ()
    files = [{"src": file, **_pinned_file(file, entry.where, needed)} for file in needed.below(src, entry.where)]
    return {**entry.written, "files": files}


def _pin_objects(entry: _Entry, buckets: BucketFiles) -> dict[str, Any]:
    """Return the entry with the object that it names, or else with all that is below it as its files."""
    (url,) = entry.texts or ()
    files = list(pinned_objects(buckets.below(url, entry.where), entry.written))
    placed = {"dest": default_dest(entry.src), **entry.written}
    # A name with braces stands in src as a text that placeholders are looked for in, but in files as it is.
    is_itself = [file["src"] for file in files] == [entry.src]
    return {**placed, **files[0]} if is_itself else {**placed, "files": files}


def _pin_one(entry: _Entry, files: LocalFiles, *, known: Collection[str]) -> Iterator[dict[str, Any]]:
    (src,) = entry.texts or ()
    dest = entry.written.get("dest", default_dest(entry.src))
    if not Path(src).is_absolute() and "dest" not in entry.written and ".." in Path(src).parts:
        files.problem(entry.where, f"{src!r} is outside {files.base}; say where it goes: {src}:{Path(src).name}")
        return
    for file in files.below(src, entry.where):
        suffix = placeholders.escaped(file[len(src.rstrip("/")) :], {*known, "index"})
        pinned = {"src": entry.src.rstrip("/") + suffix, "dest": dest.rstrip("/") + suffix}
        yield {**pinned, **_pinned_file(file, entry.where, files)}


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
