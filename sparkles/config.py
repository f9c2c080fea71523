"""Config: which backend, and what `sub` fills in. Layers: flag, environment, file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkles.errors import RequestError, nearest

FILE_NAME = ".sparkles.yaml"
BACKENDS = ("local", "gcp")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What holds for one command."""

    backend: str
    #: Where `backend` comes from, for people.
    origin: str
    #: Fields that `sub` writes into a manifest where no flag does.
    defaults: Mapping[str, str] = field(default_factory=dict)


def settings(
    *, backend: str | None, config: Path | None, environment: Mapping[str, str], cwd: Path, home: Path
) -> Settings:
    """Return the settings, from the flags `backend` and `config`, the environment, and a file.

    The file is `config`, or `.sparkles.yaml` in `cwd` or a folder above it, or the user's own in `home`. Raises
    RequestError for a file that cannot be read: falling back could send work to the wrong place.
    """
    path = config or _find(cwd, environment, home)
    document = _read(path) if path else {}
    defaults = document.get("defaults", {})
    chosen = environment.get("SPARKLES_BACKEND")
    if backend:
        return Settings(backend=backend, origin="flag", defaults=defaults)
    if chosen:
        if chosen not in BACKENDS:
            raise RequestError(
                f"SPARKLES_BACKEND={chosen}: expected {' or '.join(BACKENDS)}{nearest(chosen, BACKENDS)}"
            )
        return Settings(backend=chosen, origin="SPARKLES_BACKEND", defaults=defaults)
    if "backend" in document:
        return Settings(backend=document["backend"], origin=str(path), defaults=defaults)
    if "project" in document:
        return Settings(backend="gcp", origin=f"project in {path}", defaults=defaults)
    return Settings(backend="local", origin="default", defaults=defaults)


def _find(cwd: Path, environment: Mapping[str, str], home: Path) -> Path | None:
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "sparkles" / "config.yaml"
    candidates = [folder / FILE_NAME for folder in (cwd, *cwd.parents)]
    return next((path for path in [*candidates, user] if path.exists()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{path}: the configuration cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: the configuration is not UTF-8 text") from None
    from sparkles import manifest as manifests  # most commands run without a file, and start sooner without this

    return manifests.read_config(text, source=str(path))
