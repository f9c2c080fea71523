"""Resources: find the files of `schemas/` and `templates/` in a checkout and in an installed wheel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).parent


def schema_text(name: str) -> str:
    """Return the text of `schemas/<name>.json`."""
    return _text("schemas", f"{name}.json")


def template_text(name: str) -> str:
    """Return the text of `templates/<name>`."""
    return _text("templates", name)


def template(name: str) -> Path:
    """Return where `templates/<name>` is, or would be."""
    return _path("templates", "startup.sh").parent / name


def _text(folder: str, name: str) -> str:
    return _path(folder, name).read_text(encoding="utf-8")


def _path(folder: str, name: str) -> Path:
    for parent in (_PACKAGE, _PACKAGE.parent):
        path = parent / folder / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder}/{name} is missing from this installation")


def shipped() -> Iterator[tuple[str, Path]]:
    """Yield all files of this installation that a node needs, each with its name as it is in an installed wheel."""
    yield from _files(_PACKAGE, "sparkles")
    for folder in ("schemas", "templates"):
        if not (_PACKAGE / folder).is_dir():
            yield from _files(_PACKAGE.parent / folder, f"sparkles/{folder}")


def _files(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield what is in a folder but for what Python, and editors, leave there."""
    for path in folder.iterdir():
        if path.name.startswith((".", "__pycache__")):
            continue
        if path.is_dir():
            yield from _files(path, f"{name}/{path.name}")
        else:
            yield f"{name}/{path.name}", path
