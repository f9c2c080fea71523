"""Worker image: a stock Python with the libraries of the worker program, so that nodes need not install them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sparkles.backends.docker.building import build, push
from sparkles.backends.docker.engine import Engine
from sparkles.backends.gcp.delivery.wheels import wheels
from sparkles.backends.gcp.delivery.worker_lock import NAME, Lock, worker_lock
from sparkles.backends.gcp.registry_auth import USER, google_token, is_googles
from sparkles.config import STOCK_IMAGE
from sparkles.errors import BackendError, RequestError
from sparkles.ports.images import Images
from sparkles.resources import template_text

#: The kind of processor that it is made for. Machines with others use the stock image.
ARCHITECTURE = "amd64"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerImage:
    """The image with the libraries of this very installation, in a repository such as `…/my-project/sparkles/worker`.

    Other versions have other tags, so that one repository serves them all; the settings name it without a tag.
    """

    repository: str
    lock: Lock = field(default_factory=worker_lock)

    @property
    def name(self) -> str:
        """Return its name, with its tag."""
        return f"{self.repository}:{self.lock.tag}"

    def is_in(self, images: Images) -> bool:
        """Say whether it is in its registry."""
        with suppress(RequestError):
            return bool(images.pin(self.name, architecture=ARCHITECTURE))
        return False

    def make(self, engine: Engine, say: Callable[[str], None], *, folder: Path, base: str = STOCK_IMAGE) -> None:
        """Build it and push it. Wheels that were fetched before are in `folder`, or will be."""
        say(f"building {self.name} from {base}")
        build(engine, self._files(folder), tag=self.name, platform=f"linux/{ARCHITECTURE}", arguments={"PYTHON": base})
        say(f"pushing {self.name}")
        push(engine, self.name, login=self._login())

    def _files(self, folder: Path) -> Mapping[str, bytes]:
        files = {"Dockerfile": template_text("worker-image/Dockerfile").encode(), NAME: self.lock.text.encode()}
        with suppress(BackendError):  # they cannot be fetched here: the pip in the stock image may be able to
            files |= _members(wheels(self.lock, ARCHITECTURE, folder=folder))
        return files

    def _login(self) -> Mapping[str, str] | None:
        """Return the user's rights at Google's registries; elsewhere those of `docker login` are used."""
        token = google_token() if is_googles(f"https://{self.repository}") else None
        return {"username": USER, "password": token} if token else None


def _members(archive: Path) -> Mapping[str, bytes]:
    with zipfile.ZipFile(archive) as fetched:
        return {f"wheels/{name}": fetched.read(name) for name in fetched.namelist()}
