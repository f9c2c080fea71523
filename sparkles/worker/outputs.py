"""Outputs: which files of a work directory are results: new or changed regular files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from sparkles.paths import LOG_NAME, RESULT_NAME
from sparkles.ports import Output

#: What tells that a staged file has not been touched: size, mtime in ns, inode.
Snapshot = Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Found:
    """The outputs of a task, and what was left out or renamed."""

    outputs: Sequence[Output]
    notes: Sequence[str]


NOTHING = Found((), ())


def snapshot(folder: Path, names: Sequence[str]) -> Snapshot:
    """Remember staged files as they are before the command runs."""
    return {name: _facts(folder / name) for name in names}


def _facts(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def find(folder: Path, staged: Snapshot, *, include: Sequence[str], exclude: Sequence[str]) -> Found:
    """Return the new or changed regular files below `folder` that the patterns choose.

    Links to files inside are taken as copies; links that lead outside, or nowhere, are left out and noted.
    A file that has the name of one of ours in the result folder gets another, and that is noted.
    """
    chosen = _any_of(tuple(include))
    rejected = _any_of(tuple(exclude))
    outputs: list[Output] = []
    notes: list[str] = []
    for name, path in sorted(_files(folder, notes)):
        if not chosen(name) or rejected(name):
            continue
        if path.is_symlink() and not _stays_inside(path, folder):
            notes.append(f"{name}: a link that leads outside the work directory, or nowhere; left out")
            continue
        try:
            facts = _facts(path)
        except OSError as error:
            notes.append(f"{name}: {error.strerror}; left out")
            continue
        if not path.is_symlink() and staged.get(name) == facts:
            continue
        outputs.append(Output(name=name, path=path, size=facts[0]))
    return Found(_renamed(outputs, notes), notes)


def _files(folder: Path, notes: list[str]) -> Iterator[tuple[str, Path]]:
    def unreadable(error: OSError) -> None:
        notes.append(f"{error.filename}: {error.strerror}; left out")

    for current, folders, files in os.walk(folder, onerror=unreadable):
        here = Path(current)
        for name in [*files, *(name for name in folders if (here / name).is_symlink())]:
            path = here / name
            relative = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
            if path.is_symlink() or path.is_file():
                yield relative, path
            else:
                notes.append(f"{relative}: not a regular file; left out")


def _stays_inside(link: Path, folder: Path) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return target.is_file() and folder.resolve() in target.parents


def _renamed(outputs: Sequence[Output], notes: list[str]) -> list[Output]:
    """Give another name to the task's own files, or folders, that are called like ours."""
    tops = {output.name.split("/")[0] for output in outputs}
    ours = {name: _free_name(name, tops) for name in (LOG_NAME, RESULT_NAME) if name in tops}
    notes += [f"{name}: kept as {new}, because sparkles writes a file of that name" for name, new in ours.items()]
    renamed = []
    for output in outputs:
        top, slash, rest = output.name.partition("/")
        renamed.append(replace(output, name=f"{ours.get(top, top)}{slash}{rest}"))
    return renamed


def _free_name(name: str, taken: set[str]) -> str:
    stem, _, suffix = name.partition(".")
    candidate, number = f"{stem}.task.{suffix}", 1
    while candidate in taken:
        number += 1
        candidate = f"{stem}.task{number}.{suffix}"
    return candidate


@cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str].fullmatch:  # type: ignore[valid-type]
    """Return a test for names that any of the patterns chooses."""
    return re.compile("|".join(map(_regex, patterns)) or r"(?!)", re.DOTALL).fullmatch


def _regex(pattern: str) -> str:
    """Translate a pattern: `*` and `?` stop at `/`, `**` does not; without `/` it holds at any depth.

    A pattern that names a folder chooses all below it.
    """
    pattern = pattern.removeprefix("./").rstrip("/")
    prefix = "" if "/" in pattern else "(?:.*/)?"
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(
        known.get(part) or (part.replace("[!", "[^", 1) if position % 2 else re.escape(part))
        for position, part in enumerate(parts)
    )
    return f"{prefix}{body}(?:/.*)?"
