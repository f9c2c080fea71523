"""A registry of images of one's own: Debian's docker-registry, which does not outlive the process that started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .children import dying_with_parent, free_port

if TYPE_CHECKING:
    import docker

HOW_TO_INSTALL = "apt-get install docker-registry"

_CONFIG = """
version: 0.1
log: {{level: warn}}
storage:
    filesystem: {{rootdirectory: {folder}}}
    delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class MissingError(Exception):
    """docker-registry is not on this machine; the message says how to bring it."""


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """An image in the registry."""

    #: Without tag: `127.0.0.1:5000/name`.
    repository: str
    tag: str
    #: `sha256:…`, of the manifest.
    digest: str

    @property
    def tagged(self) -> str:
        """What a person would write."""
        return f"{self.repository}:{self.tag}"

    @property
    def pinned(self) -> str:
        """What is the same image for ever."""
        return f"{self.repository}@{self.digest}"


class Registry:
    """A registry at `address`, without password and TLS: an engine talks so to what is at 127.0.0.1 of its machine."""

    def __init__(self, folder: Path, *, port: int = 0, start_timeout: float = 60.0) -> None:
        program = shutil.which("docker-registry")
        if program is None:
            raise MissingError(f"needs docker-registry: {HOW_TO_INSTALL}")
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.yml"
        config.write_text(_CONFIG.format(folder=folder / "images", port=self.port))
        with tempfile.TemporaryFile() as self._log:
            self._process = subprocess.Popen(
                dying_with_parent([program, "serve", str(config)]),
                stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._await(time.monotonic() + start_timeout)

    def push(self, api: docker.APIClient, image: str, *, name: str, tag: str = "latest") -> Pushed:
        """Bring an image of the engine here, under this name. Nothing of that name stays in the engine."""
        repository = f"{self.address}/{name}"
        api.tag(image, repository, tag)
        try:
            digest = _digest(list(api.push(repository, tag, stream=True, decode=True)))
        finally:
            api.remove_image(f"{repository}:{tag}", noprune=True)
        return Pushed(repository=repository, tag=tag, digest=digest)

    def close(self) -> None:
        """End the process. What was pushed stays in the folder."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _await(self, deadline: float) -> None:
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                self._log.seek(0)
                raise RuntimeError(f"the registry did not start:\n{self._log.read().decode(errors='replace')}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://{self.address}/v2/", timeout=5).close()
        except OSError:
            return False
        return True


def _digest(lines: list[dict[str, Any]]) -> str:
    """Return the digest that a push ended with."""
    for line in lines:
        if "error" in line:
            raise RuntimeError(f"the image was not pushed: {line['error']}")
    return next(str(line["aux"]["Digest"]) for line in lines if "Digest" in line.get("aux", {}))
