"""Outputs: which files of a work directory are results: new or changed regular files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sparkles import patterns
from sparkles.paths import LOG_NAME, RESULT_NAME
from sparkles.ports.objects import Output

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


def find(
    folder: Path, staged: Snapshot, *, include: Sequence[str], exclude: Sequence[str], always: Sequence[str] = ()
) -> Found:
    """Return the new or changed regular files below `folder` that the patterns choose; `always` has the last word.

    Links to files inside are taken as copies; links that lead outside, or nowhere, are left out and noted.
    A file that has the name of one of ours in the result folder gets another, and that is noted.
    """
    if folder.is_symlink() or not folder.is_dir():
        return Found((), ["the task has removed or replaced its work directory, so nothing of it is kept"])
    _open_up([folder])
    if _is_empty(folder):
        return NOTHING
    chosen = patterns.any_of(tuple(include))
    rejected = patterns.any_of(tuple(exclude))
    kept = patterns.any_of(tuple(always))
    outputs: list[Output] = []
    notes: list[str] = []
    left = 0
    for name, path in sorted(_files(folder, notes)):
        if not kept(name) and (not chosen(name) or rejected(name)):
            left += name not in staged
            continue
        if path.is_symlink() and not _stays_inside(path, folder):
            notes.append(f"{name}: a link, but not to a file inside the work directory; left out")
            continue
        try:
            facts = _facts(path)
        except OSError as error:
            notes.append(f"{name}: {error.strerror}; left out")
            continue
        if not path.is_symlink() and staged.get(name) == facts:
            continue
        outputs.append(Output(name=name, path=path, size=facts[0]))
    if left and not outputs:
        notes.append(f"none of the {left} new files is among the outputs that were asked for")
    return Found(_renamed(outputs, notes), notes)


def _files(folder: Path, notes: list[str]) -> Iterator[tuple[str, Path]]:
    def unreadable(error: OSError) -> None:
        notes.append(f"{_name(Path(error.filename), folder)}: {error.strerror}; left out")

    for current, folders, files in os.walk(folder, onerror=unreadable):
        here = Path(current)
        links = [name for name in folders if (here / name).is_symlink()]
        _open_up([here / name for name in folders if name not in links])
        for path in [here / name for name in [*files, *links]]:
            if path.is_symlink() or path.is_file():
                yield _name(path, folder), path
            else:
                notes.append(f"{_name(path, folder)}: not a regular file; left out")


def _is_empty(folder: Path) -> bool:
    """Say whether there is nothing in a folder, for all that can be seen: most tasks leave nothing."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def remove(folder: Path) -> None:
    """Remove a work directory, whatever the task has made of it."""
    try:
        folder.rmdir()  # most of the time there is nothing in it, or it has become the result's folder
    except FileNotFoundError:
        pass
    except OSError:
        _remove_with_all(folder)


def _remove_with_all(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
        return
    _open_up([folder])
    with suppress(OSError):  # paths that are too long for it; to remove them is no matter of paths
        for current, folders, _ in os.walk(folder):
            _open_up([Path(current) / name for name in folders if not (Path(current) / name).is_symlink()])
    shutil.rmtree(folder, ignore_errors=True)


def _open_up(folders: Sequence[Path]) -> None:
    """Let us take files out of folders that the task has shut, and remove them."""
    for folder in folders:
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            with suppress(OSError):
                folder.chmod(folder.stat().st_mode | 0o700)


def _name(path: Path, folder: Path) -> str:
    """Return the name of a file below `folder` as text."""
    return os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")


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
    renamed: list[Output] = []
    taken: set[str] = set()
    for output in outputs:
        top, slash, rest = output.name.partition("/")
        name = f"{ours.get(top, top)}{slash}{rest}"
        while name in taken:  # two names that are not text may look alike as text
            notes.append(f"{name}: a second file of this name is kept with a tilde")
            name += "~"
        taken.add(name)
        renamed.append(replace(output, name=name))
    return renamed


def _free_name(name: str, taken: set[str]) -> str:
    stem, _, suffix = name.partition(".")
    candidate, number = f"{stem}.task.{suffix}", 1
    while candidate in taken:
        number += 1
        candidate = f"{stem}.task{number}.{suffix}"
    return candidate
