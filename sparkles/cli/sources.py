"""Sources: what `apply` and `diff` are to read: names of files in, texts of manifests out. Templates are rendered."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from sparkles.errors import RequestError

_TEMPLATE = ".j2"
_SUFFIXES = {".yaml", ".yml", _TEMPLATE}
_STDIN = "<stdin>"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A text, and where it was read from."""

    name: str
    text: str
    #: The folder of its relative paths.
    base: Path


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line says about manifests; read when it is needed."""

    #: What stands without a flag, and with -f.
    paths: Sequence[str]
    files: Sequence[str]
    #: Names of files with values for templates.
    values: Sequence[str]
    #: Values for templates, as `--set` takes them.
    assignments: Sequence[str]

    @property
    def are_jobs(self) -> bool:
        """Whether these are the names of two jobs. Raises RequestError for a file and a name."""
        names = [word for word in self.paths if not _is_path(word) and not Path(word).exists()]
        there = [word for word in self.paths if Path(word).exists()]
        if self.files or self._given or len(self.paths) != 2:
            return False
        if len(names) == len(there) == 1:
            raise RequestError(
                f"{there[0]!r} is here as a file or folder, and {names[0]!r} is not; write 'sparkles diff "
                f"{there[0]}' to compare manifests with the jobs that they describe, or the names of two jobs"
            )
        return len(names) == 2

    def read(self) -> list[Source]:
        """Return the texts of all files, in order."""
        names = [*self.paths, *self.files]
        if not names:
            raise RequestError("name a manifest: a file, a folder, or - for standard input")
        sources = [source for name in names for source in _read(name, besides=self.values)]
        templates = [source for source in sources if self._is_template(source)]
        if self._given and not templates:
            raise RequestError("--set and --values: there is nothing to render; only *.j2 files and - are rendered")
        rendered = iter(self._rendered(templates) if templates else [])
        return [next(rendered) if self._is_template(source) else source for source in sources]

    @property
    def _given(self) -> bool:
        return bool(self.values or self.assignments)

    def _is_template(self, source: Source) -> bool:
        return source.name.endswith(_TEMPLATE) or (self._given and source.name == _STDIN)

    def _rendered(self, templates: Sequence[Source]) -> list[Source]:
        from sparkles import templating  # Jinja takes long to load, and most manifests are no templates

        values: dict[str, Any] = {}
        for name in self.values:
            values = templating.merged(values, templating.read_values(_text(Path(name)), source=name))
        assigned = [templating.assignment(text) for text in self.assignments]
        for path, value in assigned:
            values = templating.assign(values, path, value)
        texts = templating.render(
            [templating.Template(source=source.name, text=source.text) for source in templates],
            values,
            used=[path for path, _ in assigned],
        )
        return [
            replace(source, name=f"{source.name} (rendered)", text=text)
            for source, text in zip(templates, texts, strict=True)
        ]


def with_sources(shown: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags that name manifests, and what they say as its argument `asked`; help shows `shown`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("-f", "--filename", "files", multiple=True, metavar="FILE", help="A manifest, a folder, or -.")
        @click.option(
            "--set", "assignments", multiple=True, metavar="NAME=VALUE",
            help="A value for templates (*.j2, or - with this flag); NAME may be a.b.",
        )  # fmt: skip
        @click.option("--values", multiple=True, metavar="FILE", help="A YAML file with values for templates.")
        @click.argument("paths", nargs=-1, metavar=shown)
        @functools.wraps(command)
        def wrapped(
            paths: Sequence[str], files: Sequence[str], assignments: Sequence[str], values: Sequence[str], **others: Any
        ) -> Any:
            return command(asked=Asked(paths=paths, files=files, values=values, assignments=assignments), **others)

        return wrapped

    return decorate


def _is_path(word: str) -> bool:
    return word == "-" or "/" in word or Path(word).suffix in (*_SUFFIXES, ".json")


def _read(name: str, *, besides: Sequence[str]) -> list[Source]:
    """Return the text of a file, of those in a folder, or of stdin; a file of values in the folder is no manifest."""
    if name == "-":
        return [Source(name=_STDIN, text=_decode(sys.stdin.buffer.read(), _STDIN), base=Path.cwd())]
    path = Path(name)
    if not path.is_dir():
        return [Source(name=name, text=_text(path), base=path.absolute().parent)]
    others = {Path(other).resolve() for other in besides}
    inside = sorted(child for child in path.iterdir() if child.suffix in _SUFFIXES and child.is_file())
    chosen = [child for child in inside if child.resolve() not in others]
    if not chosen:
        raise RequestError(f"{name}: there is no *.yaml, *.yml or *.j2 in this folder")
    return [Source(name=str(child), text=_text(child), base=path.absolute()) for child in chosen]


def _text(path: Path) -> str:
    try:
        return _decode(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise RequestError(f"no file {str(path)!r} in {Path.cwd()}") from None
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from None


def _decode(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RequestError(f"{source}:{line}: byte {error.start} is not UTF-8 text") from None
