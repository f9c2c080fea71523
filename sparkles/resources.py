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


def _text(folder: str, name: str) -> str:
    for parent in (_PACKAGE, _PACKAGE.parent):
        path = parent / folder / name
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError(f"{folder}/{name} is missing from this installation")


def shipped() -> Iterator[tuple[str, Path]]:
    """Yield all files of this installation that a node needs, each with its name as it is in an installed wheel."""
    for path in _PACKAGE.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            yield f"sparkles/{path.relative_to(_PACKAGE).as_posix()}", path
    for folder in ("schemas", "templates"):
        if (_PACKAGE / folder).is_dir():
            continue
        for path in (_PACKAGE.parent / folder).iterdir():
            yield f"sparkles/{folder}/{path.name}", path
