"""Compile: a pinned spec and its rows become desired tasks, as columns.

A task's digest is the sha256 of the canonical JSON of all that decides what it computes: its substituted
command, env, uploads (dest, content, mode), image and working directory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

from sparkles import canonical, placeholders, shell_line
from sparkles.digests import Part, digester
from sparkles.errors import BackendError, RequestError
from sparkles.folders import Folders
from sparkles.paths import is_inside
from sparkles.placeholders import Template
from sparkles.references import Reference, reference
from sparkles.spec import JobSpec, PinnedFile, Upload
from sparkles.sweep import Sweep

DIGEST_SIZE = 32

#: Stands for `{index}` in a digest. No text can hold it, so it is never taken for the words "{index}".
_INDEX = "\0index"

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file to stage before the command runs."""

    #: Relative to the work directory.
    dest: str
    #: As in PinnedFile.
    content: str
    executable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """What one task runs, with nothing left to substitute."""

    argv: Sequence[str]
    env: Mapping[str, str]
    inputs: Sequence[Input]
    image: str | None
    #: Relative to the work directory.
    working_dir: str


class Definition:
    """A pinned spec, parsed: turns each row into its digest or its definition.

    Raises RequestError for a placeholder that no row has, and for one where it cannot stand.
    """

    def __init__(self, spec: JobSpec, *, columns: Collection[str], seq: bool) -> None:
        known = {*columns, "index"}
        self._spec = spec
        self._seq = seq
        self._line: Template | None = None
        self._words: Sequence[Template] = ()
        if isinstance(spec.command, str):
            self._line = shell_line.parse(spec.command, known, "spec.command")
        else:
            self._words = [
                placeholders.parse(word, known, f"spec.command[{position}]")
                for position, word in enumerate(spec.command)
            ]
            if self._words[0] == Template(("",)):
                raise RequestError("spec.command[0]: the name of the program is empty")
        self._env = {
            name: placeholders.parse(value, known, f"spec.env.{name}") for name, value in sorted(spec.env.items())
        }
        self._uploads = [
            _UploadTemplate(upload, known, f"spec.uploads[{position}]") for position, upload in enumerate(spec.uploads)
        ]
        if not is_inside(spec.working_dir, itself=True):
            raise RequestError(f"spec.workingDir: {spec.working_dir!r} leaves the work directory")

    @property
    def names(self) -> frozenset[str]:
        """The parameters that the tasks depend on."""
        templates = [*self._words, *self._env.values(), *([self._line] if self._line else [])]
        templates += [template for upload in self._uploads for template in (upload.src, upload.dest)]
        return frozenset[str]().union(*(template.names for template in templates))

    def define(self, row: Row, index: int) -> TaskDefinition:
        """Return what task `index` runs with the parameters of `row`."""
        full = {**row, "index": str(index)}
        argv = ["/bin/sh", "-c", self._line.render(full)] if self._line else [w.render(full) for w in self._words]
        env = {name: template.render(full) for name, template in self._env.items()}
        if self._seq:
            env["SPARKLES_TASK_INDEX"] = str(index)
        return TaskDefinition(
            argv=argv,
            env=env,
            inputs=self._inputs(full),
            image=self._spec.image,
            working_dir=self._spec.working_dir,
        )

    def _inputs(self, row: Row) -> list[Input]:
        inputs: dict[str, Input] = {}
        for upload in self._uploads:
            for entry in upload.inputs(row):
                other = inputs.setdefault(entry.dest, entry)
                if other != entry:
                    raise RequestError(f"{upload.where}: two different files would be put at {entry.dest!r}")
        for folder in _folders(inputs):
            if folder in inputs:
                raise RequestError(f"spec.uploads: {folder!r} is a file and a folder at once; give one of them a dest")
        return list(inputs.values())

    def digest(self, row: Row, index: int) -> bytes:
        """Return the digest of task `index` with the parameters of `row`."""
        full = {**row, "index": str(index) if self._seq else _INDEX}
        return self._digest_of_used([full[name] for name in self._used])

    def digests(self, sweep: Sweep) -> bytes:
        """Return the digests of all rows, 32 bytes each, in the order of the sweep."""
        digest = digester(self._canonical(), (*sweep.columns, "index"))
        digests = BytesIO()
        for number, values in enumerate(sweep, start=1):
            digests.write(digest((*values, str(number) if self._seq else _INDEX)))
        return digests.getvalue()

    @cached_property
    def _used(self) -> Sequence[str]:
        return sorted({*self.names, "index"})

    @cached_property
    def _digest_of_used(self) -> Callable[[Sequence[str]], bytes]:
        return digester(self._canonical(), self._used)

    def _canonical(self) -> list[Part]:
        """Return the canonical JSON of a task in parts."""
        parts: list[Part] = ['{"command":']
        parts += [self._line] if self._line else ["[", *_joined([[word] for word in self._words]), "]"]
        env: list[list[Part]] = [[f"{canonical.text(name)}:", value] for name, value in self._env.items()]
        parts += [',"env":{', *_joined(env), f'}},"image":{canonical.text(self._spec.image)}']
        if self._seq:
            parts += [',"index":', Template(("", ""), ("index",))]
        vary = any(upload.depends_on_row for upload in self._uploads)
        parts += [',"uploads":', self._json_of_inputs if vary else self._json_of_inputs({})]
        return [*parts, f',"workingDir":{canonical.text(self._spec.working_dir)}}}']

    def _json_of_inputs(self, row: Row) -> str:
        inputs = [(entry.dest, entry.content, entry.executable) for entry in self._inputs(row)]
        return canonical.text(sorted(inputs))


