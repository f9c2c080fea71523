"""Resources: find the files of `schemas/` in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def schema_text(name: str) -> str:
    """Return the text of `schemas/<name>.json`."""
    for folder in (_PACKAGE / "schemas", _PACKAGE.parent / "schemas"):
        path = folder / f"{name}.json"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError(f"schemas/{name}.json is missing from this installation")
