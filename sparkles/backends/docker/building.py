"""Building: images made by the docker engine of this machine, and brought to where others can fetch them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sparkles.backends.docker.engine import Engine, reached
from sparkles.errors import BackendError


def build(engine: Engine, files: Mapping[str, bytes], *, tag: str, platform: str, arguments: Mapping[str, str]) -> None:
    """Build the image that the `Dockerfile` among the files describes."""
    with _in_words(f"image {tag} cannot be built"):
        context = _tar(files)
        lines = engine.api.build(
            fileobj=context, custom_context=True, tag=tag, platform=platform, buildargs=dict(arguments), rm=True,
            forcerm=True, decode=True,
        )  # fmt: skip
        _see(lines)


def push(engine: Engine, tag: str, *, login: Mapping[str, str] | None) -> None:
    """Bring an image to the registry that its name begins with. Without a `login` that of `docker login` is used."""
    with _in_words(f"image {tag} cannot be pushed"):
        _see(engine.api.push(tag, stream=True, decode=True, auth_config=login))


def _tar(files: Mapping[str, bytes]) -> io.BytesIO:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as into:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            into.addfile(entry, io.BytesIO(data))
    content.seek(0)
    return content


def _see(lines: Iterable[Mapping[str, Any]]) -> None:
    """Hear the engine out; raise BackendError with what it says is wrong, and its last words before that."""
    said = wrong = ""
    for line in lines:
        said = str(line.get("stream", "")).strip() or said
        wrong = str(line.get("error", "")) or wrong
    if wrong:
        raise BackendError(f"{wrong}{f' ({said})' if said else ''}")


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    from docker.errors import APIError

    try:
        with reached():
            yield
    except APIError as error:
        raise BackendError(f"{what}: {error.explanation or error}") from None
    except BackendError as error:
        raise type(error)(f"{what}: {error}") from None