class _UploadTemplate:
    """One pinned entry of `uploads`, parsed."""

    def __init__(self, upload: Upload, known: Collection[str], where: str) -> None:
        self.where = where
        self._upload = upload
        self.src = placeholders.parse(upload.src, known, where)
        dest = upload.dest if upload.dest is not None else default_dest(upload.src)
        self.dest = placeholders.parse(dest, known, where)

    @property
    def depends_on_row(self) -> bool:
        return bool(self.src.names or self.dest.names)

    def inputs(self, row: Row) -> Iterator[Input]:
        """Yield the files that this entry brings to the task with these parameters."""
        src = self.src.render(row)
        # The row decides the name only where the manifest did not: `samples/{x}.bam` lands where it was.
        dest = self.dest.render(row) if self._upload.dest is not None or not self.src.names else default_dest(src)
        if self._upload.file:
            yield self._input(dest, self._upload.file)
            return
        for found, file in self._files.below(src):
            yield self._input(f"{dest}/{found}" if found else dest, file)

    @cached_property
    def _files(self) -> _Files:
        return _Files(self._upload.files or {})

    def _input(self, dest: str, file: PinnedFile) -> Input:
        if not is_inside(dest):
            raise RequestError(
                f"{self.where}: {dest!r} is not inside the work directory; write src:dest with a dest that is"
            )
        return Input(dest=_normal(dest), content=file.content, executable=file.executable)


class _Files:
    """The pinned files of an upload, each by its name; that of a result is `JOB/INDEX/FILE`."""

    def __init__(self, files: Mapping[str, PinnedFile]) -> None:
        self._files = files
        self._results = {found.name: file for path, file in files.items() if (found := reference(path))}
        self._folders = Folders(self._results or files)

    def below(self, src: str) -> Iterator[tuple[str, PinnedFile]]:
        """Yield (path below `src`, file) of the files that `src` stands for; "" for the file itself."""
        if src in self._files:
            yield "", self._files[src]
            return
        refers = reference(src)
        found = self._referred(refers) if refers else self._inside(src.rstrip("/"))
        if not found:
            raise BackendError(f"the pinned manifest does not say what {src!r} is")
        yield from found

    def _inside(self, folder: str) -> list[tuple[str, PinnedFile]]:
        return [(path[len(folder) + 1 :], self._files[path]) for path in self._folders.below(folder)]

    def _referred(self, refers: Reference) -> list[tuple[str, PinnedFile]]:
        """Return the files that a reference with a folder or wildcards chooses, named from its root."""
        root = len(refers.root) + 1
        return [(name[root:], self._results[name]) for name in self._folders.chosen(refers)]


def default_dest(src: str) -> str:
    """Return where an upload lands if nothing else is said: where it was, an absolute one by its name.

    >>> default_dest("/data/in.bam"), default_dest("samples/a.bam"), default_dest("gs://b/dir/x.rds")
    ('in.bam', 'samples/a.bam', 'x.rds')
    >>> default_dest("{results.prepare}/1/grid.csv")
    'prepare/1/grid.csv'
    """
    if refers := reference(src):
        return refers.root
    src = src.rstrip("/")
    if src.startswith(("/", "gs://")):
        return src.rsplit("/", 1)[-1]
    return src


def _folders(paths: Iterable[str]) -> set[str]:
    """Return all folders that these relative paths lead through."""
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _normal(dest: str) -> str:
    """Return the one way to write a relative path: no `.`, `..` or double slashes."""
    parts: list[str] = []
    for part in dest.split("/"):
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def row_writer(columns: Sequence[str]) -> Callable[[Sequence[str]], str]:
    """Return what turns the values of a row into its record: a JSON object of its parameters.

    >>> row_writer(["lambda", "size"])(["0.1", "small"])
    '{"lambda":"0.1","size":"small"}'
    """
    names = [canonical.string(name).replace("%", "%%") for name in columns]
    form = "{" + ",".join(f"{name}:%s" for name in names) + "}"
    return lambda values: form % tuple(map(canonical.string, values))


def _joined(items: Sequence[Sequence[Part]]) -> list[Part]:
    """Return the parts of all items, with a comma between each two."""
    return [part for number, item in enumerate(items) for part in ([","] if number else []) + [*item]]
